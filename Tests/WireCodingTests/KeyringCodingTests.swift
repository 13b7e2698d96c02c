import Determinism
import Testing
import WireCoding

@Suite struct KeyringCodingTests {
    @Test("a ring has its golden bytes in a frame and in a file")
    func golden() throws {
        let ring = Self.ring
        var frame: [UInt8] = []
        ring.encodeFrame(into: &frame)
        #expect(frame == GoldenPackets.bytes(GoldenPackets.keyringFrame))
        var file: [UInt8] = []
        ring.encodeFile(into: &file)
        #expect(file == GoldenPackets.bytes(GoldenPackets.keyringFile))
    }

    @Test("a ring is read as it was written, and from a file with its times")
    func roundTrip() throws {
        let ring = Self.ring
        let fromFrame = try Self.frame(Self.frame(ring), now: 9)
        #expect(fromFrame.entries == ring.entries)
        #expect(fromFrame.slots.map(\.standing) == ring.slots.map(\.standing))
        #expect(fromFrame.slots.allSatisfy { $0.sinceMilliseconds == 9 })
        let fromFile = try Self.file(Self.file(ring))
        #expect(fromFile.entries == ring.entries)
        #expect(fromFile.slots.map(\.standing) == ring.slots.map(\.standing))
        #expect(fromFile.slots.map(\.sinceMilliseconds) == ring.slots.map(\.sinceMilliseconds))
        #expect(fromFile.nextSweepMilliseconds == ring.nextSweepMilliseconds)
        let empty = try Self.file(Self.file(Keyring()))
        #expect(empty.entries.isEmpty)
    }

    @Test("a file cut at any byte, with any bit flipped or with anything behind it is refused, with a place")
    func damage() throws {
        let file = Self.file(Self.ring)
        for count in 0..<file.count {
            let failure = Self.failure { try Self.file(Array(file.prefix(count))) }
            #expect((0...file.count).contains(failure?.offset ?? -1), "cut at \(count)")
        }
        for place in file.indices {
            for bit in 0..<8 {
                var flipped = file
                flipped[place] ^= 1 << bit
                let failure = Self.failure { try Self.file(flipped) }
                #expect((0...file.count).contains(failure?.offset ?? -1), "bit \(bit) of byte \(place)")
            }
        }
        #expect(Self.failure { try Self.file(file + [0]) } != nil)
    }

    @Test("each rule that a ring breaks is named, and where")
    func failures() {
        let good = Self.frame(Self.ring)
        func changed(_ place: Int, _ bytes: [UInt8]) -> [UInt8] {
            var frame = good
            frame.replaceSubrange(place..<(place + bytes.count), with: bytes)
            return frame
        }
        let rows: [(bytes: [UInt8], problem: KeyringFailure.Problem, offset: Int)] = [
            (good.dropLast(), .size(140), 0),
            (changed(1, [0]), .noID, 0),
            (changed(1, [9]), .order, 47),
            (changed(49, [4]), .state(4), 49),
            (changed(49, [3]), .secretOfGone, 62),
            (changed(62, Array(repeating: 0, count: 32)), .noSecret, 62),
            (good + Self.live(ids: 10..<13), .tooManyKeys, 235),
            (good + Self.gone(ids: 10..<74), .tooManyGone, 3_102),
            (good + Self.gone(ids: 10..<100), .size(141 + 90 * 47), 0),
        ]
        for row in rows {
            let failure = Self.failure { try Self.frame(row.bytes) }
            #expect(failure == KeyringFailure(problem: row.problem, offset: row.offset))
        }
        #expect(Self.failure { try Self.frame(good + Self.live(ids: 10..<12)) } == nil)
        #expect(Self.failure { try Self.frame(good + Self.gone(ids: 10..<73)) } == nil)
    }

    @Test(
        "what is wrong with a file is named, and where",
        arguments: [
            (0, 0, .notARing, 0), (9, 2, .version(2), 8), (11, 69, .count(69), 10), (30, 1, .checksum, 177),
        ] as [(Int, UInt8, KeyringFailure.Problem, Int)])
    func fileFailures(_ row: (place: Int, byte: UInt8, problem: KeyringFailure.Problem, offset: Int)) {
        var file = Self.file(Self.ring)
        file[row.place] = row.byte
        let failure = Self.failure { try Self.file(file) }
        #expect(failure == KeyringFailure(problem: row.problem, offset: row.offset))
        #expect(failure?.description.hasPrefix("byte \(row.offset): ") == true)
    }

    @Test("the largest ring fits the bounds, in a frame and in a file")
    func largest() throws {
        let bytes = Self.live(ids: 1..<5) + Self.gone(ids: 5..<69)
        #expect(bytes.count == Keyring.frameBytesMax)
        let ring = try Self.frame(bytes)
        let file = Self.file(ring)
        #expect(file.count == Keyring.fileBytesMax)
        #expect(try Self.file(file).entries == ring.entries)
    }

    /// Ids 1 (gone), 2 (retired by the next) and 3.
    static let ring: Keyring = {
        var ring = Keyring(first: .test(1))
        do {
            for id in 2...3 as ClosedRange<UInt16> {
                try ring.install(
                    .test(id), stamp: 0x1000 * UInt64(id), maker: GoldenPackets.subject,
                    wallMilliseconds: UInt64(id))
                try ring.use(id, isHeldByAll: true, wallMilliseconds: 0x1_0000 * UInt64(id))
            }
            try ring.remove(1, isImmediate: true, wallMilliseconds: 0x5_0000)
        } catch { Issue.record("\(error)") }
        return ring
    }()

    static func live(ids: Range<UInt16>) -> [UInt8] {
        ids.flatMap { [0, UInt8($0), 0] + Array(repeating: 0, count: 12) + Array(repeating: 7, count: 32) }
    }

    static func gone(ids: Range<UInt16>) -> [UInt8] {
        ids.flatMap { [0, UInt8($0), 3] + Array(repeating: 0, count: 44) }
    }

    static func frame(_ ring: Keyring) -> [UInt8] {
        var bytes: [UInt8] = []
        ring.encodeFrame(into: &bytes)
        return bytes
    }

    static func file(_ ring: Keyring) -> [UInt8] {
        var bytes: [UInt8] = []
        ring.encodeFile(into: &bytes)
        return bytes
    }

    static func frame(_ bytes: [UInt8], now: UInt64 = 0) throws -> Keyring {
        try bytes.withUnsafeBytes { try Keyring(frame: $0, wallMilliseconds: now) }
    }

    static func file(_ bytes: [UInt8]) throws -> Keyring {
        try bytes.withUnsafeBytes { try Keyring(file: $0) }
    }

    static func failure(_ body: () throws -> Keyring) -> KeyringFailure? {
        do { _ = try body() } catch { return error as? KeyringFailure }
        return nil
    }
}
