/// First in, first out, never more than `bound`: what does not fit is refused, and the caller must say what that means.
package struct BoundedQueue<Element> {
    package let bound: Int
    private var storage: [Element?] = []
    private var head = 0
    package private(set) var count = 0

    package init(bound: Int) {
        precondition(bound > 0, "a queue without room is a bug")
        self.bound = bound
    }

    package var isEmpty: Bool { count == 0 }
    package var isFull: Bool { count == bound }
    package var first: Element? { count == 0 ? nil : storage[head] }

    /// False when full; the element is then not kept.
    package mutating func append(_ element: Element) -> Bool {
        guard count < bound else { return false }
        if count == storage.count { grow() }
        storage[(head + count) % storage.count] = element
        count += 1
        return true
    }

    package mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = storage[head]
        storage[head] = nil
        head = (head + 1) % storage.count
        count -= 1
        return element
    }

    /// Room doubles up to the bound, so an idle queue costs nothing.
    private mutating func grow() {
        var larger: [Element?] = []
        let capacity = Swift.min(bound, Swift.max(4, storage.count * 2))
        larger.reserveCapacity(capacity)
        for step in 0..<count { larger.append(storage[(head + step) % storage.count]) }
        while larger.count < capacity { larger.append(nil) }
        storage = larger
        head = 0
    }
}

extension BoundedQueue: Sendable where Element: Sendable {}
