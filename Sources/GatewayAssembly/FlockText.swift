/// A replica's pages about the flock, as text for a terminal. Reads what other versions of this binary may have sent: a member
/// that is not known is passed over, one that is missing shows as a dash.
import Foundation
import Telemetry

package enum FlockText {
    package struct Member: Decodable, Sendable {
        let name: String
        let status: String
        let id: String
        let session: String
        let incarnation: UInt32
        let address: String
        let ready: Bool
        let agreement: String
        let version: String
        let rttMs: Double?
        let since: Double
        let detail: Detail?

        struct Detail: Decodable, Sendable {
            let flags: [String]?
            let httpPort: Int?
            let keys: [Int]?
            let rttP99Ms: Double?
            let lastAckSeconds: Double?
            let udpBlocked: Bool?
            let accusers: [String]?
        }
    }

    package enum Columns: Sendable { case usual, detailed, rtt }

    private struct MembersPage: Decodable { let members: [Member] }

    package static func members(_ answer: [UInt8], _ columns: Columns, nowSeconds: Double) throws -> String {
        let members = try read(MembersPage.self, from: answer).members
        let agreed = agreement(of: members)
        let rows = members.map { member -> [String] in
            switch columns {
            case .usual: usual(member, agreed, nowSeconds)
            case .detailed: detailed(member, agreed, nowSeconds)
            case .rtt: roundTrips(member)
            }
        }
        let heads =
            switch columns {
            case .usual: ["NAME", "STATUS", "READY", "ADDRESS", "VERSION", "RTT", "SETTINGS", "SINCE", "ID"]
            case .detailed:
                [
                    "NAME", "STATUS", "FLAGS", "ADDRESS", "HTTP", "VERSION", "KEYS", "SETTINGS", "INCARNATION", "SINCE",
                    "ACCUSERS", "SESSION", "ID",
                ]
            case .rtt: ["NAME", "STATUS", "RTT", "P99", "LAST ACK", "UDP"]
            }
        return TextTable.text([heads] + rows)
    }

    private static func usual(_ member: Member, _ agreed: String?, _ now: Double) -> [String] {
        [
            member.name, member.status, member.ready ? "yes" : "no", member.address, member.version,
            milliseconds(member.rttMs), marked(member.agreement, agreed), age(now - member.since),
            String(member.id.prefix(8)),
        ]
    }

    private static func detailed(_ member: Member, _ agreed: String?, _ now: Double) -> [String] {
        let detail = member.detail
        let keys = (detail?.keys ?? []).map { "\($0)" }
        return [
            member.name, member.status, listed(detail?.flags), member.address, detail?.httpPort.map { "\($0)" } ?? "-",
            member.version, listed(keys), marked(member.agreement, agreed), "\(member.incarnation)",
            age(now - member.since), listed(detail?.accusers), member.session, member.id,
        ]
    }

    private static func roundTrips(_ member: Member) -> [String] {
        let detail = member.detail
        let heard = detail?.lastAckSeconds.map { "\(age($0)) ago" } ?? "-"
        return [
            member.name, member.status, milliseconds(member.rttMs), milliseconds(detail?.rttP99Ms), heard,
            detail?.udpBlocked == true ? "blocked" : "-",
        ]
    }

    private static func listed(_ words: [String]?) -> String {
        guard let words, !words.isEmpty else { return "-" }
        return words.joined(separator: ",")
    }

    /// A line for each pair that fails, or that there is none; whether all is well.
    package static func reachability(_ answer: [UInt8]) throws -> (text: String, isWell: Bool) {
        struct Page: Decodable {
            struct Pair: Decodable {
                let from: String
                let to: String
                let why: String
            }
            let asked: Int
            let silent: [String]
            let failures: [Pair]
        }
        let page = try read(Page.self, from: answer)
        var text = ""
        if !page.failures.isEmpty {
            text += TextTable.text([["FROM", "TO", "WHY"]] + page.failures.map { [$0.from, $0.to, $0.why] })
        }
        for name in page.silent { text += "\(name) did not answer\n" }
        let isWell = page.failures.isEmpty && page.silent.isEmpty
        return (isWell ? "\(page.asked) members reach each other\n" : text, isWell)
    }

    package static func keyring(_ answer: [UInt8]) throws -> (text: String, isWell: Bool) {
        struct Page: Decodable {
            struct Key: Decodable {
                let id: Int
                let state: String
                let holders: Int
            }
            let keys: [Key]
            let members: Int
            let silent: [String]
        }
        let page = try read(Page.self, from: answer)
        var text = TextTable.text(
            [["KEY", "STATE", "HELD BY"]]
                + page.keys.map { ["\($0.id)", $0.state, "\($0.holders)/\(page.members)"] })
        for name in page.silent { text += "\(name) did not answer\n" }
        return (text, page.silent.isEmpty)
    }

    /// `2026-11-30T21:44:10.123Z member_dead gw-2 accusers=[gw-3]`
    package static func event(_ data: [UInt8]) -> String {
        struct Event: Decodable {
            let at: Double
            let kind: String
            let name: String
            let text: String
        }
        guard let event = try? read(Event.self, from: data), event.at.magnitude < 1e12 else {
            return String(decoding: data, as: UTF8.self)
        }
        var line: [UInt8] = []
        TimestampText.append(millisecondsSince1970: Int64(event.at * 1_000), to: &line)
        let words = [String(decoding: line, as: UTF8.self), event.kind, event.name, event.text]
        return words.filter { !$0.isEmpty }.joined(separator: " ")
    }
}

extension FlockText {
    static func read<Page: Decodable>(_ type: Page.Type, from answer: [UInt8]) throws -> Page {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(answer))
    }

    /// What most say; the rest is marked. Nil of nobody.
    static func agreement(of members: [Member]) -> String? {
        var counts: [String: Int] = [:]
        for member in members where member.status == "alive" { counts[member.agreement, default: 0] += 1 }
        return counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }

    static func marked(_ agreement: String, _ agreed: String?) -> String {
        agreed == nil || agreed == agreement ? agreement : "\(agreement) differs"
    }

    static func milliseconds(_ value: Double?) -> String {
        guard let value, value >= 0, value < 1e9 else { return "-" }
        if value < 10 { return "\((value * 100).rounded() / 100) ms" }
        return "\(Int(value.rounded())) ms"
    }

    /// `12s`, `3m04s`, `2h10m`, `5d03h`: two units, the greater ones.
    static func age(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e10 else { return "-" }
        // A clock that is a little behind the replica's is no reason to print less than nothing.
        let whole = Int(max(0, seconds))
        let two = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
        switch whole {
        case ..<60: return "\(whole)s"
        case ..<3_600: return "\(whole / 60)m\(two(whole % 60))s"
        case ..<86_400: return "\(whole / 3_600)h\(two(whole / 60 % 60))m"
        default: return "\(whole / 86_400)d\(two(whole / 3_600 % 24))h"
        }
    }
}
