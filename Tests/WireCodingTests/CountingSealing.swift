import Determinism
import Synchronization

@testable import WireCoding

/// A cipher of the right sizes and refusals that counts what it is asked: a keyed hash as tag, the text xored.
struct CountingSealing: PacketSealing {
    final class Counts: Sendable {
        let seals = Atomic<Int>(0)
        let opens = Atomic<Int>(0)
        let cookies = Atomic<Int>(0)

        var all: [Int] {
            [seals.load(ordering: .relaxed), opens.load(ordering: .relaxed), cookies.load(ordering: .relaxed)]
        }
    }

    let counts = Counts()
    let secret: UInt64
    var keys: [TrafficKey] = []

    init(secret: UInt64) { self.secret = secret }

    mutating func use(_ keys: [TrafficKey]) { self.keys = keys }

    mutating func seal(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool {
        counts.seals.add(1, ordering: .relaxed)
        guard let key = key(for: packet) else { return false }
        mix(text, with: key)
        tag.storeBytes(of: hash(clear, text, key), as: UInt64.self)
        tag.storeBytes(of: hash(clear, text, ~key), toByteOffset: 8, as: UInt64.self)
        return true
    }

    mutating func open(
        clear: UnsafeRawBufferPointer, text: UnsafeMutableRawBufferPointer, tag: UnsafeRawBufferPointer,
        for packet: SealedPacket
    ) -> Bool {
        counts.opens.add(1, ordering: .relaxed)
        guard let key = key(for: packet), tag.loadUnaligned(as: UInt64.self) == hash(clear, text, key),
            tag.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == hash(clear, text, ~key)
        else { return false }
        mix(text, with: key)
        return true
    }

    func cookie(for address: PeerAddress, slot: UInt32) -> UInt64 {
        counts.cookies.add(1, ordering: .relaxed)
        var hash = StableHash64(seed: secret)
        for word in [address.high, address.low, UInt64(address.port), UInt64(slot)] { hash.update(word) }
        return hash.digest()
    }

    private func key(for packet: SealedPacket) -> UInt64? {
        guard let key = keys.first(where: { $0.id == packet.keyID }) else { return nil }
        var hash = StableHash64(seed: packet.counter)
        key.secret.withBytes { hash.update($0) }
        hash.update(packet.session.rawValue)
        return hash.digest()
    }

    private func mix(_ text: UnsafeMutableRawBufferPointer, with key: UInt64) {
        for place in text.indices { text[place] ^= UInt8(truncatingIfNeeded: key >> UInt64(place % 8 * 8)) }
    }

    private func hash(_ clear: UnsafeRawBufferPointer, _ text: UnsafeMutableRawBufferPointer, _ key: UInt64) -> UInt64 {
        var hash = StableHash64(seed: key)
        hash.update(clear)
        hash.update(UnsafeRawBufferPointer(text))
        return hash.digest()
    }
}
