/// Keys and values in the order of their last use, never more than `bound`: what was used longest ago makes room.
///
/// Values lie in one array whose places are linked in order of use, so nothing is allocated once it has grown.
package struct RecencyTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Node {
        var key: Key
        var value: Value
        var older: Int
        var newer: Int
    }

    private static var none: Int { -1 }

    package let bound: Int
    private var places: [Key: Int] = [:]
    private var nodes: [Node] = []
    private var free: [Int] = []
    /// Place of the key that was used longest ago, and of the one that was used last.
    private var oldestPlace = none
    private var newestPlace = none

    package init(bound: Int) {
        precondition(bound > 0, "a table without room is a bug")
        self.bound = bound
    }

    package var count: Int { places.count }

    /// Good until the next insertion or removal.
    package func place(of key: Key) -> Int? { places[key] }

    package subscript(place: Int) -> Value { nodes[place].value }

    /// By closures, since an accessor that yields costs an allocation where it is not inlined.
    package func read<R>(_ place: Int, _ body: (borrowing Value) -> R) -> R { body(nodes[place].value) }

    package mutating func update<R>(_ place: Int, _ body: (inout Value) -> R) -> R { body(&nodes[place].value) }

    package var oldest: (key: Key, value: Value)? {
        oldestPlace < 0 ? nil : (nodes[oldestPlace].key, nodes[oldestPlace].value)
    }

    package mutating func touch(_ place: Int) {
        guard place != newestPlace else { return }
        unlink(place)
        link(place)
    }

    /// Inserts it as the newest. The oldest makes room in a full table.
    package mutating func insert(_ value: Value, for key: Key) -> Int {
        if let place = places[key] {
            nodes[place].value = value
            touch(place)
            return place
        }
        if places.count >= bound { removeOldest() }
        let node = Node(key: key, value: value, older: Self.none, newer: Self.none)
        let place: Int
        if let reused = free.popLast() {
            nodes[reused] = node
            place = reused
        } else {
            place = nodes.count
            nodes.append(node)
        }
        places[key] = place
        link(place)
        return place
    }

    @discardableResult
    package mutating func remove(_ key: Key) -> Value? {
        guard let place = places.removeValue(forKey: key) else { return nil }
        unlink(place)
        free.append(place)
        return nodes[place].value
    }

    package mutating func removeOldest() {
        guard oldestPlace >= 0 else { return }
        remove(nodes[oldestPlace].key)
    }

    private mutating func link(_ place: Int) {
        nodes[place].older = newestPlace
        nodes[place].newer = Self.none
        if newestPlace >= 0 { nodes[newestPlace].newer = place } else { oldestPlace = place }
        newestPlace = place
    }

    private mutating func unlink(_ place: Int) {
        let (older, newer) = (nodes[place].older, nodes[place].newer)
        if older >= 0 { nodes[older].newer = newer } else { oldestPlace = newer }
        if newer >= 0 { nodes[newer].older = older } else { newestPlace = older }
    }
}
