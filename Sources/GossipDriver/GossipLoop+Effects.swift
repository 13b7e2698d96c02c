/// What the machine asks for.
import Determinism
import Membership
import NIOCore
import NIOPosix
import ReplicaCore
import WireCoding

/// Files that wait for their turn: of each the last word counts.
struct PendingWrites: Sendable {
    var identity: PersistedIdentity?
    var keyring: Keyring?
    var members: [PeerAddress]?
    var isWriting = false

    var isEmpty: Bool { identity == nil && keyring == nil && members == nil }

    /// After a write that failed [ours].
    static let retry = TimeAmount.seconds(1)
    /// Members come and go in crowds; their addresses are only a hint [ours].
    static let membersDelay = TimeAmount.seconds(2)
}

extension GossipLoop {
    func perform(_ effect: ReplicaEffect) {
        switch effect {
        case .membership(let effect): perform(effect)
        case .dropped(let reason, let source): dropped(reason, source)
        case .observed(let fact):
            log.observed(fact)
            shared.tell(.workerFact(fact))
        case .published(let view):
            shared.flock.publish(view)
            hooks.flockChanged(view)
        case .probe(let worker): hooks.probe(worker)
        case .keyring(let ring):
            writes.keyring = ring
            write()
            shared.keyring.publish(GossipShared.lines(of: ring))
        case .keyringRefused(_, let refusal):
            self.refusal = refusal
            shared.tell(.keyringRefused(refusal))
        }
    }

    private func perform(_ effect: MembershipEffect) {
        switch effect {
        case .persist(let identity):
            writes.identity = identity
            write()
        case .openStream(let id, let address, let purpose, let within): dial(id, address, purpose, within: within)
        case .sendFrame(let id, let frame): send(frame, on: id)
        case .sendOtherRecords: Fault.report("the machine sends other records itself")
        case .closeStream(let id): close(id)
        case .resolveSeeds: lookup.look { self.tell(.membership(.resolved($0))) }
        case .becomes(let id, let session):
            log.became(id, session)
            membersChanged = true
            shared.tell(.became(id, session))
        case .changed(let member, let before):
            log.changed(member, from: before)
            membersChanged = true
            if before != member.status { shared.counters.add { $0.change(to: member.status) } }
            shared.tell(.changed(member, from: before))
        case .forgot(let id):
            membersChanged = true
            shared.tell(.forgot(id))
        case .observed(let fact):
            if case .acknowledged(let peer, let span, .direct) = fact {
                shared.learn(peer, .nanoseconds(span.wholeNanoseconds))
            }
            switch fact {
            case .udpBlocked, .reachedByOthersOnly: membersChanged = true
            default: break
            }
            shared.counters.add { $0.observe(fact) }
            log.observed(fact)
            shared.tell(.fact(fact))
        case .left:
            shared.tell(.left)
            for leaver in leavers { leaver.succeed() }
            leavers.removeAll()
        }
    }

    // MARK: Files

    func rememberMembers(_ view: MembersView) {
        let isFirst = writes.members == nil
        let addresses = view.present.map(\.record.address)
        // Whoever is alone keeps the addresses of those it has lost.
        guard !addresses.isEmpty else { return }
        writes.members = Array(addresses.prefix(KnownMembersFile.countMax))
        guard isFirst else { return }
        loop.assumeIsolated().scheduleTask(in: PendingWrites.membersDelay) { self.write() }
    }

    /// What is to be written yet when everything else has ended.
    func lastWrites() -> @Sendable () throws -> Void {
        let (begun, writes, directory) = (begunWrites, writes, directory)
        return {
            // What was given to the pool may not have begun when the pool ended.
            if let begun { try Self.save(begun, to: directory) }
            try Self.save(writes, to: directory)
        }
    }

    private static func save(_ writes: PendingWrites, to directory: DataDirectory) throws(GossipFailure) {
        if let identity = writes.identity { try IdentityFile.save(identity, to: directory) }
        if let keyring = writes.keyring { try KeyringFile.save(keyring, to: directory) }
        if let members = writes.members { try KnownMembersFile.save(members, to: directory) }
    }

    /// Writes what waits, one file after the other, on a thread that may block.
    private func write() {
        guard !writes.isWriting, !hasEnded else { return }
        let (work, directory) = (writes, directory)
        guard !work.isEmpty else { return }
        writes = PendingWrites(isWriting: true)
        begunWrites = work
        files.runIfActive(eventLoop: loop) { try Self.save(work, to: directory) }.assumeIsolated().whenComplete {
            result in
            self.writes.isWriting = false
            self.begunWrites = nil
            switch result {
            case .success:
                if let identity = work.identity { self.tell(.membership(.persisted(identity.incarnation))) }
                self.write()
            case .failure(let error):
                self.log.writeFailed(error)
                self.shared.tell(.cannotPersist("\(error)"))
                if self.writes.identity == nil { self.writes.identity = work.identity }
                if self.writes.keyring == nil { self.writes.keyring = work.keyring }
                self.loop.assumeIsolated().scheduleTask(in: PendingWrites.retry) { self.write() }
            }
        }
    }
}
