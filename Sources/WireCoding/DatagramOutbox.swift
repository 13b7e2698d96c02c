/// Datagrams on their way out, one after the other in one buffer that is used again: a steady replica allocates nothing.
package struct DatagramOutbox: Sendable {
    package struct Entry: Sendable {
        package let to: PeerAddress
        package let start: Int
        package let count: Int
    }

    package private(set) var bytes: [UInt8] = []
    package private(set) var entries: [Entry] = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    /// Appends a datagram of `count` bytes that `body` fills, unless it says that it could not.
    @discardableResult
    package mutating func append(
        to: PeerAddress, count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Bool
    ) -> Bool {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: count))
        let isFilled = bytes.withUnsafeMutableBytes {
            body(UnsafeMutableRawBufferPointer(rebasing: $0[start..<(start + count)]))
        }
        if isFilled {
            entries.append(Entry(to: to, start: start, count: count))
        } else {
            bytes.removeSubrange(start...)
        }
        return isFilled
    }

    package func withDatagram<R>(_ entry: Entry, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        bytes.withUnsafeBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[entry.start..<(entry.start + entry.count)]))
        }
    }

    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }
}
