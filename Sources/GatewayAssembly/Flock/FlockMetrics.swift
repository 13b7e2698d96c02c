/// The gossip's counts as metrics.
import Balancing
import GossipDriver
import Membership
import Placement
import RateLimiting
import ReplicaCore
import Telemetry
import WireCoding

struct FlockMetrics: Sendable {
    let service: FlockService
    let routing: RoutingTable

    func families() -> [MetricFamily] {
        guard let gossip = service.gossip else { return [] }
        let counts = gossip.counts
        let view = gossip.members.value
        return membership(counts, view) + traffic(counts, view) + workers(gossip.flock.value)
    }

    private func membership(_ counts: GossipCounts, _ view: MembersView) -> [MetricFamily] {
        let statuses = MemberStatus.allCases.map { status in
            let count = view.others.reduce(status == .alive ? 1 : 0) { $0 + ($1.status == status ? 1 : 0) }
            return MetricSample(labels: [("status", status.word)], value: Double(count))
        }
        return [
            MetricNames.members.family(statuses),
            MetricNames.memberChanges.family(
                MemberStatus.allCases.map {
                    MetricSample(labels: [("to", $0.word)], value: Double(counts.changed(to: $0)))
                }),
            MetricNames.incarnation.family(view.own.incarnation.rawValue),
            MetricNames.awareness.family(counts.awareness),
            MetricNames.probeFailures.family(counts.probesFailed),
            MetricNames.suspicions.family(
                SuspicionCause.allCases.map {
                    MetricSample(labels: [("cause", "\($0)")], value: Double(counts.suspected($0)))
                }),
            MetricNames.refutations.family(counts.refutations),
            MetricNames.falseDeaths.family(counts.falseDeaths),
            MetricNames.loopLate.family(counts.late),
            MetricNames.lossyClimate.family(view.own.flags.contains(.lossy) ? 1 : 0),
            MetricNames.udpBlocked.family(view.udpBlocked.count),
            MetricNames.agreementMismatches.family(view.present.count { $0.record.agreement != view.own.agreement }),
            MetricNames.forcedRejoins.family(counts.rejoins),
            MetricNames.renewals.family(counts.renewals),
        ]
    }

    private func traffic(_ counts: GossipCounts, _ view: MembersView) -> [MetricFamily] {
        func bytes(_ direction: String, _ transport: String, _ count: Int) -> MetricSample {
            MetricSample(labels: [("direction", direction), ("transport", transport)], value: Double(count))
        }
        return [
            MetricNames.gossipBytes.family([
                bytes("sent", "udp", counts.datagramBytesSent), bytes("received", "udp", counts.datagramBytesReceived),
                bytes("sent", "tcp", counts.streamBytesSent), bytes("received", "tcp", counts.streamBytesReceived),
            ]),
            MetricNames.gossipPackets.family([
                MetricSample(labels: [("direction", "sent")], value: Double(counts.datagramsSent)),
                MetricSample(labels: [("direction", "received")], value: Double(counts.datagramsReceived)),
            ]),
            MetricNames.gossipDropped.family(
                DropReason.allCases.map {
                    MetricSample(labels: [("reason", $0.word)], value: Double(counts.dropped($0)))
                }),
            MetricNames.gossipSyncs.family(
                SyncReason.allCases.map {
                    MetricSample(labels: [("reason", "\($0)")], value: Double(counts.synced($0)))
                }),
            MetricNames.rumoursDropped.family(counts.rumoursDropped),
        ]
    }

    private func workers(_ flock: FlockView) -> [MetricFamily] {
        let ids = Dictionary(
            routing.configured.map { (WorkerShortID(of: $0.id.rawValue), $0.id.rawValue) },
            uniquingKeysWith: { first, _ in first })
        var verdicts: [MetricSample] = []
        var others: [MetricSample] = []
        for worker in flock.workers {
            guard let id = ids[worker.short] else { continue }
            for verdict in WorkerVerdict.allCases {
                verdicts.append(
                    MetricSample(
                        labels: [("worker", id), ("verdict", "\(verdict)")], value: worker.verdict == verdict ? 1 : 0))
            }
            others.append(MetricSample(labels: [("worker", id)], value: Double(worker.others.running)))
        }
        return [
            MetricNames.workerVerdict.family(verdicts), MetricNames.workerOthers.family(others),
            MetricNames.balancingPanics.family(flock.panics.count),
            MetricNames.ringParticipants.family(flock.ring.participants.count),
            MetricNames.addressBlocks.family(flock.blocked.count),
        ]
    }
}
