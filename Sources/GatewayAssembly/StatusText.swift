/// `/v1/cluster/status` on one screen: this replica, the flock, the workers.
import Foundation

package enum StatusText {
    private struct Page: Decodable {
        let cluster: String
        let replica: String
        let version: String
        let state: String
        let strategy: String
        let inFlight: Int
        let workers: [Worker]
        let members: [FlockText.Member]?
        let rings: Rings?
        let gossip: Gossip?
    }

    private struct Worker: Decodable {
        let id: String
        let kind: String
        let state: String
        let why: String?
        let running: Int
        let slots: Int
    }

    private struct Rings: Decodable {
        struct Ring: Decodable {
            let version: String
            let participants: Int
        }
        let replicas: Ring
        let workers: Ring
        let disagreeing: [String]
    }

    private struct Gossip: Decodable {
        let state: String
        let mode: String?
        let awareness: Int?
        let lossy: Bool?
        let bytesSentPerSecond: Double?
        let bytesReceivedPerSecond: Double?
        let primaryKey: Int?
        let agreement: String?
        let disagreeing: [String]?
    }

    package static func text(_ answer: [UInt8]) throws -> String {
        let page = try FlockText.read(Page.self, from: answer)
        var rows = [
            ["replica", "\(page.replica), \(page.state), \(page.version)"],
            ["cluster", page.cluster],
            ["requests", "\(page.inFlight) running, \(page.strategy)"],
        ]
        if let gossip = page.gossip { rows.append(["gossip", words(of: gossip)]) }
        if let members = page.members {
            let counts = ["alive", "suspect", "dead", "left"].compactMap { status in
                let count = members.count { $0.status == status }
                return count == 0 ? nil : "\(count) \(status)"
            }
            rows.append(["members", counts.joined(separator: ", ")])
        }
        if let rings = page.rings {
            let differing =
                rings.disagreeing.isEmpty ? "" : "; another one at \(rings.disagreeing.joined(separator: ", "))"
            rows.append([
                "rings",
                "replicas \(rings.replicas.version) of \(rings.replicas.participants), workers "
                    + "\(rings.workers.version) of \(rings.workers.participants)\(differing)",
            ])
        }
        if let agreement = page.gossip?.agreement {
            let differing = page.gossip?.disagreeing ?? []
            rows.append([
                "settings",
                agreement
                    + (differing.isEmpty
                        ? ", the same everywhere" : ", others at \(differing.joined(separator: ", "))"),
            ])
        }
        let workers = page.workers.map { worker in
            [
                worker.id, worker.kind, worker.why.map { "\(worker.state) (\($0))" } ?? worker.state,
                "\(worker.running)/\(worker.slots)",
            ]
        }
        return TextTable.text(rows) + "\n" + TextTable.text([["WORKER", "KIND", "STATE", "RUNNING"]] + workers)
    }

    private static func words(of gossip: Gossip) -> String {
        guard gossip.state != "off" else { return "off (give gossip.bind or gossip.seeds)" }
        var words = [gossip.state]
        if let mode = gossip.mode { words.append(mode) }
        if let awareness = gossip.awareness { words.append("awareness \(awareness)") }
        if gossip.lossy == true { words.append("heavy loss") }
        if let sent = gossip.bytesSentPerSecond, let received = gossip.bytesReceivedPerSecond,
            sent.magnitude < 1e15, received.magnitude < 1e15
        {
            words.append("\(Int(sent)) B/s out, \(Int(received)) B/s in")
        }
        if let key = gossip.primaryKey { words.append("key \(key)") }
        return words.joined(separator: ", ")
    }
}
