/// What people read of the gossip: one line for each change, enough to answer "why" without a rerun.
import Determinism
import Logging
import Membership
import ReplicaCore
import WireCoding

/// Belongs to the gossip's loop.
final class GossipLog {
    /// Sources of bad packets, and seeds that do not answer, that are told apart [ours].
    static let sourcesMax = 1_024
    /// After the first line about a source, every so many [ours].
    static let dropsPerLine = 1_000
    static let failuresPerLine = 60

    private struct Source: Hashable {
        let high: UInt64
        let low: UInt64
        let what: UInt8
    }

    private let logger: Logger
    private var seen: [Source: Int] = [:]

    init(_ logger: Logger) { self.logger = logger }

    func started(_ address: PeerAddress, _ id: ReplicaID, _ session: SessionID, isNew: Bool) {
        logger.info(
            "gossip started",
            metadata: [
                "address": "\(address)", "id": "\(id)", "session": "\(session)", "identity": isNew ? "new" : "kept",
            ])
    }

    func changed(_ member: Member, from before: MemberStatus?) {
        guard member.status != before else { return }
        logger.log(
            level: Self.level(of: member.status), "member \(member.status.word)",
            metadata: [
                "name": "\(member.record.name)", "id": "\(member.id)", "session": "\(member.record.session)",
                "incarnation": "\(member.record.incarnation)", "address": "\(member.record.address)",
                "was": "\(before?.word ?? "unknown")",
            ])
    }

    /// A death is what an operator looks for; a suspicion is over in a moment, mostly.
    private static func level(of status: MemberStatus) -> Logger.Level {
        switch status {
        case .suspect: .debug
        case .alive, .left: .info
        case .dead: .warning
        }
    }

    func became(_ id: ReplicaID, _ session: SessionID) {
        logger.notice("this replica begins a new life", metadata: ["id": "\(id)", "session": "\(session)"])
    }

    func clockBroke() {
        logger.notice("the wall clock jumped by seconds: this replica joins again with a new session")
    }

    func writeFailed(_ error: any Error) {
        logger.error("gossip cannot keep its state, and tries again", metadata: ["error": "\(error)"])
    }

    func readerClosed() { logger.error("the gossip's UDP socket was closed by the system; it is opened again") }

    func dropped(_ reason: DropReason, _ source: PeerAddress) {
        let count = times(source, reason.rawValue)
        guard count % Self.dropsPerLine == 1 else { return }
        logger.debug(
            "gossip packets dropped",
            metadata: ["reason": "\(reason.word)", "source": "\(source)", "count": "\(count)"])
    }

    func observed(_ fact: MembershipFact) {
        switch fact {
        case .joined(let members): logger.info("joined the flock", metadata: ["members": "\(members)"])
        case .alone: logger.notice("no other replica answers: serving alone, and knocking on")
        case .joinFailed(let address, let failure): joinFailed(address, failure)
        case .joinRefused(let address, let refusal):
            logger.warning(
                "a replica refused to let this one in",
                metadata: ["address": "\(address)", "reason": "\(refusal.word)"])
        case .matured(let peer, let accusers, let waited, let isRefused):
            logger.info(
                "a suspicion matured",
                metadata: [
                    "member": "\(peer)", "accusers": "\(accusers)", "waited": "\(waited)",
                    "evidence": isRefused ? "refused" : "silent",
                ])
        case .suspected(let peer, let cause):
            logger.debug("member is suspected", metadata: ["member": "\(peer)", "cause": "\(cause)"])
        case .refuted(let status): logger.info("called \(status.word), and answered")
        case .falseDeath(let peer):
            logger.notice("a member that was thought dead was alive", metadata: ["member": "\(peer)"])
        case .late(let span): logger.notice("the gossip's loop was late", metadata: ["by": "\(span)"])
        case .udpBlocked(let peer, let isBlocked):
            logger.warning(
                isBlocked ? "UDP to a member does not pass, TCP does" : "UDP to a member passes again",
                metadata: ["member": "\(peer)"])
        case .reachedByOthersOnly(let peer, let isByOthersOnly):
            logger.warning(
                isByOthersOnly
                    ? "a member answers others, and this replica neither by UDP nor by TCP"
                    : "a member is reached directly again", metadata: ["member": "\(peer)"])
        case .climate(let isLossy): logger.notice(isLossy ? "the network loses a lot" : "the network is calm again")
        case .renewed(let cause): logger.warning("a new identity was taken", metadata: ["cause": "\(cause)"])
        case .rejoined: logger.notice("an operator had removed this replica elsewhere; it joined again")
        case .fromTheFuture(let peer, let incarnation):
            logger.warning(
                "a member's incarnation is ahead of this clock",
                metadata: ["member": "\(peer)", "incarnation": "\(incarnation)"])
        case .agreementMismatch(let peer, let differs):
            logger.warning(
                differs ? "a member has other settings" : "a member's settings agree again",
                metadata: ["member": "\(peer)"])
        case .throttled: logger.notice("gossip is held back by its limit of bytes a second")
        case .acknowledged, .probeFailed, .synced, .rumourDropped, .awareness, .reached: break
        }
    }

    func observed(_ fact: WorkerFlock.Fact) {
        switch fact {
        case .ringDisagreement(let peer, let differs):
            logger.warning(
                differs ? "a member computes other rings" : "a member computes the same rings again",
                metadata: ["member": "\(peer)"])
        case .panic(_, let isOn):
            logger.warning(
                isOn
                    ? "gossip would take away more than half of a model's workers, so its words on them count for nothing"
                    : "gossip's words on a model's workers count again")
        case .clockAhead(let peer, let milliseconds):
            logger.warning(
                "a member's clock is ahead", metadata: ["member": "\(peer)", "milliseconds": "\(milliseconds)"])
        }
    }

    /// A stranger is never told why; so the one who asks must be told what it can mean.
    private func joinFailed(_ address: PeerAddress, _ failure: StreamFailure) {
        let count = times(address, 0x80 | failure.rawValue)
        guard count % Self.failuresPerLine == 1 else { return }
        guard failure == .handshake else {
            logger.debug("a seed does not answer", metadata: ["address": "\(address)", "why": "\(failure)"])
            return
        }
        logger.warning(
            "a seed closes without an answer: another cluster name, another cluster secret, or not a gossip port",
            metadata: ["address": "\(address)"])
    }

    private func times(_ source: PeerAddress, _ what: UInt8) -> Int {
        let source = Source(high: source.high, low: source.low, what: what)
        if seen[source] == nil, seen.count >= Self.sourcesMax { seen.removeAll(keepingCapacity: true) }
        seen[source, default: 0] += 1
        return seen[source, default: 0]
    }
}
