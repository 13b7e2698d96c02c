import Determinism
import WireCoding

/// Bytes that were right once: bits are flipped, ends cut and grown, two packets spliced, lengths made wrong by one, zero
/// or all ones, and types replaced by others.
enum Mutation {
    static func mutated(_ corpus: [[UInt8]], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = random.one(of: corpus)
        for _ in 0...random.index(3) { mutate(&bytes, corpus, &random) }
        return bytes
    }

    private static func mutate(_ bytes: inout [UInt8], _ corpus: [[UInt8]], _ random: inout SeededGenerator) {
        let place = random.index(bytes.count + 1)
        switch random.index(9) {
        case 0: if place < bytes.count { bytes[place] ^= 1 << random.below(8) }
        case 1: if place < bytes.count { bytes[place] = random.word() }
        case 2: bytes.removeSubrange(place...)
        case 3: bytes += (0...random.index(20)).map { _ in random.word() }
        case 4: bytes.replaceSubrange(place..., with: random.one(of: corpus).suffix(random.index(80)))
        case 5: bytes.insert(contentsOf: random.one(of: corpus).prefix(random.index(120)), at: place)
        case 6: changeLength(in: &bytes, &random)
        case 7: changeType(in: &bytes, &random)
        default:
            let end = min(bytes.count, place + random.index(12))
            bytes.removeSubrange(place..<end)
        }
    }

    private static func changeLength(in bytes: inout [UInt8], _ random: inout SeededGenerator) {
        let heads = heads(of: bytes)
        guard !heads.isEmpty else { return }
        let place = random.one(of: heads) + 1
        let length = UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1])
        let other = random.one(of: [length &+ 1, length &- 1, 0, .max])
        bytes[place] = UInt8(other >> 8)
        bytes[place + 1] = UInt8(truncatingIfNeeded: other)
    }

    private static func changeType(in bytes: inout [UInt8], _ random: inout SeededGenerator) {
        let heads = heads(of: bytes)
        guard !heads.isEmpty else { return }
        let known = random.one(of: MessageKind.allCases).rawValue
        bytes[random.one(of: heads)] = random.one(of: [known, known, 0, 22, 0x7f, 0x80, 0xff])
    }

    /// Where messages start, if these bytes are some: at the front, or behind the head of a frame.
    private static func heads(of bytes: [UInt8]) -> [Int] {
        var heads: [Int] = []
        var place = bytes.first == 8 && bytes.dropFirst().prefix(3).allSatisfy { $0 == 0 } ? 4 : 0
        while place + 3 <= bytes.count {
            heads.append(place)
            place += 3 + Int(bytes[place + 1]) << 8 + Int(bytes[place + 2])
        }
        return heads
    }
}
