/// A plain answer of the routes whose events have types: `/v1/responses` tells its whole answer in the last event,
/// `/v1/messages` a message and then its blocks, piece by piece.
struct TypedAnswer: Sendable {
    /// Blocks of one message.
    static let blocksMax = 128

    /// The last whole `response`, or the message as it began.
    private var whole: [UInt8] = []
    private var isFinished = false
    private var blocks: [Int: Block] = [:]
    /// What the end of a message tells: the reason to stop, and the usage.
    private var ending = GatheredMembers()
    private var usage = GatheredMembers()
    private(set) var isTooLarge = false

    private struct Block: Sendable {
        var members = GatheredMembers()
        /// The input of a tool: JSON that comes as text, piece by piece, escapes as they are.
        var input: [UInt8] = []
    }

    var bytes: Int {
        whole.count + ending.bytes + usage.bytes + blocks.values.reduce(0) { $0 + $1.members.bytes + $1.input.count }
    }

    mutating func read(_ cursor: inout JSONCursor, _ shape: AnswerAssembly.Shape) {
        var type = 0..<0
        var index = 0
        var ahead = cursor
        ahead.forEachMember { cursor, key in
            if cursor.isWord(key, "type"), cursor.peek() == UInt8(ascii: "\"") {
                type = cursor.string() ?? 0..<0
            } else if cursor.isWord(key, "index") {
                index = cursor.integer() ?? 0
            } else {
                cursor.skipValue()
            }
        }
        let isEnd =
            cursor.isWord(type, "response.completed") || cursor.isWord(type, "response.incomplete")
            || cursor.isWord(type, "response.failed")
        if cursor.isWord(type, "message_stop") { isFinished = true }
        cursor.forEachMember { cursor, key in
            if shape == .response ? isEnd && cursor.isWord(key, "response") : cursor.isWord(key, "message") {
                let value = cursor.value()
                whole = Array(cursor.bytes[value])
                if shape == .response { isFinished = true }
            } else if cursor.isWord(key, "content_block") || (cursor.isWord(key, "delta") && isOfBlock(type, cursor)) {
                take(&cursor, index)
            } else if cursor.isWord(key, "delta"), cursor.isWord(type, "message_delta") {
                cursor.forEachMember { cursor, key in ending.keepLast(key, &cursor) }
            } else if cursor.isWord(key, "usage"), cursor.peek() == UInt8(ascii: "{") {
                cursor.forEachMember { cursor, key in usage.keepLast(key, &cursor) }
            } else {
                cursor.skipValue()
            }
        }
        if ending.isTooLarge || usage.isTooLarge { isTooLarge = true }
    }

    private func isOfBlock(_ type: Range<Int>, _ cursor: JSONCursor) -> Bool {
        cursor.isWord(type, "content_block_delta")
    }

    /// A block's beginning or a piece of it. The type of a piece says how it is meant, and is not the block's own.
    private mutating func take(_ cursor: inout JSONCursor, _ index: Int) {
        guard blocks[index] != nil || blocks.count < Self.blocksMax else {
            isTooLarge = true
            return cursor.skipValue()
        }
        var block = blocks.removeValue(forKey: index) ?? Block()
        cursor.forEachMember { cursor, key in
            if cursor.isWord(key, "partial_json"), cursor.peek() == UInt8(ascii: "\"") {
                if let inside = cursor.string() { block.input.append(contentsOf: cursor.bytes[inside]) }
            } else {
                block.members.take(key, &cursor)
            }
        }
        if block.members.isTooLarge { isTooLarge = true }
        blocks[index] = block
    }

    /// The answer with the client's own name of the model.
    func write(
        _ shape: AnswerAssembly.Shape, _ model: String, to out: inout [UInt8]
    ) throws(AnswerAssembly.Failure) {
        guard isFinished, !whole.isEmpty else { throw .unfinished }
        out.append(UInt8(ascii: "{"))
        var isFirst = true
        var isReadable = true
        whole.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            cursor.forEachMember { cursor, key in
                if !isFirst { out.append(UInt8(ascii: ",")) }
                isFirst = false
                out.append(UInt8(ascii: "\""))
                out.append(contentsOf: cursor.bytes[key])
                out.append(contentsOf: "\":".utf8)
                let value = cursor.value()
                if cursor.isWord(key, "model") {
                    JSONString.append(model, to: &out)
                } else if shape == .message, cursor.isWord(key, "content") {
                    writeBlocks(to: &out)
                } else if shape == .message, cursor.isWord(key, "usage"), !usage.isEmpty {
                    writeUsage(cursor.bytes[value], to: &out)
                } else if shape == .message, let told = ending.told(key, of: cursor) {
                    out.append(contentsOf: told)
                } else {
                    out.append(contentsOf: cursor.bytes[value])
                }
            }
            isReadable = !cursor.isBroken
        }
        guard isReadable else { throw .unreadable }
        out.append(UInt8(ascii: "}"))
    }

    private func writeBlocks(to out: inout [UInt8]) {
        out.append(UInt8(ascii: "["))
        for (place, index) in blocks.keys.sorted().enumerated() {
            let block = blocks[index]!
            if place > 0 { out.append(UInt8(ascii: ",")) }
            out.append(UInt8(ascii: "{"))
            var members = block.members
            if !block.input.isEmpty { members.replace("input", with: Self.input(block.input)) }
            members.write(to: &out)
            out.append(UInt8(ascii: "}"))
        }
        out.append(UInt8(ascii: "]"))
    }

    /// What the pieces of a tool's input say together. A call that was cut short has none that could be read.
    private static func input(_ escaped: [UInt8]) -> [UInt8] {
        let json = JSONString.unescaped(escaped)
        let isWhole = json.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            _ = cursor.value()
            return !cursor.isBroken && cursor.peek() == 0
        }
        return isWhole ? json : Array("{}".utf8)
    }

    /// The usage that the message began with, and what its end told.
    private func writeUsage(_ begun: Slice<UnsafeRawBufferPointer>, to out: inout [UInt8]) {
        var merged = GatheredMembers()
        var cursor = JSONCursor(UnsafeRawBufferPointer(rebasing: begun))
        if cursor.peek() == UInt8(ascii: "{") {
            cursor.forEachMember { cursor, key in merged.keepLast(key, &cursor) }
        }
        merged.keepLast(all: usage)
        out.append(UInt8(ascii: "{"))
        merged.write(to: &out)
        out.append(UInt8(ascii: "}"))
    }
}
