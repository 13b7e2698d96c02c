/// The fields of one whole frame of an event stream, as the standard has them (WHATWG HTML, 9.2.6), where they lie.
struct EventFields {
    private let frame: UnsafeRawBufferPointer
    private var data = 0..<0
    private var dataLines = 0
    /// Several lines of data, with the line ends between them.
    private var joined: [UInt8] = []
    private var told: Range<Int>?
    /// Its type is `error`.
    private(set) var saysError = false
    /// What a comment says: prompt tokens computed so far.
    private(set) var promptDone: Int?

    init(_ frame: UnsafeRawBufferPointer) {
        self.frame = frame
        var start = Self.withoutMark(frame)
        while start < frame.count {
            let end = ByteSearch.first(of: 0x0a, or: 0x0d, in: frame, from: start)
            let line = start..<end
            start = end + (end + 1 < frame.count && frame[end] == 0x0d && frame[end + 1] == 0x0a ? 2 : 1)
            guard !line.isEmpty else { continue }
            if frame[line.lowerBound] == UInt8(ascii: ":") {
                let comment = UnsafeRawBufferPointer(rebasing: frame[line])
                if case .advanced(let done, _) = PromptProgress(comment: comment) { promptDone = done }
            } else if let value = Self.value(of: "data", frame, line) {
                dataLines += 1
                if dataLines == 1 {
                    data = value
                } else {
                    if dataLines == 2 { joined.append(contentsOf: frame[data]) }
                    joined.append(0x0a)
                    joined.append(contentsOf: frame[value])
                }
            } else if let value = Self.value(of: "event", frame, line) {
                saysError = JSONCursor(frame).isWord(value, "error")
            } else if let value = Self.value(of: "error", frame, line), !value.isEmpty {
                // Older builds of llama-server write the error as a field of that name. The standard would drop it.
                told = value
            }
        }
    }

    var hasData: Bool { dataLines > 0 }

    /// What a field named `error` says.
    var toldError: UnsafeRawBufferPointer? { told.map { UnsafeRawBufferPointer(rebasing: frame[$0]) } }

    func withData<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        dataLines == 1 ? body(UnsafeRawBufferPointer(rebasing: frame[data])) : joined.withUnsafeBytes(body)
    }

    /// A byte order mark may stand before the first line.
    private static func withoutMark(_ frame: UnsafeRawBufferPointer) -> Int {
        frame.count >= 3 && frame[0] == 0xef && frame[1] == 0xbb && frame[2] == 0xbf ? 3 : 0
    }

    /// What stands behind `name:` and at most one space; nil for another field.
    private static func value(of name: StaticString, _ frame: UnsafeRawBufferPointer, _ line: Range<Int>) -> Range<Int>?
    {
        let length = name.utf8CodeUnitCount
        guard line.count >= length else { return nil }
        for offset in 0..<length where frame[line.lowerBound + offset] != name.utf8Start[offset] { return nil }
        var from = line.lowerBound + length
        // A field's name alone is a field with an empty value.
        guard from < line.upperBound else { return from..<from }
        guard frame[from] == UInt8(ascii: ":") else { return nil }
        from += 1
        if from < line.upperBound, frame[from] == 0x20 { from += 1 }
        return from..<line.upperBound
    }
}
