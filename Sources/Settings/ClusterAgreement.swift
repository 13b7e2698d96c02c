/// What all replicas of a flock must say alike: what rings, placement and limits are computed from. Its hash is gossiped, and
/// another one is shown, not refused, because a rolling change of the file makes two of them for a while.
///
/// Left out is what may well differ: addresses a replica listens on, paths of its disk, secrets, its log. Lists whose order
/// means nothing are sorted, and what nobody wrote counts as its default, so two files that mean the same agree.
import Balancing
import Determinism

package struct ClusterAgreement: Hashable, Sendable {
    /// One for each section of the file, so that two replicas that disagree can be told where.
    package struct Section: Hashable, Sendable {
        package let name: String
        package let hash: UInt32
    }

    package let sections: [Section]

    /// What stands in a member's record. Never 0, which stands for "not told".
    package var hash: UInt32 {
        var state = StableHash64(seed: Self.version)
        for section in sections {
            state.update(section.name)
            state.update(UInt64(section.hash))
        }
        return max(1, UInt32(truncatingIfNeeded: state.digest()))
    }

    /// Raised when another set of settings is hashed.
    private static let version: UInt64 = 1

    package init(_ settings: GatewaySettings) {
        sections = [
            Self.section("auth") { $0.add("enabled", settings.auth.enabled) },
            Self.section("cluster") { $0.add("name", settings.cluster.name) },
            Self.section("cluster_nodes") { Self.add(settings.clusterNodes, to: &$0) },
            Self.section("gossip") { $0.add("profile", settings.gossip.profile.rawValue) },
            Self.section("load_balancing") { text in
                text.add("enabled", settings.loadBalancing.enabled)
                text.add("strategy", settings.loadBalancing.strategy.rawValue)
                text.add("swap_patience_seconds", settings.loadBalancing.swapPatienceSeconds)
                text.add("residency_min_seconds", settings.loadBalancing.residencyMinSeconds)
            },
            Self.section("models") { text in
                for alias in settings.models.aliases.sorted(by: { $0.name < $1.name }) {
                    text.add("alias", alias.name, alias.target)
                }
                for name in settings.models.allowlist.sorted() { text.add("allow", name) }
                text.add("answer_model", settings.models.answerModel.rawValue)
            },
            Self.section("rate_limiting") { text in
                let limits = settings.rateLimiting
                text.add("enabled", limits.enabled)
                text.add("adaptive", limits.adaptive)
                let tiers = [limits.free, limits.standard, limits.premium, limits.enterprise]
                for tier in tiers { text.add("requests_per_minute", tier.requestsPerMinute) }
            },
        ]
    }

    private static func add(_ nodes: [ClusterNodeSettings], to text: inout HashedText) {
        for node in nodes.sorted(by: { $0.nodeID < $1.nodeID }) {
            text.add("node", node.nodeID, node.host, node.port, node.kind.rawValue)
            text.add("weight", node.weight)
            text.add("max_concurrency", node.maxConcurrency)
            text.add("specs", node.specs.chip, node.specs.memoryGB, node.specs.gpuMemoryGB)
            text.add("transport", node.tls, node.hostHeader, node.plainAssembly.rawValue)
            for model in node.models.sorted(by: { $0.name < $1.name }) {
                text.add("model", model.name, model.upstreamName, model.contextTokens, model.vocabulary)
                text.add("answer", model.maxOutputTokens)
                text.add("size", model.parametersBillions, model.activeParametersBillions, model.bits, model.bytes)
                text.add("shape", model.layers, model.kvHeads, model.headDim)
            }
        }
    }

    private static func section(_ name: String, _ write: (inout HashedText) -> Void) -> Section {
        var text = HashedText()
        write(&text)
        return Section(name: name, hash: UInt32(truncatingIfNeeded: text.state.digest()))
    }
}

/// Words, each with its length before it, so that no two different lists of words are one text.
private struct HashedText {
    var state = StableHash64()

    mutating func add(_ words: (any CustomStringConvertible)?...) {
        state.update(UInt64(words.count))
        for word in words {
            guard let word = word?.description else {
                state.update(UInt64.max)
                continue
            }
            state.update(UInt64(word.utf8.count))
            state.update(word)
        }
    }
}
