/// The bytes of this release. A later release appends its own rows and decodes these for ever: a row that has to be
/// changed is a flock that cannot be upgraded while it runs.
import WireCoding

enum GoldenPackets {
    static let replica = ReplicaID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)
    static let subject = ReplicaShortID(rawValue: 0xa1a2_a3a4)
    static let accuser = ReplicaShortID(rawValue: 0xb1b2_b3b4)
    static let session = SessionID(rawValue: 0x5152_5354_5556_5758)
    static let worker = WorkerShortID(rawValue: 0xc1c2_c3c4)

    static let member = MemberRecord(
        id: replica, session: session, incarnation: Incarnation(rawValue: 0x6162_6364), status: .suspect,
        flags: [.ready, .settled], protocolMin: 1, protocolMax: 2, agreement: 0x7172_7374,
        keyIDs: KeyIDs(0x8182, 0x8384, 0x8586, 0x8788), httpPort: 8_080,
        address: PeerAddress(ipv4: 0x0a00_0001, port: 7_946), versionMajor: 3, versionMinor: 4,
        name: ShortText(clipping: "möwe"))
    static let memberBytes =
        "0102030405060708090a0b0c0d0e0f10 5152535455565758 61626364 01 03 01 02 71727374 8182838485868788 1f90 1f0a"
        + "00000000000000000000ffff0a000001 0304 05 6dc3b67765"

    static let messages: [(name: String, message: Message, bytes: String)] = [
        ("ping", .ping(Ping(probe: 0x1112_1314, attempt: 2)), "01 0005 11121314 02"),
        ("ping for another", .ping(Ping(probe: 1, attempt: 1, isOnBehalf: true)), "01 0005 00000001 81"),
        ("ack", .ack(Ack(probe: 0x1112_1314, attempt: 0, lagMilliseconds: 300)), "02 0007 11121314 00 012c"),
        ("ack for another", .ack(Ack(probe: 1, attempt: 1, isOnBehalf: true)), "02 0007 00000001 81 0000"),
        (
            "pingReq", .indirectPing(IndirectPing(probe: 0x1112_1314, target: subject, budgetMilliseconds: 0x2122)),
            "03 000a 11121314 a1a2a3a4 2122"
        ),
        (
            "nack", .nack(Nack(probe: 0x1112_1314, target: subject, reason: .refused)),
            "04 0009 11121314 a1a2a3a4 02"
        ),
        ("member", .member(member), "05 0048 " + memberBytes),
        (
            "state",
            .state(
                StateNews(
                    subject: subject, life: 0x3132_3334, incarnation: Incarnation(rawValue: 5), status: .suspect,
                    accuser: accuser)),
            "06 0011 a1a2a3a4 31323334 00000005 01 b1b2b3b4"
        ),
        (
            "state, refused",
            .state(
                StateNews(
                    subject: subject, life: 0, incarnation: .ceiling, status: .dead, isRefused: true, accuser: accuser)),
            "06 0011 a1a2a3a4 00000000 ffffffff 82 b1b2b3b4"
        ),
        (
            "leave", .leave(LeaveNews(subject: subject, incarnation: Incarnation(rawValue: 6), session: session)),
            "07 0010 a1a2a3a4 00000006 5152535455565758"
        ),
        (
            "workerHealth",
            .workerHealth(
                WorkerHealthNews(
                    worker: worker, observer: subject, epoch: 7, state: .down, reason: 9, running: 0x0102,
                    waiting: 0x0304, cachePercent: 99, memoryPressure: 2, firstTokenMilliseconds: 0x0506)),
            "08 0018 c1c2c3c4 a1a2a3a4 00000007 04 09 0102 0304 63 02 0506 0000"
        ),
        ("keyringNotice", .keyringNotice(0x0102_0304_0506_0708), "0f 0008 0102030405060708"),
        (
            "views", .views(Views(replicaRing: 1, workerRing: 2, workerHealth: 3, addressBlocks: 0x0405_0607)),
            "10 0010 00000001 00000002 00000003 04050607"
        ),
        (
            "workerLoad",
            .workerLoad([
                WorkerLoadNews(worker: worker, running: 1, queued: 2, promptTokens: 3, outputTokens: 4),
                WorkerLoadNews(
                    worker: WorkerShortID(rawValue: 5), running: 0xffff, queued: 0, promptTokens: .max, outputTokens: 0),
            ]),
            "11 0021 02 c1c2c3c4 0001 0002 00000003 00000004 00000005 ffff 0000 ffffffff 00000000"
        ),
        (
            "addressBlock",
            .addressBlock(
                AddressBlockNews(
                    prefixLength: 120, isCleared: true, reason: 0x0102, high: 0, low: 0xffff_0a00_0000,
                    stamp: 0x0102_0304_0506_0708, origin: subject, durationSeconds: 600, ageSeconds: 1)),
            "12 0028 78 01 0102 0000000000000000 0000ffff0a000000 0102030405060708 a1a2a3a4 00000258 00000001"
        ),
        ("receipt", .receipt([1, .max]), "13 0010 0000000000000001 ffffffffffffffff"),
        (
            "removed",
            .removed(
                RemovedNews(
                    tombstone: 0x0908_0706_0504_0302, id: replica, session: session, by: accuser, ageSeconds: 60,
                    isPruned: true)),
            "14 0029 0908070605040302 0102030405060708090a0b0c0d0e0f10 5152535455565758 b1b2b3b4 0000003c 01"
        ),
        (
            "misdelivered", .misdelivered(Misdelivered(sought: subject, mine: accuser, session: session)),
            "15 0010 a1a2a3a4 b1b2b3b4 5152535455565758"
        ),
        ("agedMember", .agedMember(age: 3_600, member), "1b 004c 00000e10 " + memberBytes),
        (
            "workerOrder",
            .workerOrder(
                WorkerOrderNews(
                    worker: worker, order: .remove, stamp: 0x0102_0304_0506_0708, origin: subject, ageSeconds: 2)),
            "1e 0015 c1c2c3c4 02 0102030405060708 a1a2a3a4 00000002"
        ),
    ]

    static let clearHeaders: [(name: String, header: ClearHeader, bytes: String)] = [
        (
            "data", ClearHeader(keyID: 0x0102, session: session, counter: 0x0304),
            "10 00 0102 5152535455565758 0000000000000304"
        ),
        (
            "data that wants a receipt",
            ClearHeader(isReceiptWanted: true, keyID: 0x0102, session: session, counter: .max),
            "10 01 0102 5152535455565758 ffffffffffffffff"
        ),
        (
            "hello",
            ClearHeader(
                keyID: 0xffff, session: session, counter: 1,
                hello: ClearHeader.Hello(echo: 0, challenge: 0x0102_0304_0506_0708)),
            "11 00 ffff 5152535455565758 0000000000000001 0000000000000000 0102030405060708"
        ),
    ]

    static let innerHeader = PacketHeader(
        destination: subject, source: accuser, incarnation: Incarnation(rawValue: 5),
        membershipDigest: 0x0102_0304_0506_0708, keyLogDigest: 0x1112_1314_1516_1718)
    static let innerHeaderBytes = "a1a2a3a4 b1b2b3b4 00000005 0102030405060708 1112131415161718"

    static let frames: [(name: String, frame: StreamFrame, bytes: String)] = [
        (
            "ping", .ping(Ping(probe: 0x1112_1314, attempt: 0), destination: subject),
            "01 00 0000 11121314 00 a1a2a3a4"
        ),
        (
            "ack", .ack(Ack(probe: 0x1112_1314, attempt: 0, lagMilliseconds: 9), destination: subject),
            "02 00 0000 11121314 00 0009 a1a2a3a4"
        ),
        ("joinRequest", .joinRequest(member), "03 00 0000 " + memberBytes),
        ("joinRefused", .joinRefused(.shortIDTaken), "04 00 0000 04"),
        ("keyring", .keyring([1, 2, 3]), "05 00 0000 010203"),
        (
            "summary",
            .summary([
                MemberSummary(short: subject, incarnation: Incarnation(rawValue: 5), status: .left, life: 0x3132_3334),
                MemberSummary(short: accuser, incarnation: .ceiling, status: .alive, life: 0),
            ]),
            "06 00 0000 a1a2a3a4 00000005 03 31323334 b1b2b3b4 ffffffff 00 00000000"
        ),
        (
            "records",
            .records([
                .agedMember(age: 1, member),
                .workerOrder(
                    WorkerOrderNews(worker: worker, order: .drain, stamp: 2, origin: subject, ageSeconds: 3)),
            ]),
            "08 00 0000 1b 004c 00000001 " + memberBytes + "1e 0015 c1c2c3c4 01 0000000000000002 a1a2a3a4 00000003"
        ),
        ("done", .done, "0e 00 0000"),
    ]

    static let keyringFrame =
        "0001 03 0000000000000000 00000000 "
        + "0000000000000000000000000000000000000000000000000000000000000000 0002 01 0000000000002000 "
        + "a1a2a3a4 0002005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a 0003 01 "
        + "0000000000003000 a1a2a3a4 0003005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
    static let keyringFile =
        "5354524c52494e47 0001 0003 0001 03 0000000000000000 00000000 "
        + "0000000000000000000000000000000000000000000000000000000000000000 0000000000050000 0002 01 "
        + "0000000000002000 a1a2a3a4 0002005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a "
        + "0000000000030000 0003 01 0000000000003000 a1a2a3a4 "
        + "0003005a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a 0000000000030000 "
        + "d4d0d524b80ae0fe"

    /// Whitespace is for readers.
    static func bytes(_ text: String) -> [UInt8] {
        let digits = text.filter { !$0.isWhitespace }
        return stride(from: 0, to: digits.count, by: 2).map { place in
            let start = digits.index(digits.startIndex, offsetBy: place)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)!
        }
    }
}
