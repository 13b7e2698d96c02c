/// Members of a JSON object that come piece by piece, in the order in which they first came; each as the bytes it will be
/// written as.
struct GatheredMembers: Sendable {
    enum Value: Sendable {
        /// The inside of a string, escapes as they are.
        case text([UInt8])
        /// Any other value, whole.
        case whole([UInt8])
        /// The elements of an array, with the commas between them.
        case elements([UInt8])
        case members(GatheredMembers)
        /// Objects that say in `index` which of the list they belong to.
        case list([Int: GatheredMembers])
    }

    struct Member: Sendable {
        let name: [UInt8]
        var value: Value
    }

    /// Entries of a list: no answer calls that many tools.
    static let listMax = 128
    /// Objects in objects that are followed; what lies deeper is kept whole.
    static let depthMax = 4

    private(set) var members: [Member] = []
    private(set) var bytes = 0
    private(set) var isTooLarge = false

    var isEmpty: Bool { members.isEmpty }

    func has(_ name: StaticString) -> Bool { members.contains { Self.says($0.name, name) } }

    private static func says(_ name: [UInt8], _ word: StaticString) -> Bool {
        name.elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }

    // MARK: Taking

    /// Keeps the value at the cursor unless the name has one already.
    mutating func keepFirst(_ key: Range<Int>, _ cursor: inout JSONCursor) {
        let value = cursor.value()
        guard !value.isEmpty, position(of: cursor.bytes[key]) == nil else { return }
        set(cursor.bytes[key], .whole(Array(cursor.bytes[value])))
    }

    /// Keeps the value at the cursor in place of what the name had.
    mutating func keepLast(_ key: Range<Int>, _ cursor: inout JSONCursor) {
        let value = cursor.value()
        guard !value.isEmpty else { return }
        set(cursor.bytes[key], .whole(Array(cursor.bytes[value])))
    }

    /// Takes an object of pieces in: text is put behind text and elements behind elements, objects are followed, null says
    /// nothing; of other values the last stays.
    mutating func gather(_ cursor: inout JSONCursor, depth: Int = 0) {
        cursor.forEachMember { cursor, key in take(key, &cursor, depth: depth) }
    }

    /// The value of `key`, which the cursor stands before.
    mutating func take(_ key: Range<Int>, _ cursor: inout JSONCursor, depth: Int = 0) {
        let name = cursor.bytes[key]
        switch cursor.peek() {
        case UInt8(ascii: "n"): cursor.skipValue()
        case UInt8(ascii: "\""):
            guard let inside = cursor.string() else { return }
            // Names and kinds are told once; a server that repeats them means the same.
            let isTold =
                cursor.isWord(key, "role") || cursor.isWord(key, "id") || cursor.isWord(key, "type")
                || cursor.isWord(key, "name")
            append(UnsafeRawBufferPointer(rebasing: cursor.bytes[inside]), to: name, isTold: isTold)
        case UInt8(ascii: "{") where cursor.isWord(key, "arguments"):
            // The arguments of a call are text in an answer.
            let value = cursor.value()
            var text: [UInt8] = []
            JSONString.append(String(decoding: cursor.bytes[value], as: UTF8.self), to: &text)
            append(text.dropFirst().dropLast(), to: name, isTold: false)
        case UInt8(ascii: "{") where depth < Self.depthMax:
            var inner = GatheredMembers()
            if let place = position(of: name), case .members(let known) = members[place].value { inner = known }
            bytes -= inner.bytes
            // Emptied first, so that the copy is the only one while it grows.
            set(name, .whole([]))
            inner.gather(&cursor, depth: depth + 1)
            set(name, .members(inner))
            bytes += inner.bytes
            if inner.isTooLarge { isTooLarge = true }
        case UInt8(ascii: "[") where cursor.isWord(key, "tool_calls"): takeList(name, &cursor, depth: depth)
        case UInt8(ascii: "["):
            var elements: [UInt8] = []
            if let place = position(of: name), case .elements(let known) = members[place].value { elements = known }
            let before = elements.count
            set(name, .whole([]))
            cursor.forEachElement { cursor in
                let value = cursor.value()
                if !elements.isEmpty { elements.append(UInt8(ascii: ",")) }
                elements.append(contentsOf: cursor.bytes[value])
            }
            bytes += elements.count - before
            set(name, .elements(elements))
        default:
            let value = cursor.value()
            set(name, .whole(Array(cursor.bytes[value])))
        }
    }

    private mutating func takeList(_ name: Slice<UnsafeRawBufferPointer>, _ cursor: inout JSONCursor, depth: Int) {
        var list: [Int: GatheredMembers] = [:]
        if let place = position(of: name), case .list(let known) = members[place].value { list = known }
        set(name, .whole([]))
        var position = 0
        cursor.forEachElement { cursor in
            guard cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
            var ahead = cursor
            var index = position
            ahead.forEachMember { cursor, key in
                if cursor.isWord(key, "index") { index = cursor.integer() ?? index } else { cursor.skipValue() }
            }
            position += 1
            guard list[index] != nil || list.count < Self.listMax else {
                isTooLarge = true
                return cursor.skipValue()
            }
            var entry = list.removeValue(forKey: index) ?? GatheredMembers()
            bytes -= entry.bytes
            cursor.forEachMember { cursor, key in
                if cursor.isWord(key, "index") {
                    cursor.skipValue()
                } else {
                    entry.take(key, &cursor, depth: depth + 1)
                }
            }
            bytes += entry.bytes
            if entry.isTooLarge { isTooLarge = true }
            list[index] = entry
        }
        set(name, .list(list))
    }

    private mutating func append(
        _ text: some Collection<UInt8>, to name: Slice<UnsafeRawBufferPointer>, isTold: Bool
    ) {
        guard let place = position(of: name), case .text(var known) = members[place].value else {
            return set(name, .text(Array(text)))
        }
        if isTold, !known.isEmpty { return }
        // Emptied first: text grows in place, not in a copy for each piece.
        members[place].value = .text([])
        known.append(contentsOf: text)
        bytes += text.count
        members[place].value = .text(known)
    }

    private func position(of name: Slice<UnsafeRawBufferPointer>) -> Int? {
        members.firstIndex { $0.name.elementsEqual(name) }
    }

    private mutating func set(_ name: Slice<UnsafeRawBufferPointer>, _ value: Value) {
        if let place = position(of: name) {
            bytes += Self.size(value) - Self.size(members[place].value)
            members[place].value = value
            return
        }
        guard members.count < AnswerAssembly.membersMax else {
            isTooLarge = true
            return
        }
        members.append(Member(name: Array(name), value: value))
        bytes += name.count + Self.size(value)
    }

    /// Bytes of a value that `set` counts; those of compound values are counted where they grow.
    private static func size(_ value: Value) -> Int {
        switch value {
        case .text(let bytes), .whole(let bytes): bytes.count
        case .elements, .members, .list: 0
        }
    }

    /// Takes all members of another object over, in place of what their names had.
    mutating func keepLast(all other: GatheredMembers) {
        for member in other.members {
            guard case .whole(let value) = member.value else { continue }
            member.name.withUnsafeBytes { set($0[...], .whole(value)) }
        }
    }

    mutating func replace(_ name: StaticString, with value: [UInt8]) {
        let bytes = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        set(bytes[...], .whole(value))
    }

    /// What `key` was told to be, if it was told.
    func told(_ key: Range<Int>, of cursor: JSONCursor) -> [UInt8]? {
        guard let place = position(of: cursor.bytes[key]), case .whole(let value) = members[place].value else {
            return nil
        }
        return value
    }

    // MARK: Writing

    /// `"name":value,…`, without braces. Lists are written in ascending order of their indexes, a call with its type.
    func write(to out: inout [UInt8]) {
        for (place, member) in members.enumerated() {
            if place > 0 { out.append(UInt8(ascii: ",")) }
            out.append(UInt8(ascii: "\""))
            out.append(contentsOf: member.name)
            out.append(contentsOf: "\":".utf8)
            switch member.value {
            case .text(let text):
                out.append(UInt8(ascii: "\""))
                out.append(contentsOf: text)
                out.append(UInt8(ascii: "\""))
            case .whole(let bytes): out.append(contentsOf: bytes)
            case .elements(let elements):
                out.append(UInt8(ascii: "["))
                out.append(contentsOf: elements)
                out.append(UInt8(ascii: "]"))
            case .members(let inner):
                out.append(UInt8(ascii: "{"))
                inner.write(to: &out)
                out.append(UInt8(ascii: "}"))
            case .list(let list):
                out.append(UInt8(ascii: "["))
                for (place, index) in list.keys.sorted().enumerated() {
                    out.append(contentsOf: (place > 0 ? ",{" : "{").utf8)
                    list[index]!.write(to: &out)
                    if !list[index]!.has("type") {
                        out.append(contentsOf: (list[index]!.isEmpty ? "" : ",").utf8)
                        out.append(contentsOf: #""type":"function""#.utf8)
                    }
                    out.append(UInt8(ascii: "}"))
                }
                out.append(UInt8(ascii: "]"))
            }
        }
    }
}
