/// What a worker tells of itself that holds for as long as it lives: which version it is, and what it can do.
///
/// It is read once in each life, out of an answer that is asked for anyway: a round of questions is no longer for it. It
/// proves nothing and decides nothing; builds of one kind differ, and an operator wants to know which one this is.
package struct Introduction: Equatable, Sendable {
    /// Longer text is no version.
    static let versionBytesMax = 64

    package enum Capability: String, CaseIterable, Sendable {
        case audio, metrics, slots, tools, video, vision
    }

    package var version: String?
    /// Nil where it does not say what it can do.
    package var capabilities: Set<Capability>?

    package init(version: String? = nil, capabilities: Set<Capability>? = nil) {
        self.version = version
        self.capabilities = capabilities
    }

    mutating func add(_ capability: Capability, if isThere: Bool) {
        capabilities = (capabilities ?? []).union(isThere ? [capability] : [])
    }
}

/// Where a kind introduces itself.
package struct IntroductionPage: Sendable {
    package enum Place: Equatable, Sendable {
        /// One of the pages of each round.
        case page(String)
        /// The answer to a canary.
        case canary
    }

    package let place: Place
    private let reading: @Sendable (inout JSONCursor) -> Introduction

    init(_ place: Place, reading: @escaping @Sendable (inout JSONCursor) -> Introduction) {
        self.place = place
        self.reading = reading
    }

    /// Nil for an answer that says nothing of the kind.
    package func read(status: Int, body: [UInt8]) -> Introduction? {
        guard (200..<300).contains(status) else { return nil }
        return body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            let introduction = reading(&cursor)
            return cursor.isBroken || introduction == Introduction() ? nil : introduction
        }
    }
}

// MARK: - Answers

extension Introduction {
    /// `{"version":"0.12.0",…}`, under the kind's own name. Of a longer text the version is what stands before `end`.
    static func version(
        _ cursor: inout JSONCursor, in member: StaticString, before end: UInt8? = nil
    ) -> Introduction {
        var introduction = Introduction()
        cursor.forEachMember { cursor, key in
            guard cursor.isWord(key, member), cursor.peek() == UInt8(ascii: "\"") else { return cursor.skipValue() }
            introduction.version = text(&cursor, before: end)
        }
        return introduction
    }

    /// llama-server's `/props`: `{"build_info":"b6000-…","modalities":{"vision":false,…},"endpoint_slots":true,
    /// "chat_template_caps":{"supports_tools":false,…},…}`. A router tells its build alone.
    static func llamaProperties(_ cursor: inout JSONCursor) -> Introduction {
        var introduction = Introduction()
        cursor.forEachMember { cursor, key in
            let isObject = cursor.peek() == UInt8(ascii: "{")
            if cursor.isWord(key, "build_info"), cursor.peek() == UInt8(ascii: "\"") {
                introduction.version = text(&cursor)
            } else if cursor.isWord(key, "modalities"), isObject {
                introduction.add([("vision", .vision), ("audio", .audio), ("video", .video)], &cursor)
            } else if cursor.isWord(key, "chat_template_caps"), isObject {
                introduction.add([("supports_tools", .tools)], &cursor)
            } else if cursor.isWord(key, "endpoint_slots") {
                introduction.add(.slots, if: isTrue(&cursor))
            } else if cursor.isWord(key, "endpoint_metrics") {
                introduction.add(.metrics, if: isTrue(&cursor))
            } else {
                cursor.skipValue()
            }
        }
        return introduction
    }

    /// vllm-mlx's `/health`: `{"model_type":"llm",…}`, or `mllm` for a model that sees. It tells no version anywhere; the one
    /// of its `/openapi.json` is a constant of long ago.
    static func vllmHealth(_ cursor: inout JSONCursor) -> Introduction {
        var introduction = Introduction()
        cursor.forEachMember { cursor, key in
            guard cursor.isWord(key, "model_type"), cursor.peek() == UInt8(ascii: "\"") else {
                return cursor.skipValue()
            }
            guard let type = cursor.string() else { return }
            introduction.add(.vision, if: cursor.isWord(type, "mllm"))
        }
        return introduction
    }

    private mutating func add(_ members: [(StaticString, Capability)], _ cursor: inout JSONCursor) {
        cursor.forEachMember { cursor, key in
            guard let member = members.first(where: { cursor.isWord(key, $0.0) }) else { return cursor.skipValue() }
            add(member.1, if: Self.isTrue(&cursor))
        }
    }

    private static func isTrue(_ cursor: inout JSONCursor) -> Bool {
        let value = cursor.value()
        return cursor.isWord(value, "true")
    }

    /// A version has neither spaces nor escapes.
    private static func text(_ cursor: inout JSONCursor, before end: UInt8? = nil) -> String? {
        guard let range = cursor.string() else { return nil }
        let bytes = cursor.bytes[range].prefix { $0 != end }
        let isPlain = bytes.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") }
        guard isPlain, (1...versionBytesMax).contains(bytes.count) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
