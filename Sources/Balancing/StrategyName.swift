/// How a worker is chosen among those that can serve a request. Raw values are the words of `load_balancing.strategy`.
package enum StrategyName: String, CaseIterable, Sendable {
    case roundRobin = "round_robin"
    case leastConnections = "least_connections"
    case weightedRoundRobin = "weighted_round_robin"
    case resourceAware = "resource_aware"
    case consistentHash = "consistent_hash"
    case prefixAffinity = "prefix_affinity"
}
