/// Reads a request body once, slice by slice as it arrives: is it JSON, is it a valid request, and where is what we need?
///
/// Nothing is decoded. Text is passed over eight bytes at a time; only short words (a model's name, a role) are kept. The
/// scan is as strict as RFC 8259 and UTF-8 are, since a body that two parsers read differently must not pass: workers
/// have died of less. What an OpenAI server takes is taken; members that nobody here knows pass unread.
///
/// Split by layer: this file is the grammar, `+Strings` the inside of strings, `+Members` what members may be,
/// `+Values` what their values mean.
import Determinism

package struct RequestScan: Sendable {
    package static let depthMax = 128
    package static let numberBytesMax = 32

    /// Where the grammar stands.
    enum State: UInt8, Sendable {
        case start, value, valueOrEnd, keyOrEnd, key, colon, afterValue, string, escape, unicode, number, literal, end
    }

    /// What a value is.
    enum Kind: UInt8, Sendable { case string, number, object, array, bool, null }

    /// Which known container a frame is.
    enum Spot: UInt8, Sendable {
        case skip, root, messages, message, parts, part, imageURL, toolCalls, toolCall, toolCallFunction, prompt,
            promptIDs
        case streamOptions, stop, logitBias, tools, tool, toolFunction, toolChoice, responseFormat, templateArguments
    }

    struct Frame: Sendable {
        let spot: Spot
        let isObject: Bool
        let start: Int
        /// The member whose value is next or at hand.
        var member = RequestMember.unknown
        /// Members or elements begun.
        var count = 0
        /// Members that were named, and those of them whose value was not null.
        var seen: UInt64 = 0
        var given: UInt64 = 0
        /// What the container has shown that its end needs to know.
        var word = Word.none
    }

    /// A short value remembered until its container ends.
    enum Word: UInt8, Sendable { case none, user, otherRole, function, otherType, text, image, strings, numbers, lists }

    /// Whether a closed frame was given a value for this member.
    static func has(_ member: RequestMember, _ frame: Frame) -> Bool { frame.given & member.bit != 0 }

    let route: InferenceRoute
    var found = ScannedRequest()
    /// The innermost open container, and those around it.
    var top = Frame(spot: .skip, isObject: true, start: 0)
    var outer: [Frame] = []
    var state = State.start
    /// Bytes of earlier slices.
    var base = 0

    // The scalar at hand.
    var isKey = false
    var scalarStart = 0
    var scalarBytes = 0
    /// The scalar's first bytes, escapes undone, at most `captureMax`.
    var captured = KeptText()
    var captureMax = 0
    var literal: StaticString = "null"
    var literalPlace = 0
    var escapeDigits = 0
    var escapeValue: UInt32 = 0
    var highSurrogate: UInt32 = 0
    // Continuation bytes that the character at hand still needs, and what the next may be.
    var continuations = 0
    var continuationMin: UInt8 = 0x80
    var continuationMax: UInt8 = 0xbf

    // The conversation's beginning: the tools, and the messages through the first of the user's.
    var prefix = StableHash64()
    var isHashing = false
    var hasMessages = false
    var hasPrompt = false
    var hashFrom = 0
    /// The key at hand of the outermost object, with its quotes.
    var rootKey = 0..<0

    package init(route: InferenceRoute) {
        self.route = route
        outer.reserveCapacity(8)
    }

    /// The next slice, cut anywhere.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(ScanFailure) {
        hashFrom = 0
        var place = 0
        while place < bytes.count {
            switch state {
            case .string:
                place = try insideString(bytes, from: place)
            case .escape, .unicode:
                try escape(bytes[place], at: base + place)
                place += 1
            case .number:
                let byte = bytes[place]
                guard Self.isNumberByte(byte) else {
                    try endNumber()
                    continue
                }
                guard captured.count < Self.numberBytesMax else {
                    throw .notJSON("a number of more than \(Self.numberBytesMax) characters", at: base + place)
                }
                captured.append(byte)
                place += 1
            case .literal:
                guard bytes[place] == literal.utf8Start[literalPlace] else { throw unexpected(bytes[place], place) }
                literalPlace += 1
                place += 1
                if literalPlace == literal.utf8CodeUnitCount { try endLiteral() }
            default:
                try structural(bytes[place], bytes, place)
                place += 1
            }
        }
        if isHashing { prefix.update(UnsafeRawBufferPointer(rebasing: bytes[hashFrom...])) }
        base += bytes.count
    }

    /// The body is whole.
    package mutating func finish() throws(ScanFailure) -> ScannedRequest {
        guard state == .end else { throw .notJSON(base == 0 ? "it is empty" : "it ends too early", at: base) }
        found.bodyBytes = base
        found.generates = route == .chatCompletions || route == .completions
        try checkPresence()
        if case .other = route { found.promptBytes = base }
        if found.stream, found.needs.contains(.logprobs) { found.needs.insert(.streamedLogprobs) }
        prefix.update(found.model ?? "")
        found.prefixFingerprint = prefix.digest()
        return found
    }

    // MARK: Grammar

    private mutating func structural(
        _ byte: UInt8, _ bytes: UnsafeRawBufferPointer, _ place: Int
    ) throws(ScanFailure) {
        if byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { return }
        switch state {
        case .start:
            guard byte == UInt8(ascii: "{") else {
                throw .notJSON("a request is a JSON object, which begins with '{'", at: base + place)
            }
            found.objectStart = base + place + 1
            top = Frame(spot: .root, isObject: true, start: base + place)
            state = .keyOrEnd
        case .value: try beginValue(byte, place)
        case .valueOrEnd:
            if byte == UInt8(ascii: "]") { return try closeContainer(bytes, place) }
            try beginValue(byte, place)
        case .keyOrEnd:
            if byte == UInt8(ascii: "}") { return try closeContainer(bytes, place) }
            try beginKey(byte, place)
        case .key: try beginKey(byte, place)
        case .colon:
            guard byte == UInt8(ascii: ":") else { throw unexpected(byte, place) }
            state = .value
        case .afterValue:
            let isObject = top.isObject
            switch byte {
            case UInt8(ascii: ","): state = isObject ? .key : .value
            case UInt8(ascii: "}") where isObject: try closeContainer(bytes, place)
            case UInt8(ascii: "]") where !isObject: try closeContainer(bytes, place)
            default: throw unexpected(byte, place)
            }
        case .end: throw .notJSON("there is more after the object", at: base + place)
        case .string, .escape, .unicode, .number, .literal: break
        }
    }

    private mutating func beginKey(_ byte: UInt8, _ place: Int) throws(ScanFailure) {
        guard byte == UInt8(ascii: "\"") else { throw unexpected(byte, place) }
        isKey = true
        if outer.isEmpty {
            found.nulls.begins(at: base + place)
            found.asides.begins(at: base + place)
        }
        beginString(place, keeping: RequestMember.longestName + 1)
        top.count += 1
    }

    private mutating func beginValue(_ byte: UInt8, _ place: Int) throws(ScanFailure) {
        if !top.isObject { top.count += 1 }
        if byte != UInt8(ascii: "n") { top.given |= top.member.bit }
        switch byte {
        case UInt8(ascii: "\""):
            let kept = try admit(.string).kept
            isKey = false
            beginString(place, keeping: kept)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let isObject = byte == UInt8(ascii: "{")
            let spot = try admit(isObject ? .object : .array).spot
            guard outer.count < Self.depthMax - 1 else {
                throw .notJSON("more than \(Self.depthMax) levels of nesting", at: base + place)
            }
            outer.append(top)
            top = Frame(spot: spot, isObject: isObject, start: base + place)
            if spot == .messages || spot == .tools {
                isHashing = true
                hashFrom = place
                if spot == .messages { hasMessages = true }
            }
            state = isObject ? .keyOrEnd : .valueOrEnd
        case UInt8(ascii: "t"): try beginLiteral("true", .bool, place)
        case UInt8(ascii: "f"): try beginLiteral("false", .bool, place)
        case UInt8(ascii: "n"): try beginLiteral("null", .null, place)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            _ = try admit(.number)
            scalarStart = base + place
            captured.clear()
            captured.append(byte)
            state = .number
        default: throw unexpected(byte, place)
        }
    }

    private mutating func beginLiteral(_ word: StaticString, _ kind: Kind, _ place: Int) throws(ScanFailure) {
        _ = try admit(kind)
        literal = word
        literalPlace = 1
        scalarStart = base + place
        state = .literal
    }

    private mutating func beginString(_ place: Int, keeping kept: Int) {
        scalarStart = base + place
        scalarBytes = 0
        captureMax = kept
        captured.clear()
        state = .string
    }

    private mutating func closeContainer(_ bytes: UnsafeRawBufferPointer, _ place: Int) throws(ScanFailure) {
        let closed = top
        try containerEnded(closed, end: base + place + 1)
        if isHashing,
            closed.spot == .messages || closed.spot == .tools || (closed.spot == .message && closed.word == .user)
        {
            prefix.update(UnsafeRawBufferPointer(rebasing: bytes[hashFrom...place]))
            isHashing = false
        }
        guard let around = outer.popLast() else {
            state = .end
            return
        }
        top = around
        state = .afterValue
    }

    private func unexpected(_ byte: UInt8, _ place: Int) -> ScanFailure {
        let shown =
            (0x21...0x7e).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "the byte \(byte)"
        return .notJSON("unexpected \(shown)", at: base + place)
    }

    // MARK: Numbers and words

    private static func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"),
            UInt8(ascii: "+"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private mutating func endNumber() throws(ScanFailure) {
        guard Self.isNumber(captured) else { throw .notJSON("a malformed number", at: scalarStart) }
        state = .afterValue
        try scalarEnded(.number, end: scalarStart + captured.count)
    }

    private mutating func endLiteral() throws(ScanFailure) {
        state = .afterValue
        let isNull = literal.utf8Start[0] == UInt8(ascii: "n")
        try scalarEnded(isNull ? .null : .bool, end: scalarStart + literal.utf8CodeUnitCount)
    }

    var literalIsTrue: Bool { literal.utf8Start[0] == UInt8(ascii: "t") }

    /// RFC 8259, section 6.
    private static func isNumber(_ text: KeptText) -> Bool {
        var place = 0
        func isDigit() -> Bool { place < text.count && text[place] &- 0x30 < 10 }
        func digits() -> Bool {
            guard isDigit() else { return false }
            while isDigit() { place += 1 }
            return true
        }
        if text[place] == UInt8(ascii: "-") { place += 1 }
        if place < text.count, text[place] == UInt8(ascii: "0") {
            place += 1
        } else if !digits() {
            return false
        }
        if place < text.count, text[place] == UInt8(ascii: ".") {
            place += 1
            guard digits() else { return false }
        }
        if place < text.count, text[place] | 0x20 == UInt8(ascii: "e") {
            place += 1
            if place < text.count, text[place] == UInt8(ascii: "+") || text[place] == UInt8(ascii: "-") { place += 1 }
            guard digits() else { return false }
        }
        return place == text.count
    }
}
