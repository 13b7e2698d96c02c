/// Writes names over those that a worker wrote in its answers: the client's own for the model, in answers of every
/// interface, and the right one for an event of a chat that calls itself a whole answer, which an SDK may pass over.
///
/// The model's stands as a string `model` in the object of an answer or of an event, or one level down in `message` or
/// `response`, as the events of messages and responses have it. A stream is read line by line, and a line is passed on
/// when it is whole: nobody can read an event before that. Where the data of one event has several lines, names are looked
/// for in the first. An event of 240 bytes costs 0.3 to 0.4 µs, about what cutting it costs.
package struct AnswerNames: Sendable {
    /// Bytes of a line that is looked into; a longer one passes as it is.
    static let lineBytesMax = EventStreamCutter.frameBytesMax

    private static let event = Array(#""chat.completion.chunk""#.utf8)

    /// The model's, as JSON has it.
    private let model: [UInt8]?
    private let namesEvents: Bool
    /// The beginning of a line that the last piece did not end.
    private var line: [UInt8] = []
    /// The line at hand is too long: its rest passes as it comes.
    private var passesLine = false
    /// The last byte was a CR: an LF after it belongs to the same line end.
    private var skipsLF = false
    /// The event at hand has had a line of data.
    private var hasData = false

    /// `model` for the model, if that name is to be written; `namesEvents` for events that misname themselves.
    package init(model: String?, namesEvents: Bool = false) {
        self.model = model.map { model in
            var text: [UInt8] = []
            JSONString.append(model, to: &text)
            return text
        }
        self.namesEvents = namesEvents
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
        append(line, from: 5, to: &output)
    }

    // MARK: A whole body

    /// The body of a plain answer by the client's name.
    package func renamed(_ body: UnsafeRawBufferPointer) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(body.count + (model?.count ?? 0))
        append(body, from: 0, to: &output)
        return output
    }

    /// These bytes, of which an object begins at `start`, with its names.
    private func append(_ bytes: UnsafeRawBufferPointer, from start: Int, to output: inout [UInt8]) {
        var cursor = JSONCursor(bytes, at: start)
        var copied = 0
        var missing = (model == nil ? 0 : 1) + (namesEvents ? 1 : 0)
        rename(&cursor, isInside: false, &missing) { place, name in
            output.append(contentsOf: bytes[copied..<place.lowerBound])
            output.append(contentsOf: name)
            copied = place.upperBound
        }
        output.append(contentsOf: bytes[copied...])
    }

    /// Tells each name's place, its quotes included, until none is missing.
    private func rename(
        _ cursor: inout JSONCursor, isInside: Bool, _ missing: inout Int,
        _ replace: (_ place: Range<Int>, _ name: [UInt8]) -> Void
    ) {
        guard cursor.take(UInt8(ascii: "{")) else { return }
        var isFirst = true
        while missing > 0, cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return }
            let next = cursor.peek()
            let start = cursor.position
            if let model, cursor.isWord(key, "model"), next == UInt8(ascii: "\"") {
                guard cursor.string() != nil else { return }
                replace(start..<cursor.position, model)
                missing -= 1
            } else if namesEvents, !isInside, cursor.isWord(key, "object"), next == UInt8(ascii: "\"") {
                guard let word = cursor.string() else { return }
                if cursor.isWord(word, "chat.completion") { replace(start..<cursor.position, Self.event) }
                missing -= 1
            } else if !isInside, cursor.isWord(key, "message") || cursor.isWord(key, "response"),
                next == UInt8(ascii: "{")
            {
                rename(&cursor, isInside: true, &missing, replace)
            } else {
                cursor.skipValue()
            }
        }
    }
}
