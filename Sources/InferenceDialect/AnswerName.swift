/// Writes the name by which the client asked over the worker's own name for its model, in answers of every interface.
///
/// It stands as a string `model` in the object of an answer or of an event, or one level down in `message` or `response`, as
/// the events of messages and responses have it. A stream is read line by line, and a line is passed on when it is whole:
/// nobody can read an event before that. Where the data of one event has several lines, the name is looked for in the first.
package struct AnswerName: Sendable {
    /// Bytes of a line that is looked into; a longer one passes as it is.
    static let lineBytesMax = EventStreamCutter.frameBytesMax

    /// As JSON has it.
    private let name: [UInt8]
    /// The beginning of a line that the last piece did not end.
    private var line: [UInt8] = []
    /// The line at hand is too long: its rest passes as it comes.
    private var passesLine = false
    /// The last byte was a CR: an LF after it belongs to the same line end.
    private var skipsLF = false
    /// The event at hand has had a line of data.
    private var hasData = false

    package init(_ name: String) {
        var text: [UInt8] = []
        JSONString.append(name, to: &text)
        self.name = text
    }

    // MARK: A stream

    package mutating func feed(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        var place = 0
        while place < bytes.count {
            if skipsLF {
                skipsLF = false
                if bytes[place] == 0x0a {
                    output.append(0x0a)
                    place += 1
                    continue
                }
            }
            let end = ByteSearch.first(of: 0x0a, or: 0x0d, in: bytes, from: place)
            let part = UnsafeRawBufferPointer(rebasing: bytes[place..<end])
            guard end < bytes.count else { return keep(part, &output) }
            lineEnded(part, &output)
            output.append(bytes[end])
            skipsLF = bytes[end] == 0x0d
            place = end + 1
        }
    }

    /// The bytes have ended: what was kept of a line goes as it is.
    package mutating func finish(into output: inout [UInt8]) {
        output += line
        line = []
    }

    private mutating func keep(_ part: UnsafeRawBufferPointer, _ output: inout [UInt8]) {
        if !passesLine, line.count + part.count <= Self.lineBytesMax { return line.append(contentsOf: part) }
        finish(into: &output)
        output.append(contentsOf: part)
        passesLine = true
    }

    private mutating func lineEnded(_ part: UnsafeRawBufferPointer, _ output: inout [UInt8]) {
        if passesLine {
            output.append(contentsOf: part)
            passesLine = false
            hasData = true
        } else if line.isEmpty {
            rename(part, &output)
        } else {
            // Taken out while it is read, and put back empty.
            var whole: [UInt8] = []
            swap(&whole, &line)
            whole.append(contentsOf: part)
            whole.withUnsafeBytes { rename($0, &output) }
            whole.removeAll(keepingCapacity: whole.count <= EventStreamCutter.keptCapacityMax)
            swap(&whole, &line)
        }
    }

    private mutating func rename(_ line: UnsafeRawBufferPointer, _ output: inout [UInt8]) {
        let isData = line.count > 5 && JSONCursor(line).isWord(0..<5, "data:")
        defer { hasData = isData || (hasData && !line.isEmpty) }
        guard isData, !hasData else { return output.append(contentsOf: line) }
        append(line, renamedAt: Self.place(in: line, from: 5), to: &output)
    }

    // MARK: A whole body

    /// The body of a plain answer by the client's name.
    package func renamed(_ body: UnsafeRawBufferPointer) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(body.count + name.count)
        append(body, renamedAt: Self.place(in: body, from: 0), to: &output)
        return output
    }

    private func append(_ bytes: UnsafeRawBufferPointer, renamedAt place: Range<Int>?, to output: inout [UInt8]) {
        guard let place else { return output.append(contentsOf: bytes) }
        output.append(contentsOf: bytes[..<place.lowerBound])
        output.append(contentsOf: name)
        output.append(contentsOf: bytes[place.upperBound...])
    }

    /// Where the worker's name stands, its quotes included.
    private static func place(in bytes: UnsafeRawBufferPointer, from start: Int) -> Range<Int>? {
        var cursor = JSONCursor(bytes, at: start)
        return place(&cursor, isInside: false)
    }

    private static func place(_ cursor: inout JSONCursor, isInside: Bool) -> Range<Int>? {
        guard cursor.take(UInt8(ascii: "{")) else { return nil }
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return nil }
            if cursor.isWord(key, "model"), cursor.peek() == UInt8(ascii: "\"") {
                let start = cursor.position
                return cursor.string().map { _ in start..<cursor.position }
            }
            if !isInside, cursor.isWord(key, "message") || cursor.isWord(key, "response"),
                cursor.peek() == UInt8(ascii: "{")
            {
                if let found = place(&cursor, isInside: true) { return found }
            } else {
                cursor.skipValue()
            }
        }
        return nil
    }
}
