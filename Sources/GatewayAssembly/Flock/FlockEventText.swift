/// Events of the gossip in words.
import GossipDriver
import HTTPEdge
import Membership
import ReplicaCore
import WireCoding

enum FlockEventText {
    struct Page {
        var kind: String
        var name = ""
        var id = ""
        var text = ""
    }

    /// Nil: nothing that an operator watches.
    static func page(_ event: GossipEvent, in view: MembersView) -> Page? {
        switch event {
        case .changed(let member, let before):
            guard member.status != before else { return nil }
            return Page(
                kind: "member_\(member.status.word)", name: "\(member.record.name)", id: "\(member.id)",
                text:
                    "was=\(before?.word ?? "unknown") incarnation=\(member.record.incarnation) address=\(member.record.address)"
            )
        case .forgot(let id): return Page(kind: "member_forgotten", id: "\(id)")
        case .became(let id, let session):
            return Page(kind: "self", id: "\(id)", text: "began a new life, session=\(session)")
        case .keyringRefused(let refusal): return Page(kind: "key", text: "refused: \(refusal)")
        case .workerFact(let fact): return page(fact, in: view)
        case .cannotPersist(let why): return Page(kind: "disk", text: "cannot keep its state and tries again: \(why)")
        case .left: return Page(kind: "self", text: "left the flock")
        case .fact(let fact): return page(fact, in: view)
        }
    }

    private static func about(_ short: ReplicaShortID, _ view: MembersView, _ kind: String, _ text: String) -> Page {
        let record = view.member(short)?.record
        return Page(
            kind: kind, name: record.map { "\($0.name)" } ?? "", id: record.map { "\($0.id)" } ?? "\(short)", text: text
        )
    }

    private static func page(_ fact: WorkerFlock.Fact, in view: MembersView) -> Page? {
        switch fact {
        case .ringDisagreement(let peer, let isApart):
            return about(peer, view, "ring", isApart ? "computes other rings" : "computes the same rings again")
        case .panic(_, let isPanic):
            return Page(
                kind: "workers",
                text: isPanic
                    ? "others' words would take most workers of a model away, and count for nothing"
                    : "others' words on the workers of a model count again")
        case .clockAhead(let peer, let milliseconds):
            return Page(kind: "clock", id: "\(peer)", text: "a wall clock is \(milliseconds) ms ahead")
        }
    }

    private static func page(_ fact: MembershipFact, in view: MembersView) -> Page? {
        func about(_ short: ReplicaShortID, _ kind: String, _ text: String) -> Page {
            self.about(short, view, kind, text)
        }
        switch fact {
        case .matured(let peer, let accusers, let waited, let isRefused):
            return about(
                peer, "detection", "accusers=\(accusers) waited=\(waited) evidence=\(isRefused ? "refused" : "silent")")
        case .falseDeath(let peer): return about(peer, "detection", "was alive all the time")
        case .refuted(let status): return Page(kind: "self", text: "was called \(status.word), and answered")
        case .late(let span): return Page(kind: "self", text: "was late by \(span) and judges nobody for it")
        case .udpBlocked(let peer, let isBlocked):
            return about(peer, "link", isBlocked ? "UDP does not pass, TCP does" : "UDP passes again")
        case .reachedByOthersOnly(let peer, let isByOthersOnly):
            return about(peer, "link", isByOthersOnly ? "is reached by others only" : "is reached directly again")
        case .climate(let isLossy):
            return Page(kind: "link", text: isLossy ? "the network loses a lot" : "the network is calm again")
        case .joined(let members): return Page(kind: "self", text: "joined, members=\(members)")
        case .alone: return Page(kind: "self", text: "serves alone and knocks on")
        case .joinRefused(let address, let refusal):
            return Page(kind: "self", text: "\(address) refused: \(refusal.word)")
        case .renewed(let cause): return Page(kind: "self", text: "took a new identity: \(cause)")
        case .rejoined: return Page(kind: "self", text: "had been removed elsewhere and joined again")
        case .agreementMismatch(let peer, let differs):
            return about(peer, "agreement", differs ? "has other settings" : "agrees again")
        case .throttled: return Page(kind: "link", text: "gossip is held back by its limit of bytes a second")
        case .fromTheFuture(let peer, let incarnation):
            return about(peer, "self", "its incarnation \(incarnation) is ahead of this clock")
        case .acknowledged, .probeFailed, .suspected, .joinFailed, .synced, .rumourDropped, .awareness, .reached:
            return nil
        }
    }
}
