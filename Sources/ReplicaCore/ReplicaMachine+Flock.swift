import Determinism
import Membership
import WireCoding

/// Views of peers that were other than this replica's, one after the other.
///
/// News needs a moment to arrive, so one view that differs means nothing. If views differ for a second, and none was alike
/// meanwhile, then something was missed here or there: the two compare their records.
struct Disagreement: Hashable, Sendable {
    static let patience = Nanoseconds.seconds(1)

    private var since = Instant.never

    /// True when it has lasted.
    mutating func heard(differs: Bool, at now: Instant) -> Bool {
        guard differs else {
            since = .never
            return false
        }
        if since == .never { since = now }
        guard now.span(since: since) >= Self.patience else { return false }
        since = .never
        return true
    }
}

extension ReplicaMachine {
    mutating func tellFlock(_ input: ReplicaInput, at now: Instant) {
        switch input {
        case .observed(let worker, let condition): flock.observed(worker, condition, at: now)
        case .loads(let loads): flock.loads(loads, at: now)
        case .order(let worker, let order): flock.order(worker, order, at: now)
        case .workers(let workers): flock.configure(workers, at: now)
        case .block(let block): flock.block(block, at: now)
        case .membership, .keyring, .wall: return
        }
        flockIsTold = true
    }

    /// What the last packet says besides membership.
    mutating func hearPacket(at now: Instant, into effects: inout [ReplicaEffect]) {
        guard !sink.gate.packet.messages.isEmpty else { return }
        let packet = sink.gate.packet
        let peer = packet.header.source
        for message in packet.messages {
            switch message {
            case .workerHealth, .workerLoad, .addressBlock, .workerOrder:
                flockIsTold = true
                guard flock.merge(message, from: peer, session: packet.session, counter: packet.counter, at: now)
                else { continue }
                membership.passOn(
                    message, key: Self.key(of: message), lane: WorkerFlock.lane(of: message), heardFrom: peer, at: now,
                    into: &asked)
            case .views(let views):
                flock.merge(message, from: peer, session: packet.session, counter: packet.counter, at: now)
                guard disagreement.heard(differs: flock.wantsSync(with: views), at: now) else { continue }
                membership.syncForViews(with: peer, at: now, into: &asked)
            case .keyringNotice(let hash): heardKeyringHash(hash, from: peer, at: now)
            default: break
            }
        }
        passOnAsked(at: now, into: &effects)
    }

    /// What a stream says besides membership.
    mutating func heard(_ frame: StreamFrame, at now: Instant, into effects: inout [ReplicaEffect]) {
        switch frame {
        case .keyring(let bytes): heardKeyring(bytes, at: now, into: &effects)
        case .records(let messages):
            for message in messages {
                switch message {
                case .workerHealth, .addressBlock, .workerOrder:
                    flockIsTold = true
                    let isNews = flock.merge(
                        message, from: ReplicaShortID(rawValue: 0), session: SessionID(rawValue: 0), counter: 0, at: now
                    )
                    // Its origin told everybody, but not those who were cut off with this replica.
                    if isNews { spread(message, lane: WorkerFlock.lane(of: message), at: now) }
                default: break
                }
            }
            passOnAsked(at: now, into: &effects)
        default: break
        }
    }

    mutating func sendOtherRecords(on stream: StreamID, at now: Instant, into effects: inout [ReplicaEffect]) {
        effects.append(.membership(.sendFrame(stream, .keyring(keyringFrame))))
        for frame in StreamFrame.records(of: flock.recordsForSync(at: now)) {
            effects.append(.membership(.sendFrame(stream, frame)))
        }
    }

    mutating func concludeFlock(at now: Instant, into effects: inout [ReplicaEffect]) {
        for fact in flock.takeFacts() { effects.append(.observed(fact)) }
        guard flockIsTold || now >= flock.nextDeadline else { return }
        flockIsTold = false
        flock.advance(at: now)
        for news in flock.takeOutgoing() { spread(news.message, lane: news.lane, at: now) }
        for worker in flock.takeProbes() { effects.append(.probe(worker)) }
        membership.views = flock.views
        passOnAsked(at: now, into: &effects)
        if let view = flock.takeView() { effects.append(.published(view)) }
    }

    private mutating func spread(_ message: Message, lane: UInt8, at now: Instant) {
        membership.tell(message, key: Self.key(of: message), lane: lane, at: now, into: &asked)
    }

    /// A newer message takes the place of an older one with the same key.
    static func key(of message: Message) -> RumourKey {
        let subject: UInt64 =
            switch message {
            case .workerHealth(let news): UInt64(news.worker.rawValue) << 32 | UInt64(news.observer.rawValue)
            case .workerOrder(let news): UInt64(news.worker.rawValue)
            case .workerLoad(let loads): loads.first.map { UInt64($0.worker.rawValue) } ?? 0
            case .addressBlock(let news): hash(of: news)
            default: 0
            }
        return RumourKey(kind: message.kind.rawValue, subject: subject)
    }

    private static func hash(of news: AddressBlockNews) -> UInt64 {
        var hash = StableHash64(seed: UInt64(news.prefixLength))
        hash.update(news.high)
        hash.update(news.low)
        return hash.digest()
    }
}
