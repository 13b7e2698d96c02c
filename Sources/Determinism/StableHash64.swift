/// A hash that is the same on every replica, in every process, at every start: XXH64 (Collet), streaming.
///
/// Swift's own `Hasher` is seeded per process, so rings and fingerprints built on it would differ between replicas.
package struct StableHash64: Sendable {
    private static let p1: UInt64 = 0x9e37_79b1_85eb_ca87
    private static let p2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
    private static let p3: UInt64 = 0x1656_67b1_9e37_79f9
    private static let p4: UInt64 = 0x85eb_ca77_c2b2_ae63
    private static let p5: UInt64 = 0x27d4_eb2f_1656_67c5

    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64
    private var v4: UInt64
    private let seed: UInt64
    private var total: UInt64 = 0
    /// Bytes that do not fill a stripe of 32 yet.
    private var tail: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var tailCount = 0

    package init(seed: UInt64 = 0) {
        self.seed = seed
        v1 = seed &+ Self.p1 &+ Self.p2
        v2 = seed &+ Self.p2
        v3 = seed
        v4 = seed &- Self.p1
    }

    package static func hash(_ text: some StringProtocol, seed: UInt64 = 0) -> UInt64 {
        var state = StableHash64(seed: seed)
        state.update(text)
        return state.digest()
    }

    package static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
        var state = StableHash64(seed: seed)
        state.update(bytes)
        return state.digest()
    }

    package mutating func update(_ text: some StringProtocol) {
        var text = String(text)
        text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
    }

    /// Adds eight bytes, least significant first.
    package mutating func update(_ value: UInt64) {
        // Words after words, as nearly always: no byte has to be moved.
        let word = value.littleEndian
        switch tailCount {
        case 0: tail.0 = word
        case 8: tail.1 = word
        case 16: tail.2 = word
        case 24:
            stripe(tail.0, tail.1, tail.2, word)
            total &+= 8
            tailCount = 0
            return
        default: return withUnsafeBytes(of: word) { update($0) }
        }
        total &+= 8
        tailCount += 8
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        total &+= UInt64(bytes.count)
        var offset = 0
        if tailCount > 0 {
            let take = min(32 - tailCount, bytes.count)
            withUnsafeMutableBytes(of: &tail) { room in
                room.baseAddress!.advanced(by: tailCount).copyMemory(from: base, byteCount: take)
            }
            tailCount += take
            offset = take
            guard tailCount == 32 else { return }
            stripe(tail.0, tail.1, tail.2, tail.3)
            tailCount = 0
        }
        while bytes.count - offset >= 32 {
            stripe(
                bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self))
            offset += 32
        }
        let rest = bytes.count - offset
        if rest > 0 {
            withUnsafeMutableBytes(of: &tail) { room in
                room.baseAddress!.copyMemory(from: base.advanced(by: offset), byteCount: rest)
            }
            tailCount = rest
        }
    }

    /// The hash of everything added so far; more may follow.
    package func digest() -> UInt64 {
        var hash: UInt64
        if total >= 32 {
            hash = Self.rotate(v1, 1) &+ Self.rotate(v2, 7) &+ Self.rotate(v3, 12) &+ Self.rotate(v4, 18)
            for lane in [v1, v2, v3, v4] { hash = (hash ^ Self.round(0, lane)) &* Self.p1 &+ Self.p4 }
        } else {
            hash = seed &+ Self.p5
        }
        hash &+= total
        withUnsafeBytes(of: tail) { rest in
            var offset = 0
            while tailCount - offset >= 8 {
                let word = UInt64(littleEndian: rest.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                hash = Self.rotate(hash ^ Self.round(0, word), 27) &* Self.p1 &+ Self.p4
                offset += 8
            }
            if tailCount - offset >= 4 {
                let word = UInt32(littleEndian: rest.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                hash = Self.rotate(hash ^ (UInt64(word) &* Self.p1), 23) &* Self.p2 &+ Self.p3
                offset += 4
            }
            while offset < tailCount {
                hash = Self.rotate(hash ^ (UInt64(rest[offset]) &* Self.p5), 11) &* Self.p1
                offset += 1
            }
        }
        hash = (hash ^ (hash >> 33)) &* Self.p2
        hash = (hash ^ (hash >> 29)) &* Self.p3
        return hash ^ (hash >> 32)
    }

    private mutating func stripe(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) {
        v1 = Self.round(v1, UInt64(littleEndian: a))
        v2 = Self.round(v2, UInt64(littleEndian: b))
        v3 = Self.round(v3, UInt64(littleEndian: c))
        v4 = Self.round(v4, UInt64(littleEndian: d))
    }

    private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 { rotate(lane &+ word &* p2, 31) &* p1 }
    private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 { (value << bits) | (value >> (64 &- bits)) }
}
