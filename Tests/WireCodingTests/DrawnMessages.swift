import Determinism
import WireCoding

/// Messages that nobody thought of, from a seed.
extension Message {
    static func drawn(_ random: inout SeededGenerator) -> Message {
        drawn(MessageKind.allCases[random.index(MessageKind.allCases.count)], &random)
    }

    static func drawn(_ kind: MessageKind, _ random: inout SeededGenerator) -> Message {
        switch kind {
        case .ping:
            .ping(Ping(probe: random.word(), attempt: UInt8(random.index(3)), isOnBehalf: random.coin()))
        case .ack:
            .ack(
                Ack(
                    probe: random.word(), attempt: UInt8(random.index(3)), isOnBehalf: random.coin(),
                    lagMilliseconds: random.word()))
        case .indirectPing:
            .indirectPing(
                IndirectPing(probe: random.word(), target: random.short(), budgetMilliseconds: random.word()))
        case .nack:
            .nack(
                Nack(
                    probe: random.word(), target: random.short(), reason: random.one(of: Nack.Reason.allCases)))
        case .member: .member(.drawn(&random))
        case .state:
            .state(
                StateNews(
                    subject: random.short(), life: random.word(), incarnation: Incarnation(rawValue: random.word()),
                    status: random.one(of: MemberStatus.allCases), isRefused: random.coin(), accuser: random.short()))
        case .leave:
            .leave(
                LeaveNews(
                    subject: random.short(), incarnation: Incarnation(rawValue: random.word()),
                    session: SessionID(rawValue: random.next())))
        case .workerHealth:
            .workerHealth(
                WorkerHealthNews(
                    worker: WorkerShortID(rawValue: random.word()), observer: random.short(), epoch: random.word(),
                    state: random.one(of: WorkerHealthNews.State.allCases), reason: random.word(),
                    running: random.word(), waiting: random.word(), cachePercent: random.word(),
                    memoryPressure: random.word(), firstTokenMilliseconds: random.word()))
        case .keyringNotice: .keyringNotice(random.next())
        case .views:
            .views(
                Views(
                    replicaRing: random.word(), workerRing: random.word(), workerHealth: random.word(),
                    addressBlocks: random.word()))
        case .workerLoad:
            .workerLoad(
                (0..<random.index(5)).map { _ in
                    WorkerLoadNews(
                        worker: WorkerShortID(rawValue: random.word()), running: random.word(), queued: random.word(),
                        promptTokens: random.word(), outputTokens: random.word())
                })
        case .addressBlock:
            .addressBlock(
                AddressBlockNews(
                    prefixLength: UInt8(random.index(129)), isCleared: random.coin(), reason: random.word(),
                    high: random.next(), low: random.next(), stamp: random.next(), origin: random.short(),
                    durationSeconds: random.word(), ageSeconds: random.word()))
        case .receipt: .receipt((0..<random.index(Message.receiptsMax + 1)).map { _ in random.next() })
        case .removed:
            .removed(
                RemovedNews(
                    tombstone: random.next(), id: ReplicaID(high: random.next(), low: random.next()),
                    session: SessionID(rawValue: random.next()), by: random.short(), ageSeconds: random.word(),
                    isPruned: random.coin()))
        case .misdelivered:
            .misdelivered(
                Misdelivered(
                    sought: random.short(), mine: random.short(), session: SessionID(rawValue: random.next())))
        case .agedMember: .agedMember(age: random.word(), .drawn(&random))
        case .workerOrder:
            .workerOrder(
                WorkerOrderNews(
                    worker: WorkerShortID(rawValue: random.word()),
                    order: random.one(of: WorkerOrderNews.Order.allCases), stamp: random.next(),
                    origin: random.short(), ageSeconds: random.word()))
        }
    }
}

extension MemberRecord {
    static func drawn(_ random: inout SeededGenerator) -> MemberRecord {
        MemberRecord(
            id: ReplicaID(high: random.next(), low: random.next()), session: SessionID(rawValue: random.next()),
            incarnation: Incarnation(rawValue: random.word()), status: random.one(of: MemberStatus.allCases),
            flags: MemberFlags(rawValue: random.word()), protocolMin: random.word(), protocolMax: random.word(),
            agreement: random.word(), keyIDs: KeyIDs(random.word(), random.word(), random.word(), random.word()),
            httpPort: random.word(),
            address: PeerAddress(high: random.next(), low: random.next(), port: random.word()),
            versionMajor: random.word(), versionMinor: random.word(),
            name: ShortText(clipping: String("möwe-über-dem-Watt-🐦-und-zurück".prefix(random.index(32)))))
    }
}

extension SeededGenerator {
    /// Zero and all ones come often: they are the values at which fields are mixed up.
    mutating func word<Value: FixedWidthInteger & UnsignedInteger>() -> Value {
        switch below(8) {
        case 0: 0
        case 1: .max
        default: Value(truncatingIfNeeded: next())
        }
    }

    mutating func index(_ bound: Int) -> Int { Int(below(UInt64(bound))) }
    mutating func coin() -> Bool { below(2) == 0 }
    mutating func one<Value>(of values: [Value]) -> Value { values[index(values.count)] }
    mutating func short() -> ReplicaShortID { ReplicaShortID(rawValue: word()) }
}
