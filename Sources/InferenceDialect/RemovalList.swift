/// Elements of one object or array that a kind of worker may want to be gone, as ranges that leave valid JSON behind when
/// all of them are cut out: each takes one of the commas around it along. Neighbours are one range, so that there are never
/// more ranges than every second element.
package struct RemovalList: Equatable, Sendable {
    /// In order, without overlap.
    package private(set) var ranges: [Range<Int>] = []
    /// Whether anything stays.
    package private(set) var keepsAny = false

    private var start = 0
    private var previousEnd = 0
    /// The last range waits for the next element, whose comma it takes along.
    private var isOpen = false

    /// An element begins, a member of an object with its key.
    mutating func begins(at start: Int) {
        if isOpen {
            ranges[ranges.count - 1] = ranges[ranges.count - 1].lowerBound..<start
            isOpen = false
        }
        self.start = start
    }

    mutating func ends(at end: Int, isUnwanted: Bool) {
        if !isUnwanted {
            keepsAny = true
        } else {
            append((keepsAny ? previousEnd : start)..<end)
            isOpen = !keepsAny
        }
        previousEnd = end
    }

    private mutating func append(_ range: Range<Int>) {
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else {
            ranges.append(range)
        }
    }
}
