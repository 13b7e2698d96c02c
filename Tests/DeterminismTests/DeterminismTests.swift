import Determinism
import Testing

@Suite struct StableHashTests {
    @Test(
        "published XXH64 vectors",
        arguments: [
            ("", 0, 0xef46_db37_51d8_e999), ("a", 0, 0xd24e_c4f1_a98c_6e5b), ("abc", 0, 0x44bc_2cf5_ad77_0999),
            ("", 1, 0xd5af_ba13_36a3_be4b),
            ("Call me Ishmael. Some years ago--never mind how long precisely-", 0, 0x02a2_e854_70d6_fd96),
        ] as [(String, UInt64, UInt64)])
    func vectors(_ row: (String, UInt64, UInt64)) {
        #expect(StableHash64.hash(row.0, seed: row.1) == row.2)
    }

    @Test("bytes may come in any pieces")
    func pieces() {
        let bytes = (0..<100).map { UInt8($0) }
        let whole = bytes.withUnsafeBytes { StableHash64.hash($0) }
        for cut in 0...bytes.count {
            var state = StableHash64()
            bytes[..<cut].withUnsafeBytes { state.update($0) }
            bytes[cut...].withUnsafeBytes { state.update($0) }
            #expect(state.digest() == whole)
        }
    }
}

@Suite struct SeededGeneratorTests {
    @Test("the same seed gives the same sequence, another seed another one")
    func replay() {
        var one = SeededGenerator(seed: 7)
        var two = SeededGenerator(seed: 7)
        var other = SeededGenerator(seed: 8)
        let first = (0..<100).map { _ in one.next() }
        #expect(first == (0..<100).map { _ in two.next() })
        #expect(first != (0..<100).map { _ in other.next() })
    }

    @Test("below stays below and reaches every value")
    func below() {
        var generator = SeededGenerator(seed: 1)
        var seen = Set<UInt64>()
        for _ in 0..<1_000 { seen.insert(generator.below(7)) }
        #expect(seen == Set(0..<7))
    }
}

@Suite struct InstantTests {
    @Test("a deadline too far away is one that never comes")
    func saturation() {
        #expect(Instant(nanoseconds: .max - 1) + .seconds(1) == .never)
        #expect(Instant.never + .seconds(1) == .never)
        #expect(Instant.zero + .milliseconds(1_500) == Instant(nanoseconds: 1_500_000_000))
        #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
    }
}

@Suite struct BoundedQueueTests {
    @Test("takes what fits, refuses one more, keeps the order around the ring")
    func bound() {
        var queue = BoundedQueue<Int>(bound: 5)
        for round in 0..<20 {
            let accepted = (0..<6).map { queue.append(round * 10 + $0) }
            #expect(accepted == [true, true, true, true, true, false])
            let popped = (0..<6).map { _ in queue.popFirst() }
            #expect(popped == (0..<5).map { round * 10 + $0 } + [nil])
        }
    }
}
