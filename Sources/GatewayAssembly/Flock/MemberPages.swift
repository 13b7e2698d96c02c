/// Members as people read them.
import GossipDriver
import HTTPEdge
import Membership
import WireCoding

enum MemberPages {
    /// This replica first, then the others by name. Whom an operator pruned is left out.
    static func rows(of view: MembersView, _ gossip: GossipService, _ inspection: GossipInspection) -> [MemberRow] {
        let others = view.others.filter { !$0.isPruned }.map { member in
            var row = row(of: member, view, gossip)
            if let peer = inspection.peer(member.short) {
                row.detail.rttP99Milliseconds = peer.usualAnswerMax.map { $0.wholeMicroseconds / 1_000 }
                row.detail.lastAckSeconds = peer.silentFor.map { ($0.wholeMicroseconds / 1_000).rounded() / 1_000 }
                row.detail.accusers = peer.accusers.map { name(of: $0, in: view) }
            }
            return row
        }
        return [own(view)] + others.sorted { ($0.name, $0.id) < ($1.name, $1.id) }
    }

    static func row(of member: Member, _ view: MembersView, _ gossip: GossipService) -> MemberRow {
        var row = row(of: member.record, member.status, sinceMilliseconds: view.since(member))
        if let trip = gossip.roundTrip(to: member.short) { row.rttMilliseconds = trip.wholeMicroseconds / 1_000 }
        row.detail.isUDPBlocked = view.udpBlocked.contains(member.short)
        return row
    }

    /// Its id where nobody of that id is known, as of an accuser that a comparison of records named.
    static func name(of short: ReplicaShortID, in view: MembersView) -> String {
        let record = short == view.own.id.short ? view.own : view.member(short)?.record
        return record.map { "\($0.name)" } ?? "\(short)"
    }

    /// Eight hexadecimal digits.
    static func agreement(_ record: MemberRecord) -> String {
        String(Hexadecimal.text(UInt64(record.agreement)).suffix(8))
    }

    private static func own(_ view: MembersView) -> MemberRow {
        var row = row(
            of: view.own, .alive, sinceMilliseconds: view.unixMilliseconds(of: view.startedAt))
        row.detail.isSelf = true
        return row
    }

    private static func row(
        of record: MemberRecord, _ status: MemberStatus, sinceMilliseconds: UInt64
    ) -> MemberRow {
        // Who is gone serves nobody, whatever it said last.
        let isPresent = !status.isGone
        let keys = [record.keyIDs.primary, record.keyIDs.second, record.keyIDs.third, record.keyIDs.fourth]
        return MemberRow(
            name: "\(record.name)", status: status.word, id: "\(record.id)", session: "\(record.session)",
            incarnation: record.incarnation.rawValue, address: "\(record.address)",
            isReady: isPresent && record.flags.contains(.ready), agreement: agreement(record),
            version: "\(record.versionMajor).\(record.versionMinor)",
            sinceSeconds: Double(sinceMilliseconds) / 1_000,
            detail: MemberRow.Detail(
                flags: flags(record.flags), httpPort: record.httpPort, protocolMin: record.protocolMin,
                protocolMax: record.protocolMax, keys: keys.filter { $0 != 0 }))
    }

    private static func flags(_ flags: MemberFlags) -> [String] {
        let words: [(MemberFlags, String)] = [
            (.ready, "ready"), (.settled, "settled"), (.draining, "draining"), (.diskFull, "disk_full"),
            (.stale, "stale"), (.lossy, "lossy"),
        ]
        return words.filter { flags.contains($0.0) }.map(\.1)
    }
}

extension Duration {
    /// Microseconds, as a number for people.
    fileprivate var wholeMicroseconds: Double {
        let (seconds, attoseconds) = components
        return (Double(seconds) * 1e6 + Double(attoseconds) / 1e12).rounded()
    }
}
