/// Every metric Starling itself reports, in one place: name, kind, labels and the sentence a dashboard shows.
///
/// Labels are bounded words (route, model, worker, outcome, state). Never a key, a user, a path or an address.
package struct MetricName: Equatable, Sendable {
    package let name: String
    package let type: MetricFamily.Kind
    package let labels: [String]
    package let help: String

    package func family(_ samples: [MetricSample]) -> MetricFamily {
        MetricFamily(name: name, help: help, type: type, samples: samples)
    }

    /// One number without labels.
    package func family(_ count: some BinaryInteger) -> MetricFamily { family([MetricSample(value: Double(count))]) }
}

package enum MetricNames {
    // MARK: the lane
    package static let requests = counter(
        "starling_requests_total", ["route", "model", "outcome"], "Exchanges ended, by how they ended.")
    package static let requestSeconds = histogram(
        "starling_request_seconds", ["route"], "Seconds from a request's head to the end of its answer.")
    package static let timeToFirstEvent = histogram(
        "starling_time_to_first_event_seconds", ["route"],
        "Seconds from a request's head to the first content event given to the client.")
    package static let eventGap = histogram(
        "starling_event_gap_seconds", [], "Seconds between two events of one stream.")
    package static let gatewayOverhead = histogram(
        "starling_gateway_overhead_seconds", [],
        "Seconds a request spent in the gateway itself, from its last byte to the first byte sent to a worker, "
            + "without waiting for a slot or a connection.")
    package static let queueWait = histogram(
        "starling_queue_wait_seconds", [],
        "Seconds a request waited for a slot; requests that did not wait are not counted.")
    package static let queued = gauge("starling_queued", ["model"], "Requests waiting for a slot now.")
    package static let inFlight = gauge("starling_in_flight", [], "Exchanges open now.")
    package static let cancellations = counter(
        "starling_cancellations_total", ["phase"], "Exchanges whose client left, by what they were doing.")
    package static let promptTokens = counter(
        "starling_prompt_tokens_total", ["model"], "Prompt tokens as workers reported them.")
    package static let completionTokens = counter(
        "starling_completion_tokens_total", ["model"], "Generated tokens as workers reported them.")

    // MARK: workers
    package static let upstreamAttempts = counter(
        "starling_upstream_attempts_total", ["worker", "outcome"], "Attempts on workers, by how they ended.")
    package static let upstreamRetries = counter(
        "starling_upstream_retries_total", [], "Attempts after the first one of an exchange.")
    package static let breakerState = gauge(
        "starling_breaker_state", ["worker", "model"], "0 closed, 1 half open, 2 open.")
    package static let workerState = gauge(
        "starling_worker_state", ["worker", "state"], "1 for the state a worker is in, 0 for the others.")
    package static let workerRunning = gauge("starling_worker_running", ["worker"], "Slots in use on a worker now.")
    package static let workerForeign = gauge(
        "starling_worker_foreign_exchanges", ["worker"],
        "Exchanges that a worker runs for others, by its own count; only of workers that tell.")
    package static let workerMemory = gauge(
        "starling_worker_memory_ratio", ["worker"],
        "Memory in use on a worker's Mac as a share of what there is, measured or by what its models need; only where known."
    )
    package static let workerSlots = gauge("starling_worker_slots", ["worker"], "Slots a worker has.")
    package static let workerProbes = counter(
        "starling_worker_probes_total", ["worker", "result"], "Probes sent to workers, by what they found.")

    package static let workerCasualties = counter(
        "starling_worker_casualties_total", ["worker"], "Deaths of workers while exchanges ran on them.")

    // MARK: the replica
    package static let buildInfo = gauge("starling_build_info", ["version", "replica"], "Always 1; the labels tell.")
    package static let ready = gauge("starling_ready", [], "1 when the replica takes new requests.")
    package static let configReloads = counter(
        "starling_config_reloads_total", ["result"], "Reloads of the settings, by result.")
    package static let configRejected = gauge(
        "starling_config_rejected", [], "1 while the settings file has a fault and the last good one stays in use.")
    package static let logDropped = counter(
        "starling_log_dropped_total", [], "Log lines dropped because whoever reads them was too slow.")
    package static let seriesRefused = counter(
        "starling_metrics_series_refused_total", [], "Metric series that found no room.")
    package static let faults = counter(
        "starling_faults_total", [], "Rules of our own that were broken; anything above 0 is a bug.")

    // MARK: the process
    package static let processCPU = counter(
        "process_cpu_seconds_total", [], "Seconds of user and system CPU time spent.")
    package static let processResidentMemory = gauge(
        "process_resident_memory_bytes", [], "Resident memory size in bytes.")
    package static let processOpenFDs = gauge("process_open_fds", [], "Open file descriptors.")
    package static let processMaxFDs = gauge("process_max_fds", [], "Limit of open file descriptors.")
    package static let processStartTime = gauge(
        "process_start_time_seconds", [], "Start of the process in seconds since 1970.")

    // MARK: the flock
    package static let members = gauge(
        "starling_membership_members", ["status"], "Replicas that are known, this one included, by status.")
    package static let memberChanges = counter(
        "starling_membership_changes_total", ["to"], "Changes of a member's status as seen here.")
    package static let incarnation = gauge(
        "starling_membership_incarnation", [], "This replica's incarnation: it rises with each refutation and change.")
    package static let awareness = gauge(
        "starling_membership_awareness", [], "0 is well; up to 7 for a replica that hears others late and is patient.")
    package static let probeFailures = counter(
        "starling_membership_probe_failures_total", [], "Probes of members that nobody answered by any way.")
    package static let suspicions = counter(
        "starling_membership_suspicions_total", ["cause"], "Suspicions raised, by what raised them.")
    package static let refutations = counter(
        "starling_membership_refutations_total", [], "Times this replica was called gone and answered.")
    package static let falseDeaths = counter(
        "starling_membership_false_deaths_total", [], "Members held dead here that were alive all the time.")
    package static let loopLate = counter(
        "starling_membership_late_total", [], "Times the gossip's loop was late by more than 100 ms.")
    package static let lossyClimate = gauge(
        "starling_membership_lossy", [], "1 while the network around here loses much and waits are doubled.")
    package static let udpBlocked = gauge(
        "starling_membership_udp_blocked", [], "Members to which UDP does not pass while TCP does.")
    package static let agreementMismatches = gauge(
        "starling_membership_agreement_mismatch", [], "Members whose settings differ where all must say the same.")
    package static let forcedRejoins = counter(
        "starling_membership_forced_rejoins_total", [], "Times this replica was removed elsewhere and joined again.")
    package static let renewals = counter(
        "starling_membership_renewals_total", [], "Times this replica took a new identity.")
    package static let gossipBytes = counter(
        "starling_gossip_bytes_total", ["direction", "transport"],
        "Bytes of gossip, without headers of IP, UDP and TCP.")
    package static let gossipPackets = counter(
        "starling_gossip_packets_total", ["direction"], "Datagrams of gossip.")
    package static let gossipDropped = counter(
        "starling_gossip_dropped_total", ["reason"], "Datagrams that were not taken, by reason.")
    package static let gossipSyncs = counter(
        "starling_gossip_syncs_total", ["reason"], "Comparisons of all records with one member, by what caused them.")
    package static let rumoursDropped = counter(
        "starling_gossip_rumours_dropped_total", [], "News given up for want of room; syncs make up for them.")
    package static let workerVerdict = gauge(
        "starling_worker_verdict", ["worker", "verdict"],
        "1 for what all words on a worker mean for choosing it here, 0 for the others.")
    package static let workerOthers = gauge(
        "starling_worker_other_replicas_running", ["worker"], "Exchanges of other replicas on a worker now.")
    package static let balancingPanics = gauge(
        "starling_balancing_panic", [],
        "Models of which others' words would take most workers away, so that they count for nothing.")
    package static let ringParticipants = gauge(
        "starling_placement_ring_replicas", [], "Replicas on the ring that divides monitoring and authority.")
    package static let addressBlocks = gauge(
        "starling_address_blocks", [], "Ranges of client addresses that are blocked now.")

    package static let all: [MetricName] = [
        members, memberChanges, incarnation, awareness, probeFailures,
        suspicions, refutations, falseDeaths, loopLate, lossyClimate, udpBlocked,
        agreementMismatches, forcedRejoins, renewals, gossipBytes, gossipPackets, gossipDropped,
        gossipSyncs, rumoursDropped, workerVerdict, workerOthers, balancingPanics, ringParticipants, addressBlocks,
        requests, requestSeconds, timeToFirstEvent, eventGap, gatewayOverhead, queueWait, queued,
        inFlight,
        cancellations, promptTokens, completionTokens, upstreamAttempts,
        upstreamRetries, breakerState, workerState, workerRunning, workerForeign, workerMemory, workerSlots,
        workerProbes, workerCasualties, buildInfo, ready, configReloads, configRejected, logDropped, seriesRefused,
        faults,
        processCPU, processResidentMemory, processOpenFDs, processMaxFDs, processStartTime,
    ]

    private static func counter(_ name: String, _ labels: [String], _ help: String) -> MetricName {
        MetricName(name: name, type: .counter, labels: labels, help: help)
    }

    private static func gauge(_ name: String, _ labels: [String], _ help: String) -> MetricName {
        MetricName(name: name, type: .gauge, labels: labels, help: help)
    }

    private static func histogram(_ name: String, _ labels: [String], _ help: String) -> MetricName {
        MetricName(name: name, type: .histogram, labels: labels, help: help)
    }
}

/// Where the buckets of our histograms end, in seconds. Each family spans what it can show: prompts of minutes, gaps of
/// a decode step, microseconds of our own work.
package enum HistogramEdges {
    package static let timeToFirstEvent: [Double] = [
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
    ]
    package static let eventGap: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60,
    ]
    package static let gatewayOverhead: [Double] = [
        0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1,
    ]
    package static let queueWait: [Double] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    package static let requestSeconds: [Double] = [
        0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800,
    ]
    /// For a library's values of unknown unit.
    package static let magnitudes: [Double] = [
        0.001, 0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000,
    ]
}
