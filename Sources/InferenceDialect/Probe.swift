/// Questions to a worker about itself, and what its answers mean.
package struct ProbeRequest: Equatable, Sendable {
    package enum Subject: Equatable, Sendable { case health, models, properties }

    package let path: String
    package let subject: Subject

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
    /// Exchanges it says to run at a time; nil when this answer does not tell.
    package var slots: Int?

    package init(life: Life, models: [String]? = nil, slots: Int? = nil) {
        self.life = life
        self.models = models
        self.slots = slots
    }
}

extension ProbeReading {
    /// Names that are looked at; a catalogue may be long.
    static let modelsMax = 256
    static let nameBytesMax = 256

    /// OpenAI's list: `{"data":[{"id":"…"},…]}`.
    static func list(_ reply: ProbeReply) -> ProbeReading {
        guard (200..<300).contains(reply.status) else { return ProbeReading(life: .failed) }
        let models: [String]? = reply.body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            guard cursor.take(UInt8(ascii: "{")) else { return nil }
            var isFirst = true
            while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirst) {
                isFirst = false
                guard let key = cursor.key() else { return nil }
                if cursor.isWord(key, "data"), cursor.peek() == UInt8(ascii: "[") { return names(&cursor) }
                cursor.skipValue()
            }
            return nil
        }
        return ProbeReading(life: .alive, models: models)
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

    private static func names(_ cursor: inout JSONCursor) -> [String] {
        _ = cursor.take(UInt8(ascii: "["))
        var names: [String] = []
        var isFirst = true
        while names.count < modelsMax, cursor.another(before: UInt8(ascii: "]"), isFirst: isFirst) {
            isFirst = false
            guard cursor.take(UInt8(ascii: "{")) else {
                cursor.skipValue()
                continue
            }
            var isFirstMember = true
            while cursor.another(before: UInt8(ascii: "}"), isFirst: isFirstMember) {
                isFirstMember = false
                guard let key = cursor.key() else { return names }
                guard cursor.isWord(key, "id"), cursor.peek() == UInt8(ascii: "\"") else {
                    cursor.skipValue()
                    continue
                }
                // A name with an escape would have to be decoded to be sent back; nobody has one.
                if let range = cursor.string(), (1...nameBytesMax).contains(range.count),
                    !cursor.bytes[range].contains(UInt8(ascii: "\\"))
                {
                    let name = String(decoding: cursor.bytes[range], as: UTF8.self)
                    if !names.contains(name) { names.append(name) }
                }
            }
        }
        return names
    }
}
