/// The edits of one request body, as ranges and their replacements; every byte outside stays as it came.
package struct SpliceList: Equatable, Sendable {
    /// More than any kind needs.
    package static let editsMax = 24

    package struct Edit: Equatable, Sendable {
        /// Bytes of the original body; empty for an insertion before its bound.
        package let range: Range<Int>
        package let replacement: [UInt8]
    }

    package enum Piece: Equatable, Sendable {
        case original(Range<Int>)
        case replacement([UInt8])
    }

    /// In order, without overlap.
    package private(set) var edits: [Edit] = []

    package init() {}

    package var isEmpty: Bool { edits.isEmpty }

    package mutating func replace(_ range: Range<Int>, with bytes: [UInt8]) {
        precondition(edits.count < Self.editsMax, "a dialect made more edits than SpliceList.editsMax")
        let place = edits.firstIndex { $0.range.lowerBound >= range.upperBound } ?? edits.count
        precondition(
            place == 0 || edits[place - 1].range.upperBound <= range.lowerBound, "two edits of one request overlap")
        edits.insert(Edit(range: range, replacement: bytes), at: place)
    }

    package mutating func insert(_ bytes: [UInt8], at offset: Int) { replace(offset..<offset, with: bytes) }

    /// Length of the body with its edits.
    package func outputBytes(bodyBytes: Int) -> Int {
        edits.reduce(bodyBytes) { $0 + $1.replacement.count - $1.range.count }
    }

    /// The new body, piece by piece, in order. No piece is empty.
    package func forEachPiece(bodyBytes: Int, _ body: (Piece) -> Void) {
        var from = 0
        for edit in edits {
            if edit.range.lowerBound > from { body(.original(from..<edit.range.lowerBound)) }
            if !edit.replacement.isEmpty { body(.replacement(edit.replacement)) }
            from = edit.range.upperBound
        }
        if from < bodyBytes { body(.original(from..<bodyBytes)) }
    }
}
