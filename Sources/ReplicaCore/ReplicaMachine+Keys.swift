import Determinism
import Membership
import WireCoding

/// Packets that were sealed with keys this replica does not hold.
///
/// Three of them from where members live, and a rotation was missed: with the cluster's secret it joins again and gets
/// the ring.
struct UnknownKeys: Hashable, Sendable {
    static let enough = 3
    /// [ours]: two parts of a flock that both rotated while they were cut off find each other's keys within seconds.
    static let joinsEvery = Nanoseconds.seconds(2)

    private var count = 0
    private var joinsAfter = Instant.zero

    /// True when it is time to join.
    mutating func heard(at now: Instant) -> Bool {
        count += 1
        guard count >= Self.enough, now >= joinsAfter else { return false }
        count = 0
        joinsAfter = now + Self.joinsEvery
        return true
    }
}

/// A peer's ring that is another one, by its hash, until it was fetched.
struct WantedRing: Hashable, Sendable {
    /// A peer is not asked twice within two seconds, and may be busy [ours].
    static let triesMax = 8
    static let triesEvery = Nanoseconds.seconds(1)

    let peer: ReplicaShortID
    let hash: UInt64
    var tries = 0
    var nextTry: Instant
}

extension ReplicaMachine {
    /// At most.
    private static let sweepsEvery = Nanoseconds.seconds(60)

    mutating func obey(_ command: KeyringCommand, at now: Instant, into effects: inout [ReplicaEffect]) {
        let wall = wall(at: now)
        do throws(Keyring.Refusal) {
            switch command {
            case .install(let key):
                try keyring.install(
                    key, stamp: wall << 16, maker: membership.own.id.short, wallMilliseconds: wall)
            case .use(let id): try keyring.use(id, isHeldByAll: isListedByAll(id), wallMilliseconds: wall)
            case .remove(let id, let isImmediate):
                try keyring.remove(id, isImmediate: isImmediate, wallMilliseconds: wall)
            }
        } catch {
            effects.append(.keyringRefused(command, error))
            return
        }
        keyringChanged(at: now, into: &effects)
    }

    /// A peer's ring, sealed by the stream.
    mutating func heardKeyring(_ bytes: [UInt8], at now: Instant, into effects: inout [ReplicaEffect]) {
        guard bytes != keyringFrame else { return }
        let wall = wall(at: now)
        guard
            let theirs = bytes.withUnsafeBytes({ bytes in
                try? Keyring(frame: bytes, wallMilliseconds: wall)
            })
        else { return }
        let hash = theirs.hash
        if keyring.merge(theirs, wallMilliseconds: wall) { keyringChanged(at: now, into: &effects) }
        if wantedRing?.hash == hash { wantedRing = nil }
    }

    mutating func heardKeyringHash(_ hash: UInt64, from peer: ReplicaShortID, at now: Instant) {
        guard hash != keyring.hash, hash != wantedRing?.hash else { return }
        wantedRing = WantedRing(peer: peer, hash: hash, nextTry: now)
    }

    private mutating func fetchRing(at now: Instant, into effects: inout [ReplicaEffect]) {
        guard var wanted = wantedRing, now >= wanted.nextTry else { return }
        guard wanted.hash != keyring.hash, wanted.tries < WantedRing.triesMax else {
            wantedRing = nil
            return
        }
        wanted.tries += 1
        wanted.nextTry = now + WantedRing.triesEvery
        wantedRing = wanted
        membership.syncForViews(with: wanted.peer, at: now, into: &asked)
        passOnAsked(at: now, into: &effects)
    }

    mutating func heardUnknownKey(from source: PeerAddress, at now: Instant, into effects: inout [ReplicaEffect]) {
        // A middlebox may have given it another port.
        let hosts = membership.table.slots.lazy.map(\.member.record.address).filter {
            ($0.high, $0.low) == (source.high, source.low)
        }
        guard let nearest = hosts.first(where: { $0 == source }) ?? hosts.first, unknownKeys.heard(at: now) else {
            return
        }
        tell(.command(.rejoin(nearest)), at: now, into: &effects)
    }

    mutating func useKeyring() {
        sink.gate.use(keyring.trafficKeys)
        keyringFrame.removeAll(keepingCapacity: true)
        keyring.encodeFrame(into: &keyringFrame)
        renewSweep()
    }

    private mutating func keyringChanged(at now: Instant, into effects: inout [ReplicaEffect]) {
        useKeyring()
        effects.append(.keyring(keyring))
        considersPromotion = true
        tell(.changed(.keyIDs(keyring.keyIDs)), at: now, into: &effects)
        let notice = Message.keyringNotice(keyring.hash)
        membership.tell(notice, key: Self.key(of: notice), lane: 3, at: now, into: &asked)
        passOnAsked(at: now, into: &effects)
    }

    /// A staged key seals once every member has listed it for long enough; an old one goes when its day is over.
    mutating func concludeKeys(at now: Instant, into effects: inout [ReplicaEffect]) {
        fetchRing(at: now, into: &effects)
        if now >= sweepsAt {
            let hasChanged = keyring.sweep(wallMilliseconds: wall(at: now))
            renewSweep()
            // The wall clock may say anything, also that it is never time.
            sweepsAt = max(sweepsAt, now + Self.sweepsEvery)
            if hasChanged { keyringChanged(at: now, into: &effects) }
        }
        guard considersPromotion || now >= promotion.nextDeadline ?? .never else { return }
        considersPromotion = false
        var promotion = promotion
        let promoted = promotion.promoted(in: keyring, at: now, isListedByAll: { isListedByAll($0) })
        self.promotion = promotion
        guard let id = promoted else { return }
        do throws(Keyring.Refusal) {
            try keyring.use(id, isHeldByAll: true, wallMilliseconds: wall(at: now))
        } catch {
            return
        }
        keyringChanged(at: now, into: &effects)
    }

    private func isListedByAll(_ id: UInt16) -> Bool {
        membership.own.keyIDs.contains(id)
            && membership.table.slots.allSatisfy {
                $0.member.status.isGone || $0.member.record.keyIDs.contains(id)
            }
    }

    /// Asks the ring anew when a retired key's day is over.
    mutating func renewSweep() {
        sweepsAt = .never
        guard let due = keyring.nextSweepMilliseconds else { return }
        let (span, overflow) = Int64(clamping: due).subtractingReportingOverflow(wallAtZero)
        guard !overflow, span < .max / 1_000_000 else { return }
        sweepsAt = Instant(nanoseconds: max(0, span) * 1_000_000)
    }
}
