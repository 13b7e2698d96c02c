/// Questions to a worker about itself, and what its answers mean.
package struct ProbeRequest: Equatable, Sendable {
    package enum Subject: Equatable, Sendable { case health, models, properties, residents }

    package let path: String
    package let subject: Subject

    /// Whether the answer may tell which models are in memory. Lists do for some kinds.
    package var tellsResidents: Bool { subject == .residents || subject == .models }

    package init(path: String, subject: Subject) {
        self.path = path
        self.subject = subject
    }
}

package struct ProbeReply: Sendable {
    package let request: ProbeRequest
    package let status: Int
    package let body: [UInt8]

    package init(request: ProbeRequest, status: Int, body: [UInt8]) {
        self.request = request
        self.status = status
        self.body = body
    }

    /// Whether the body has `words`, white space aside.
    func says(_ words: StaticString) -> Bool {
        let text = body.prefix(Self.searchedBytesMax).filter { $0 > 0x20 }
        return AnswerStart(status: status, contentType: nil, body: text).says(words)
    }

    /// Health pages are short.
    static let searchedBytesMax = 4 << 10
}

package struct ProbeReading: Equatable, Sendable {
    package enum Life: Equatable, Sendable {
        case alive, loading, dead
        /// It answered, and not as its kind does.
        case failed
    }

    package var life: Life
    /// Names under which it lists models; nil when this answer has no list.
    package var models: [String]?
    /// Other names that it takes for them.
    package var aliases: [String] = []
    /// False when the list was longer than what is looked at of it.
    package var listsAll = true
    package enum Residents: Equatable, Sendable {
        /// All it has: its models do not come and go.
        case all
        case only([String])
    }

    /// What it says of the models it lists, by name; only of those of which it says something.
    package var limits: [String: ModelLimits] = [:]
    /// Those of its models that are in memory; nil when this answer does not tell.
    package var resident: Residents?
    /// Exchanges it says to run at a time; nil when this answer does not tell.
    package var slots: Int?

    package init(life: Life, models: [String]? = nil, resident: Residents? = nil, slots: Int? = nil) {
        self.life = life
        self.models = models
        self.resident = resident
        self.slots = slots
    }
}

/// How large a model is, as its worker tells it; nil for what it does not tell.
package struct ModelLimits: Equatable, Sendable {
    /// Tokens that the model knows.
    package var vocabulary: Int?
    /// Tokens of one exchange, prompt and answer together.
    package var contextTokens: Int?

    package init(vocabulary: Int? = nil, contextTokens: Int? = nil) {
        self.vocabulary = vocabulary
        self.contextTokens = contextTokens
    }

    package static let unknown = ModelLimits()
}

extension ProbeReading {
    /// Names that are looked at; a catalogue may be long.
    static let modelsMax = 256
    static let nameBytesMax = 256
    static let aliasesMax = 16

    /// How a server writes a list of models.
    struct ListForm {
        let list: StaticString
        let name: StaticString
        /// The member that says whether a model is in memory, and its text; `true` stands for the word itself.
        var loaded: (member: StaticString, value: StaticString)?

        /// Whether members `aliases` and `meta` tell other names of a model and its limits.
        var tellsMore = false

        /// `{"data":[{"id":"…"},…]}`
        static let openAI = ListForm(list: "data", name: "id")
        /// The same with `"aliases":["…"],"meta":{"n_vocab":…,"n_ctx":…}`. `n_ctx` is what one slot has: the number by which a longer
        /// prompt is refused. Builds from before it was told have `n_ctx_train` alone, more than a slot may have.
        static let llamaCpp = ListForm(list: "data", name: "id", tellsMore: true)
    }

    /// A list of models; `form.loaded` also tells which are in memory.
    static func list(_ reply: ProbeReply, _ form: ListForm = .openAI) -> ProbeReading {
        guard (200..<300).contains(reply.status) else { return ProbeReading(life: .failed) }
        var reading = ProbeReading(life: .alive)
        reply.body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            guard enter(&cursor, form.list) else { return }
            var models: [String] = []
            var resident: [String] = []
            reading.listsAll = forEachEntry(&cursor, form) { name, aliases, isLoaded, limits in
                guard !models.contains(name) else { return }
                models.append(name)
                reading.aliases += aliases
                if isLoaded { resident.append(name) }
                if limits != .unknown { for name in [name] + aliases { reading.limits[name] = limits } }
            }
            reading.models = models
            if form.loaded != nil { reading.resident = .only(resident) }
        }
        return reading
    }

    /// Stands before the array that is this member of the outermost object.
    private static func enter(_ cursor: inout JSONCursor, _ member: StaticString) -> Bool {
        guard cursor.take(UInt8(ascii: "{")) else { return false }
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { return false }
            if cursor.isWord(key, member), cursor.peek() == UInt8(ascii: "[") { return true }
            cursor.skipValue()
        }
        return false
    }

    /// llama-server's `/props`: `{"total_slots":4,…}`.
    static func properties(_ reply: ProbeReply) -> ProbeReading {
        var reading = ProbeReading(life: .alive)
        guard (200..<300).contains(reply.status) else { return reading }
        reading.slots = reply.body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            guard cursor.take(UInt8(ascii: "{")) else { return nil }
            var isFirst = true
            while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
                isFirst = false
                guard let key = cursor.key() else { return nil }
                if cursor.isWord(key, "total_slots") { return cursor.integer().flatMap { $0 > 0 ? $0 : nil } }
                cursor.skipValue()
            }
            return nil
        }
        return reading
    }

    /// False when it stopped before the end.
    private static func forEachEntry(
        _ cursor: inout JSONCursor, _ form: ListForm,
        _ body: (_ name: String, _ aliases: [String], _ isLoaded: Bool, _ limits: ModelLimits) -> Void
    ) -> Bool {
        _ = cursor.take(UInt8(ascii: "["))
        var count = 0
        while cursor.another(before: UInt8(ascii: "]"), isFirst: count == 0) {
            guard count < modelsMax else { return false }
            count += 1
            guard cursor.take(UInt8(ascii: "{")) else {
                cursor.skipValue()
                continue
            }
            var name: String?
            var aliases: [String] = []
            var isLoaded = false
            var limits = ModelLimits.unknown
            var isFirstMember = true
            while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirstMember) {
                isFirstMember = false
                guard let key = cursor.key() else { return false }
                if cursor.isWord(key, form.name), name == nil, cursor.peek() == UInt8(ascii: "\"") {
                    name = cursor.string().flatMap { Self.name(cursor.bytes[$0]) }
                } else if let loaded = form.loaded, cursor.isWord(key, loaded.member) {
                    _ = cursor.peek()
                    let start = cursor.position
                    cursor.skipValue()
                    isLoaded = says(loaded.value, cursor.bytes[start..<cursor.position])
                } else if form.tellsMore, cursor.isWord(key, "aliases"), cursor.peek() == UInt8(ascii: "[") {
                    aliases = names(&cursor)
                } else if form.tellsMore, cursor.isWord(key, "meta"), cursor.peek() == UInt8(ascii: "{") {
                    limits = Self.limits(&cursor)
                } else {
                    cursor.skipValue()
                }
            }
            if let name { body(name, aliases, isLoaded, limits) }
        }
        return true
    }

    /// The strings of the array at the cursor, as far as they are names.
    private static func names(_ cursor: inout JSONCursor) -> [String] {
        var names: [String] = []
        cursor.forEachElement { cursor in
            guard cursor.peek() == UInt8(ascii: "\""), let text = cursor.string() else { return cursor.skipValue() }
            if names.count < aliasesMax, let name = name(cursor.bytes[text]) { names.append(name) }
        }
        return names
    }

    private static func limits(_ cursor: inout JSONCursor) -> ModelLimits {
        _ = cursor.take(UInt8(ascii: "{"))
        var limits = ModelLimits.unknown
        var isFirst = true
        while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let key = cursor.key() else { break }
            if cursor.isWord(key, "n_vocab") {
                limits.vocabulary = cursor.integer().flatMap { $0 > 0 ? $0 : nil }
            } else if cursor.isWord(key, "n_ctx") {
                limits.contextTokens = cursor.integer().flatMap { $0 > 0 ? $0 : nil }
            } else {
                cursor.skipValue()
            }
        }
        return limits
    }

    /// A name with an escape would have to be decoded to be sent back; nobody has one.
    static func name(_ bytes: Slice<UnsafeRawBufferPointer>) -> String? {
        guard (1...nameBytesMax).contains(bytes.count), !bytes.contains(UInt8(ascii: "\\")) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func says(_ word: StaticString, _ value: Slice<UnsafeRawBufferPointer>) -> Bool {
        let text = value.first == UInt8(ascii: "\"") ? value.dropFirst().dropLast() : value
        return text.elementsEqual(UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }
}
