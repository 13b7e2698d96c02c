import Determinism
import Testing
import WireCoding

@Suite struct FrameCodingTests {
    @Test("every kind of frame has its golden bytes, and they are read as it")
    func golden() {
        for row in GoldenPackets.frames {
            let bytes = GoldenPackets.bytes(row.bytes)
            #expect(Self.written(row.frame) == bytes, "\(row.name)")
            #expect(Self.read(bytes) == .success(row.frame), "\(row.name)")
        }
    }

    @Test("what is written is read again", arguments: [1, 2] as [UInt64])
    func roundTrip(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let frame = StreamFrame.drawn(&random)
            #expect(Self.read(Self.written(frame)) == .success(frame))
        }
    }

    @Test("a frame cut anywhere is malformed, unless a shorter one stands there")
    func cut() {
        for row in GoldenPackets.frames {
            let bytes = GoldenPackets.bytes(row.bytes)
            for count in 0..<bytes.count {
                let result = Self.read(Array(bytes.prefix(count)))
                switch row.frame {
                case .keyring, .summary, .records: #expect(result != .success(row.frame))
                default: #expect(result == .failure(.malformed), "\(row.name) \(count)")
                }
            }
            let longer = Self.read(bytes + [0x61])
            switch row.frame {
            // Later releases may append: to a record of a member its fields, to a refusal its words.
            case .joinRequest, .joinRefused: #expect(longer == .success(row.frame), "\(row.name)")
            case .keyring: #expect(longer == .success(.keyring([1, 2, 3, 0x61])))
            default: #expect(longer == .failure(.malformed), "\(row.name)")
            }
        }
    }

    @Test("unknown kinds below 0x80 and unknown values are passed over; flags, zeros and the rest are not")
    func unknown() {
        let known: Set<UInt8> = [1, 2, 3, 4, 5, 6, 8, 14]
        for code in UInt8.min...UInt8.max where !known.contains(code) {
            #expect(Self.read([code, 0, 0, 0, 9]) == .failure(code < 0x80 ? .unknown : .malformed))
        }
        #expect(Self.read([4, 0, 0, 0, 6]) == .failure(.unknown))
        #expect(Self.read(GoldenPackets.bytes("01 00 0000 11121314 03 a1a2a3a4")) == .failure(.unknown))
        for place in 1..<4 {
            var done: [UInt8] = [14, 0, 0, 0]
            done[place] = 1
            #expect(Self.read(done) == .failure(.malformed))
        }
        let strange = GoldenPackets.bytes("06 00 0000 a1a2a3a4 00000005 04 31323334 b1b2b3b4 ffffffff 00 00000000")
        #expect(
            Self.read(strange)
                == .success(
                    .summary([
                        MemberSummary(short: GoldenPackets.accuser, incarnation: .ceiling, status: .alive, life: 0)
                    ])))
    }

    @Test("records are records: a ping among them is malformed, what is unknown is passed over")
    func records() {
        let order = GoldenPackets.messages.last!.message
        #expect(
            Self.read([8, 0, 0, 0] + encoded([order, .ping(Ping(probe: 1, attempt: 0))])) == .failure(.malformed))
        #expect(Self.read([8, 0, 0, 0, 0x7f, 0, 1, 9] + encoded([order])) == .success(.records([order])))
        #expect(Self.read([8, 0, 0, 0, 0x80, 0, 1, 9] + encoded([order])) == .failure(.malformed))
        #expect(
            MessageKind.allCases.filter(\.isRecord).map(\.rawValue) == [5, 8, 18, 20, 27, 30])
    }

    @Test("records that are too many for a frame take several, in their order")
    func splitting() {
        let one = Message.agedMember(age: 1, GoldenPackets.member)
        let fitting = StreamFrame.recordBytesMax / one.encodedCount
        for count in [0, 1, fitting, fitting + 1, 3 * fitting + 1] {
            let messages = (0..<count).map { Message.agedMember(age: UInt32($0), GoldenPackets.member) }
            let frames = StreamFrame.records(of: [.keyringNotice(1)] + messages)
            #expect(frames.count == (count + fitting - 1) / fitting)
            var found: [Message] = []
            for frame in frames {
                let bytes = Self.written(frame)
                #expect(bytes.count <= StreamFrame.headerBytes + StreamFrame.recordBytesMax)
                guard case .success(.records(let some)) = Self.read(bytes) else { continue }
                found += some
            }
            #expect(found == messages)
        }
    }

    @Test("frames stand at their bounds, one more is malformed")
    func bounds() {
        let summary = MemberSummary(short: GoldenPackets.subject, incarnation: .ceiling, status: .left, life: 1)
        let summaries = StreamFrame.summary(Array(repeating: summary, count: StreamFrame.summariesMax))
        let bytes = Self.written(summaries)
        #expect(Self.read(bytes) == .success(summaries))
        #expect(Self.read(bytes + bytes[4..<17]) == .failure(.malformed))
        let ring = Array(repeating: 1, count: Keyring.frameBytesMax) as [UInt8]
        #expect(Self.read([5, 0, 0, 0] + ring) == .success(.keyring(ring)))
        #expect(Self.read([5, 0, 0, 0] + ring + [1]) == .failure(.malformed))
        let unknown = [0x7f, 0xff, 0xfd] + Array(repeating: 0, count: 0xfffd) as [UInt8]
        #expect(Self.read([8, 0, 0, 0] + unknown) == .success(.records([])))
        #expect(Self.read([8, 0, 0, 0] + unknown + [1, 0, 0]) == .failure(.malformed))
        let text = Array(repeating: 0x61, count: 200) as [UInt8]
        #expect(Self.read([4, 0, 0, 0, 5] + text) == .success(.joinRefused(.busy)))
        #expect(Self.read([4, 0, 0, 0, 5] + text + [0x61]) == .failure(.malformed))
        let faults = Fault.collected {
            let tooMany = StreamFrame.summary(Array(repeating: summary, count: StreamFrame.summariesMax + 1))
            #expect(Self.written(tooMany) == bytes)
            #expect(Self.written(.records([.keyringNotice(1)])) == [8, 0, 0, 0])
        }
        #expect(faults.count == 2)
    }

    static func written(_ frame: StreamFrame) -> [UInt8] {
        var bytes: [UInt8] = []
        frame.encode(into: &bytes)
        return bytes
    }

    static func read(_ bytes: [UInt8]) -> Result<StreamFrame, FrameProblem> {
        bytes.withUnsafeBytes { StreamFrame.decode($0) }
    }
}

extension StreamFrame {
    static func drawn(_ random: inout SeededGenerator) -> StreamFrame {
        switch random.index(8) {
        case 0:
            .ping(
                Ping(probe: random.word(), attempt: UInt8(random.index(3)), isOnBehalf: random.coin()),
                destination: random.short())
        case 1:
            .ack(
                Ack(probe: random.word(), attempt: UInt8(random.index(3)), lagMilliseconds: random.word()),
                destination: random.short())
        case 2: .joinRequest(.drawn(&random))
        case 3: .joinRefused(random.one(of: JoinRefusal.allCases))
        case 4: .keyring((0..<random.index(100)).map { _ in random.word() })
        case 5:
            .summary(
                (0..<random.index(10)).map { _ in
                    MemberSummary(
                        short: random.short(), incarnation: Incarnation(rawValue: random.word()),
                        status: random.one(of: MemberStatus.allCases), life: random.word())
                })
        case 6:
            .records(
                (0..<random.index(10)).map { _ in
                    .drawn(random.one(of: MessageKind.allCases.filter(\.isRecord)), &random)
                })
        default: .done
        }
    }
}
