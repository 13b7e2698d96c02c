/// The fields of each message, in their order on the wire: what is written stands above how it is read.
///
/// Reserved bits and fields are zero. One that is not says something that this release does not know, so its message is
/// skipped like one with an unknown value.
private let onBehalfBit: UInt8 = 0x80
private let refusedBit: UInt8 = 0x80

extension Ping {
    package static let attemptMax: UInt8 = 2

    func write(to writer: inout ByteWriter) {
        writer.u32(probe)
        writer.u8(attempt | (isOnBehalf ? onBehalfBit : 0))
    }

    init?(_ body: inout ByteReader) {
        let probe = body.u32()
        let attempt = body.u8()
        guard attempt & ~onBehalfBit <= Self.attemptMax else { return nil }
        self.init(probe: probe, attempt: attempt & ~onBehalfBit, isOnBehalf: attempt & onBehalfBit != 0)
    }
}

extension Ack {
    func write(to writer: inout ByteWriter) {
        writer.u32(probe)
        writer.u8(attempt | (isOnBehalf ? onBehalfBit : 0))
        writer.u16(lagMilliseconds)
    }

    init?(_ body: inout ByteReader) {
        let ping = Ping(&body)
        let lag = body.u16()
        guard let ping else { return nil }
        self.init(probe: ping.probe, attempt: ping.attempt, isOnBehalf: ping.isOnBehalf, lagMilliseconds: lag)
    }
}

extension IndirectPing {
    func write(to writer: inout ByteWriter) {
        writer.u32(probe)
        writer.u32(target.rawValue)
        writer.u16(budgetMilliseconds)
    }

    init(_ body: inout ByteReader) {
        self.init(probe: body.u32(), target: ReplicaShortID(rawValue: body.u32()), budgetMilliseconds: body.u16())
    }
}

extension Nack {
    func write(to writer: inout ByteWriter) {
        writer.u32(probe)
        writer.u32(target.rawValue)
        writer.u8(reason.rawValue)
    }

    init?(_ body: inout ByteReader) {
        let probe = body.u32()
        let target = ReplicaShortID(rawValue: body.u32())
        guard let reason = Reason(rawValue: body.u8()) else { return nil }
        self.init(probe: probe, target: target, reason: reason)
    }
}

extension StateNews {
    func write(to writer: inout ByteWriter) {
        writer.u32(subject.rawValue)
        writer.u32(life)
        writer.u32(incarnation.rawValue)
        writer.u8(status.rawValue | (isRefused ? refusedBit : 0))
        writer.u32(accuser.rawValue)
    }

    init?(_ body: inout ByteReader) {
        let subject = ReplicaShortID(rawValue: body.u32())
        let life = body.u32()
        let incarnation = Incarnation(rawValue: body.u32())
        let word = body.u8()
        let accuser = ReplicaShortID(rawValue: body.u32())
        guard let status = MemberStatus(rawValue: word & ~refusedBit) else { return nil }
        self.init(
            subject: subject, life: life, incarnation: incarnation, status: status, isRefused: word & refusedBit != 0,
            accuser: accuser)
    }
}

extension LeaveNews {
    func write(to writer: inout ByteWriter) {
        writer.u32(subject.rawValue)
        writer.u32(incarnation.rawValue)
        writer.u64(session.rawValue)
    }

    init(_ body: inout ByteReader) {
        self.init(
            subject: ReplicaShortID(rawValue: body.u32()), incarnation: Incarnation(rawValue: body.u32()),
            session: SessionID(rawValue: body.u64()))
    }
}

extension WorkerHealthNews {
    func write(to writer: inout ByteWriter) {
        writer.u32(worker.rawValue)
        writer.u32(observer.rawValue)
        writer.u32(epoch)
        writer.u8(state.rawValue)
        writer.u8(reason)
        writer.u16(running)
        writer.u16(waiting)
        writer.u8(cachePercent)
        writer.u8(memoryPressure)
        writer.u16(firstTokenMilliseconds)
        writer.u16(0)
    }

    init?(_ body: inout ByteReader) {
        let worker = WorkerShortID(rawValue: body.u32())
        let observer = ReplicaShortID(rawValue: body.u32())
        let epoch = body.u32()
        let state = State(rawValue: body.u8())
        let news = WorkerHealthNews(
            worker: worker, observer: observer, epoch: epoch, state: state ?? .loading, reason: body.u8(),
            running: body.u16(), waiting: body.u16(), cachePercent: body.u8(), memoryPressure: body.u8(),
            firstTokenMilliseconds: body.u16())
        guard body.u16() == 0, state != nil else { return nil }
        self = news
    }
}

extension Views {
    func write(to writer: inout ByteWriter) {
        writer.u32(replicaRing)
        writer.u32(workerRing)
        writer.u32(workerHealth)
        writer.u32(addressBlocks)
    }

    init(_ body: inout ByteReader) {
        self.init(
            replicaRing: body.u32(), workerRing: body.u32(), workerHealth: body.u32(), addressBlocks: body.u32())
    }
}

extension WorkerLoadNews {
    func write(to writer: inout ByteWriter) {
        writer.u32(worker.rawValue)
        writer.u16(running)
        writer.u16(queued)
        writer.u32(promptTokens)
        writer.u32(outputTokens)
    }

    init(_ body: inout ByteReader) {
        self.init(
            worker: WorkerShortID(rawValue: body.u32()), running: body.u16(), queued: body.u16(),
            promptTokens: body.u32(), outputTokens: body.u32())
    }

    /// A count and so many of them, nothing else.
    static func list(_ body: inout ByteReader) -> [WorkerLoadNews] {
        let count = Int(body.u8())
        guard count <= countMax, body.remaining == 16 * count else {
            body.breakOff()
            return []
        }
        var loads: [WorkerLoadNews] = []
        loads.reserveCapacity(count)
        while body.remaining > 0 { loads.append(WorkerLoadNews(&body)) }
        return loads
    }
}

extension AddressBlockNews {
    func write(to writer: inout ByteWriter) {
        writer.u8(prefixLength)
        writer.u8(isCleared ? 1 : 0)
        writer.u16(reason)
        writer.u64(high)
        writer.u64(low)
        writer.u64(stamp)
        writer.u32(origin.rawValue)
        writer.u32(durationSeconds)
        writer.u32(ageSeconds)
    }

    init?(_ body: inout ByteReader) {
        let prefixLength = body.u8()
        let flags = body.u8()
        let news = AddressBlockNews(
            prefixLength: prefixLength, isCleared: flags == 1, reason: body.u16(), high: body.u64(), low: body.u64(),
            stamp: body.u64(), origin: ReplicaShortID(rawValue: body.u32()), durationSeconds: body.u32(),
            ageSeconds: body.u32())
        guard prefixLength <= 128, flags <= 1 else { return nil }
        self = news
    }
}

extension RemovedNews {
    func write(to writer: inout ByteWriter) {
        writer.u64(tombstone)
        writer.u64(id.high)
        writer.u64(id.low)
        writer.u64(session.rawValue)
        writer.u32(by.rawValue)
        writer.u32(ageSeconds)
        writer.u8(isPruned ? 1 : 0)
    }

    init?(_ body: inout ByteReader) {
        let tombstone = body.u64()
        let id = ReplicaID(high: body.u64(), low: body.u64())
        let session = SessionID(rawValue: body.u64())
        let by = ReplicaShortID(rawValue: body.u32())
        let age = body.u32()
        let flags = body.u8()
        guard flags <= 1 else { return nil }
        self.init(tombstone: tombstone, id: id, session: session, by: by, ageSeconds: age, isPruned: flags == 1)
    }
}

extension Misdelivered {
    func write(to writer: inout ByteWriter) {
        writer.u32(sought.rawValue)
        writer.u32(mine.rawValue)
        writer.u64(session.rawValue)
    }

    init(_ body: inout ByteReader) {
        self.init(
            sought: ReplicaShortID(rawValue: body.u32()), mine: ReplicaShortID(rawValue: body.u32()),
            session: SessionID(rawValue: body.u64()))
    }
}

extension WorkerOrderNews {
    func write(to writer: inout ByteWriter) {
        writer.u32(worker.rawValue)
        writer.u8(order.rawValue)
        writer.u64(stamp)
        writer.u32(origin.rawValue)
        writer.u32(ageSeconds)
    }

    init?(_ body: inout ByteReader) {
        let worker = WorkerShortID(rawValue: body.u32())
        let order = Order(rawValue: body.u8())
        let stamp = body.u64()
        let origin = ReplicaShortID(rawValue: body.u32())
        let age = body.u32()
        guard let order else { return nil }
        self.init(worker: worker, order: order, stamp: stamp, origin: origin, ageSeconds: age)
    }
}
