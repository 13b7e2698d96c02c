/// Elements of one object or array that a kind of worker may want to be gone, as ranges that leave valid JSON behind when
/// all of them are cut out: each takes one of the commas around it along.
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
        } else if keepsAny {
            ranges.append(previousEnd..<end)
        } else {
            ranges.append(start..<end)
            isOpen = true
        }
        previousEnd = end
    }
}
