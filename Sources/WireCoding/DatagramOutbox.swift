import Determinism

/// Datagrams on their way out, one after the other in one buffer that is used again: a steady replica allocates nothing.
package struct DatagramOutbox: Sendable {
    package struct Entry: Sendable {
        package let to: PeerAddress
        package let start: Int
        package let count: Int
    }

    /// Longer than its datagrams are, once there were more of them.
    package private(set) var bytes: [UInt8] = []
    package private(set) var entries: [Entry] = []
    private var end = 0

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    /// Appends a datagram of `count` bytes that `body` fills, unless it says that it could not.
    @discardableResult
    package mutating func append(
        to: PeerAddress, count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Bool
    ) -> Bool {
        let start = end
        if bytes.count - start < count {
            bytes.append(contentsOf: repeatElement(0, count: start + count - bytes.count))
        }
        let isFilled = bytes.withUnsafeMutableBytes {
            body(UnsafeMutableRawBufferPointer(rebasing: $0[start..<(start + count)]))
        }
        guard isFilled else { return false }
        entries.append(Entry(to: to, start: start, count: count))
        end = start + count
        return true
    }

    package func withDatagram<R>(_ entry: Entry, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        bytes.withUnsafeBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[entry.start..<(entry.start + entry.count)]))
        }
    }

    package mutating func removeAll() {
        entries.drain()
        end = 0
    }
}
