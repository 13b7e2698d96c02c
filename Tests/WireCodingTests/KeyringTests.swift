import Determinism
import Testing
import WireCoding

@Suite struct KeyringTests {
    @Test("rotating a key: install, use, retired at once, removed after a day, never back")
    func rotation() throws {
        var ring = Keyring(first: .test(1))
        #expect(ring.keyIDs == KeyIDs(1))
        try ring.install(.test(9), stamp: 100, maker: .test, wallMilliseconds: 1_000)
        #expect(ring.trafficKeys.map(\.id) == [1, 9])
        #expect(throws: Keyring.Refusal.notHeldByAll) {
            try ring.use(9, isHeldByAll: false, wallMilliseconds: 2_000)
        }
        try ring.use(9, isHeldByAll: true, wallMilliseconds: 2_000)
        #expect(ring.trafficKeys.map(\.id) == [9, 1])
        #expect(ring.primary?.id == 9)
        #expect(ring.slots.map(\.standing) == [.retired, .primary])
        let due = 2_000 + Keyring.retiredMilliseconds
        #expect(ring.nextSweepMilliseconds == due)
        let sweeps = [due - 1, due, due].map { ring.sweep(wallMilliseconds: $0) }
        #expect(sweeps == [false, true, false])
        #expect(ring.trafficKeys.map(\.id) == [9])
        #expect(ring.nextSweepMilliseconds == nil)
        var back = Keyring(first: .test(1))
        back.merge(ring, wallMilliseconds: due)
        let hasLearnt = ring.merge(Keyring(first: .test(1)), wallMilliseconds: due)
        #expect(!hasLearnt)
        #expect(back.trafficKeys.map(\.id) == [9])
        #expect(back.hash == ring.hash)
    }

    @Test("every refusal has its reason, and changes nothing")
    func refusals() throws {
        var ring = Keyring(first: .test(1))
        for id in 2...4 as ClosedRange<UInt16> {
            try ring.install(.test(id), stamp: 0, maker: .test, wallMilliseconds: 0)
        }
        try ring.use(3, isHeldByAll: true, wallMilliseconds: 0)
        try ring.retire(1, wallMilliseconds: 0)
        #expect(ring.slots.map(\.standing) == [.retired, .retired, .primary, .staged])
        let before = ring.entries
        typealias Act = (inout Keyring) throws(Keyring.Refusal) -> Void
        func refused(_ act: Act) -> Keyring.Refusal? {
            do throws(Keyring.Refusal) { try act(&ring) } catch { return error }
            return nil
        }
        func installing(_ id: UInt16) -> Act {
            { (ring: inout Keyring) throws(Keyring.Refusal) in
                try ring.install(.test(id), stamp: 0, maker: .test, wallMilliseconds: 0)
            }
        }
        func using(_ id: UInt16) -> Act {
            { (ring: inout Keyring) throws(Keyring.Refusal) in
                try ring.use(id, isHeldByAll: true, wallMilliseconds: 0)
            }
        }
        func removing(_ id: UInt16) -> Act {
            { (ring: inout Keyring) throws(Keyring.Refusal) in
                try ring.remove(id, isImmediate: false, wallMilliseconds: 5)
            }
        }
        func retiring(_ id: UInt16) -> Act {
            { (ring: inout Keyring) throws(Keyring.Refusal) in try ring.retire(id, wallMilliseconds: 0) }
        }
        #expect(refused(installing(0)) == .idTaken)
        #expect(refused(installing(4)) == .idTaken)
        #expect(refused(installing(5)) == .full)
        #expect(refused(using(5)) == .unknownKey)
        #expect(refused(using(3)) == .alreadyPrimary)
        #expect(refused(using(1)) == .keyRetired)
        #expect(refused(using(2)) == .keyRetired, "it is older than the key that seals")
        #expect(refused(retiring(3)) == .isPrimary)
        #expect(refused(removing(3)) == .isPrimary)
        #expect(refused(removing(1)) == .retiredRecently)
        #expect(ring.entries == before)
        try ring.remove(1, isImmediate: true, wallMilliseconds: 5)
        #expect(refused(using(1)) == .keyGone)
        #expect(refused(removing(1)) == .keyGone)
        #expect(refused(installing(1)) == .idTaken)
        #expect(refused(installing(5)) == nil)
    }

    @Test("a clock that is late cannot make a key that never seals")
    func lateClock() throws {
        var ring = Keyring(first: .test(1))
        try ring.install(.test(2), stamp: 1 << 60, maker: .test, wallMilliseconds: 0)
        try ring.use(2, isHeldByAll: true, wallMilliseconds: 0)
        try ring.install(.test(3), stamp: 7, maker: .test, wallMilliseconds: 0)
        try ring.use(3, isHeldByAll: true, wallMilliseconds: 0)
        #expect(ring.primary?.id == 3)
    }

    @Test("two rotations at once: both sides name the same key, and the other still opens")
    func concurrentRotations() throws {
        var left = Keyring(first: .test(1))
        var right = left
        try left.install(.test(8), stamp: 50, maker: .test, wallMilliseconds: 0)
        try left.use(8, isHeldByAll: true, wallMilliseconds: 0)
        try right.install(.test(7), stamp: 51, maker: .test, wallMilliseconds: 0)
        try right.use(7, isHeldByAll: true, wallMilliseconds: 0)
        let before = right
        right.merge(left, wallMilliseconds: 0)
        left.merge(before, wallMilliseconds: 0)
        #expect(left.trafficKeys.map(\.id) == [7, 8, 1])
        #expect(right.trafficKeys.map(\.id) == [7, 8, 1])
        // The winner is removed before it has spread: the older primary takes its place again.
        left.merge(.single(7, stamp: 51, state: .gone), wallMilliseconds: 0)
        #expect(left.trafficKeys.map(\.id) == [8, 1])
    }

    @Test("rings in which too many keys meet keep the one that seals and the newest")
    func overflow() throws {
        var left = Keyring(first: .test(1))
        var right = left
        for step in 0..<3 as Range<UInt16> {
            try left.install(.test(10 + step), stamp: UInt64(10 + 2 * step), maker: .test, wallMilliseconds: 0)
            try right.install(.test(20 + step), stamp: UInt64(11 + 2 * step), maker: .test, wallMilliseconds: 0)
        }
        let before = right
        right.merge(left, wallMilliseconds: 0)
        left.merge(before, wallMilliseconds: 0)
        #expect(left.trafficKeys.map(\.id) == [1, 22, 12, 21])
        #expect(left.entries == right.entries)
    }

    @Test("a ring remembers 64 keys that are gone, and the derived one longest")
    func goneBound() throws {
        var ring = Keyring(first: .test(1))
        for id in 2...100 as ClosedRange<UInt16> {
            try ring.install(.test(id), stamp: UInt64(id), maker: .test, wallMilliseconds: 0)
            try ring.use(id, isHeldByAll: true, wallMilliseconds: 0)
            try ring.remove(id - 1, isImmediate: true, wallMilliseconds: 0)
        }
        #expect(ring.slots.count == Keyring.goneMax + 1)
        #expect(ring.entries.map(\.id) == [1] + Array(37...100))
        let hasLearnt = ring.merge(Keyring(first: .test(1)), wallMilliseconds: 0)
        #expect(!hasLearnt)
    }

    @Test("a key is promoted after two seconds in which all have listed it without a break")
    func promotion() throws {
        var ring = Keyring(first: .test(1))
        var promotion = KeyPromotion()
        var listed: Set<UInt16> = []
        func ask(_ milliseconds: Int64) -> UInt16? {
            promotion.promoted(in: ring, at: .zero + .milliseconds(milliseconds)) { listed.contains($0) }
        }
        #expect(ask(0) == nil)
        try ring.install(.test(2), stamp: 0, maker: .test, wallMilliseconds: 0)
        #expect(ask(100) == nil)
        #expect(promotion.nextDeadline == nil)
        listed = [2]
        #expect(ask(200) == nil)
        #expect(promotion.nextDeadline == .zero + .milliseconds(2_200))
        #expect(ask(2_199) == nil)
        listed = []
        #expect(ask(2_200) == nil)
        listed = [2]
        #expect(ask(3_000) == nil)
        try ring.install(.test(3), stamp: 0, maker: .test, wallMilliseconds: 0)
        listed = [2, 3]
        #expect(ask(4_900) == nil, "another candidate waits for itself")
        #expect(ask(6_899) == nil)
        #expect(ask(6_900) == 3)
        try ring.use(3, isHeldByAll: true, wallMilliseconds: 0)
        #expect(ask(6_901) == nil)
    }

    @Test("no way of printing a ring shows a byte of a key")
    func redacted() {
        let secret = TrafficSecret(Array(repeating: 0xab, count: 32))!
        let key = TrafficKey(id: 1, secret: secret)
        let ring = Keyring(first: key)
        var dumped = ""
        dump(ring, to: &dumped)
        for text in ["\(ring)", String(reflecting: ring), dumped, "\(key)", "\(ring.entries)"] {
            #expect(text.contains("redacted"))
            for trace in ["171", "ab", "12370169555311111083"] { #expect(!text.contains(trace)) }
        }
    }
}

extension Keyring {
    /// A ring of one entry, made of its bytes.
    static func single(_ id: UInt16, stamp: UInt64, state: State, salt: UInt8 = 0) -> Keyring {
        var bytes: [UInt8] = []
        bytes.append(count: 15) {
            $0.u16(id)
            $0.u8(state.rawValue)
            $0.u64(stamp)
            $0.u32(ReplicaShortID.test.rawValue)
        }
        TrafficKey.test(id, salt).secret.withBytes { secret in
            bytes += state == .gone ? Array(repeating: 0, count: 32) : Array(secret)
        }
        return bytes.withUnsafeBytes { bytes in
            do { return try Keyring(frame: bytes, wallMilliseconds: 0) } catch {
                Issue.record("\(error)")
                return Keyring()
            }
        }
    }
}

extension TrafficKey {
    static func test(_ id: UInt16, _ salt: UInt8 = 0) -> TrafficKey {
        let bytes: [UInt8] = [UInt8(truncatingIfNeeded: id >> 8), UInt8(truncatingIfNeeded: id), salt]
        return TrafficKey(id: id, secret: TrafficSecret(bytes + Array(repeating: 0x5a, count: 29))!)
    }
}

extension ReplicaShortID {
    static let test = ReplicaShortID(rawValue: 5)
}
