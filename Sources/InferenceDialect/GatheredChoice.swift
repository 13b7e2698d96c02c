/// One choice of an answer, put together of its chunks.
struct GatheredChoice: Sendable {
    let index: Int
    /// Of a chat: the members of the message. Of a text: `text`.
    private var message = GatheredMembers()
    private var logprobs: GatheredMembers?
    private var finishReason: [UInt8] = []
    private var others = GatheredMembers()

    init(index: Int) { self.index = index }

    var isFinished: Bool { !finishReason.isEmpty }
    var bytes: Int { message.bytes + (logprobs?.bytes ?? 0) + finishReason.count + others.bytes }
    var isTooLarge: Bool { message.isTooLarge || logprobs?.isTooLarge == true || others.isTooLarge }

    mutating func read(_ cursor: inout JSONCursor) {
        cursor.forEachMember { cursor, key in
            if cursor.isWord(key, "index") {
                cursor.skipValue()
            } else if cursor.isWord(key, "delta"), cursor.peek() == UInt8(ascii: "{") {
                message.gather(&cursor)
            } else if cursor.isWord(key, "text"), cursor.peek() == UInt8(ascii: "\"") {
                message.take(key, &cursor)
            } else if cursor.isWord(key, "logprobs") {
                guard cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
                var gathered = logprobs ?? GatheredMembers()
                logprobs = nil
                gathered.gather(&cursor)
                logprobs = gathered
            } else if cursor.isWord(key, "finish_reason") {
                let value = cursor.value()
                if cursor.bytes[value].first == UInt8(ascii: "\"") { finishReason = Array(cursor.bytes[value]) }
            } else if !cursor.isWord(key, "usage"), !cursor.isWord(key, "delta"), !cursor.isWord(key, "text") {
                others.keepLast(key, &cursor)
            } else {
                cursor.skipValue()
            }
        }
    }

    func write(isChat: Bool, wantsLogprobs: Bool, to out: inout [UInt8]) {
        out.append(contentsOf: #"{"index":\#(index),"#.utf8)
        if isChat {
            out.append(contentsOf: #""message":{"#.utf8)
            if !message.has("role") { out.append(contentsOf: #""role":"assistant","#.utf8) }
            // An answer of calls alone has no content, and says so.
            if !message.has("content") { out.append(contentsOf: #""content":null"#.utf8) }
            if !message.isEmpty, !message.has("content") { out.append(UInt8(ascii: ",")) }
            message.write(to: &out)
            out.append(contentsOf: "},".utf8)
        } else if message.has("text") {
            message.write(to: &out)
            out.append(UInt8(ascii: ","))
        } else {
            out.append(contentsOf: #""text":"","#.utf8)
        }
        if let logprobs {
            out.append(contentsOf: #""logprobs":{"#.utf8)
            logprobs.write(to: &out)
            out.append(contentsOf: "},".utf8)
        } else if !isChat || wantsLogprobs {
            out.append(contentsOf: #""logprobs":null,"#.utf8)
        }
        if !others.isEmpty {
            others.write(to: &out)
            out.append(UInt8(ascii: ","))
        }
        out.append(contentsOf: #""finish_reason":"#.utf8)
        out.append(contentsOf: finishReason)
        out.append(UInt8(ascii: "}"))
    }
}
