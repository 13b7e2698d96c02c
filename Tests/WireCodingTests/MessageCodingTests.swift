import Determinism
import Testing
import WireCoding

@Suite struct MessageCodingTests {
    @Test("every kind has its golden bytes, and they are read as it")
    func golden() {
        for row in GoldenPackets.messages {
            let bytes = GoldenPackets.bytes(row.bytes)
            #expect(encoded([row.message]) == bytes, "\(row.name)")
            #expect(decoded(bytes) == .success([row.message]), "\(row.name)")
            #expect(row.message.encodedCount == bytes.count, "\(row.name)")
        }
        #expect(Set(GoldenPackets.messages.map(\.message.kind)) == Set(MessageKind.allCases))
    }

    @Test("what is written is read again, many messages in a row", arguments: [1, 2, 3, 4] as [UInt64])
    func roundTrip(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let messages = (0..<random.below(12)).map { _ in Message.drawn(&random) }
            let bytes = encoded(messages)
            #expect(decoded(bytes) == .success(messages))
            #expect(bytes.count == messages.reduce(0) { $0 + $1.encodedCount })
        }
    }

    @Test("a message cut anywhere, or one byte too long, spoils its packet, and nothing of it is kept")
    func lengths() {
        let first = Message.ping(Ping(probe: 1, attempt: 0))
        for row in GoldenPackets.messages {
            let bytes = GoldenPackets.bytes(row.bytes)
            for count in 1..<bytes.count {
                #expect(decoded(encoded([first]) + bytes.prefix(count)) == .failure(.decode), "\(row.name) \(count)")
            }
            for length in 0..<(bytes.count - 3) {
                let cut = [bytes[0], 0, UInt8(length)] + bytes[3..<(3 + length)]
                // Fewer receipts are receipts as well.
                let isWhole = row.name == "receipt" && length % 8 == 0
                #expect((decoded(cut) == .failure(.decode)) != isWhole, "\(row.name) of \(length)")
            }
            let mayGrow = [.ack, .member, .views, .agedMember].contains(row.message.kind)
            let longer = [bytes[0], 0, bytes[2] + 1] + bytes[3...] + [7]
            #expect(decoded(longer) == (mayGrow ? .success([row.message]) : .failure(.decode)), "\(row.name)")
        }
    }

    @Test("an unknown kind below 0x80 is passed over, one above spoils the packet; the known are the table's")
    func unknownKinds() {
        let before = Message.ping(Ping(probe: 1, attempt: 0))
        let after = Message.keyringNotice(2)
        for type in UInt8.min...UInt8.max where MessageKind(rawValue: type) == nil {
            let bytes = encoded([before]) + [type, 0, 3, 1, 2, 3] + encoded([after])
            #expect(decoded(bytes) == (type < 0x80 ? .success([before, after]) : .failure(.version)), "\(type)")
        }
        #expect(
            MessageKind.allCases.map(\.rawValue)
                == [1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 19, 20, 21, 27, 30])
    }

    @Test(
        "an unknown value or a reserved bit skips its message alone",
        arguments: [
            ("01 0005 00000001 03", "a fourth attempt"), ("02 0007 00000001 13 0000", "the attempt of an ack"),
            ("04 0009 00000001 a1a2a3a4 03", "a reason"),
            ("06 0011 a1a2a3a4 00000000 00000005 04 b1b2b3b4", "a status"),
            ("06 0011 a1a2a3a4 00000000 00000005 41 b1b2b3b4", "a bit beside the status"),
            ("08 0018 c1c2c3c4 a1a2a3a4 00000007 05 09 0102 0304 63 02 0506 0000", "a state"),
            ("08 0018 c1c2c3c4 a1a2a3a4 00000007 04 09 0102 0304 63 02 0506 0001", "the reserved field"),
            (
                "12 0028 81 00 0102 0000000000000000 0000ffff0a000000 0102030405060708 a1a2a3a4 00000258 00000001",
                "a prefix of 129 bits"
            ),
            (
                "12 0028 78 02 0102 0000000000000000 0000ffff0a000000 0102030405060708 a1a2a3a4 00000258 00000001",
                "a flag of a block"
            ),
            (
                "14 0029 0908070605040302 0102030405060708090a0b0c0d0e0f10 5152535455565758 b1b2b3b4 0000003c 03",
                "a flag of a removal"
            ),
            ("1e 0015 c1c2c3c4 03 0102030405060708 a1a2a3a4 00000002", "an order"),
            (
                "05 0043 0102030405060708090a0b0c0d0e0f10 5152535455565758 61626364 04 03 01 02 71727374"
                    + "8182838485868788 1f90 1f0a 00000000000000000000ffff0a000001 0304 00", "the status of a member"
            ),
        ])
    func unknownValues(_ row: (bytes: String, name: String)) {
        let beside = Message.receipt([9])
        let bytes = encoded([beside]) + GoldenPackets.bytes(row.bytes) + encoded([beside])
        #expect(decoded(bytes) == .success([beside, beside]))
    }

    @Test("counts stand at their bounds, one more is no packet of ours")
    func bounds() {
        let load = WorkerLoadNews(worker: GoldenPackets.worker, running: 1, queued: 2, promptTokens: 3, outputTokens: 4)
        let loads = Message.workerLoad(Array(repeating: load, count: WorkerLoadNews.countMax))
        let receipts = Message.receipt(Array(repeating: 5, count: Message.receiptsMax))
        #expect(decoded(encoded([loads, receipts])) == .success([loads, receipts]))
        let oneMore: [UInt8] = [17] + [4, 17] + [65] + Array(repeating: 0, count: 65 * 16)
        #expect(decoded(oneMore) == .failure(.decode))
        #expect(decoded([19, 0, 136] + Array(repeating: 0, count: 136)) == .failure(.decode))
        let faults = Fault.collected {
            let tooMany = Message.receipt(Array(repeating: 5, count: Message.receiptsMax + 1))
            #expect(encoded([tooMany]) == encoded([receipts]))
        }
        #expect(faults.count == 1)
    }

    @Test(
        "a name that is too long, no UTF-8 or has control characters is no packet of ours",
        arguments: [[0xff], [0x0a], [0xc2, 0x85], [0xc3], Array(repeating: 0x61, count: 33)] as [[UInt8]])
    func names(_ name: [UInt8]) {
        var bytes = encoded([.member(GoldenPackets.member)])
        bytes.removeLast(6)
        bytes += [UInt8(name.count)] + name
        bytes[2] = UInt8(67 + name.count)
        #expect(decoded(bytes) == .failure(.decode))
    }

    @Test("short messages are written and read without growing what has room")
    func capacity() {
        var bytes: [UInt8] = []
        var messages: [Message] = []
        bytes.reserveCapacity(Datagram.bytesMax)
        messages.reserveCapacity(150)
        let places = (bytes.capacity, messages.capacity)
        for row in GoldenPackets.messages { row.message.encode(into: &bytes) }
        #expect(bytes.withUnsafeBytes { Message.decodeAll($0, into: &messages) } == nil)
        #expect(messages.count == GoldenPackets.messages.count)
        #expect(places == (bytes.capacity, messages.capacity))
    }
}

func encoded(_ messages: [Message]) -> [UInt8] {
    var bytes: [UInt8] = []
    for message in messages { message.encode(into: &bytes) }
    return bytes
}

/// Also checks that a spoiled packet leaves what was there before.
func decoded(_ bytes: [UInt8]) -> Result<[Message], DropReason> {
    let kept = Message.keyringNotice(.max)
    var messages = [kept]
    let reason = bytes.withUnsafeBytes { Message.decodeAll($0, into: &messages) }
    #expect(messages.first == kept)
    if let reason {
        #expect(messages.count == 1)
        return .failure(reason)
    }
    return .success(Array(messages.dropFirst()))
}
