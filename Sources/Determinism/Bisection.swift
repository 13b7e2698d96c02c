/// Tables that every replica must walk in one order are arrays that stay sorted by a key: dense, and looked up far more
/// often than changed. A **place** is where a key stands or would be inserted, a **position** where it does stand.
///
/// `@inlinable`, since the members of a flock are looked up for every packet: without it each step would be two calls
/// through closures that cannot be seen.
extension Array {
    /// The first element whose key is not below `key`; `count` if there is none.
    @inlinable package func place<Key: Comparable>(of key: Key, sortedBy keyOf: (Element) -> Key) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if keyOf(self[middle]) < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Of equal ones the first; nil if no element has that key.
    @inlinable package func position<Key: Comparable>(of key: Key, sortedBy keyOf: (Element) -> Key) -> Int? {
        let place = place(of: key, sortedBy: keyOf)
        return place < count && keyOf(self[place]) == key ? place : nil
    }
}
