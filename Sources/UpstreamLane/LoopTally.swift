/// The counts of one event loop, touched under its own lock once per exchange; `/metrics` sums the loops.
package struct LoopTally: Sendable {
    /// Upper edges in seconds; the last bucket is the rest.
    package static let requestEdges: [Double] = [
        0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800,
    ]
    package static let firstEventEdges: [Double] = [
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
    ]
    package static let gapEdges: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60,
    ]
    package static let overheadEdges: [Double] = [
        0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1,
    ]
    package static let queueEdges: [Double] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

    package struct Histogram: Sendable {
        package let edges: [Double]
        package private(set) var buckets: [Int]
        package private(set) var sum = 0.0

        init(_ edges: [Double]) {
            self.edges = edges
            buckets = Array(repeating: 0, count: edges.count + 1)
        }

        mutating func observe(_ value: Double) {
            var place = 0
            while place < edges.count, value > edges[place] { place += 1 }
            buckets[place] += 1
            sum += value
        }

        package mutating func add(_ other: Histogram) {
            for place in buckets.indices { buckets[place] += other.buckets[place] }
            sum += other.sum
        }
    }

    /// Route, model and outcome of finished exchanges. Models are the configured ones, so the keys are bounded.
    package struct RequestKey: Hashable, Sendable {
        package let route: Int
        package let model: Int
        package let outcome: Int
    }

    package struct AttemptKey: Hashable, Sendable {
        package let worker: Int
        package let outcome: Int
    }

    package internal(set) var requests: [RequestKey: Int] = [:]
    package internal(set) var attempts: [AttemptKey: Int] = [:]
    package internal(set) var cancellations: [String: Int] = [:]
    package internal(set) var retries = 0
    /// By model index.
    package internal(set) var promptTokens: [Int: Int] = [:]
    package internal(set) var completionTokens: [Int: Int] = [:]
    /// By route.
    package internal(set) var requestSeconds = Array(repeating: Histogram(Self.requestEdges), count: 4)
    package internal(set) var firstEvent = Array(repeating: Histogram(Self.firstEventEdges), count: 4)
    package internal(set) var eventGap = Histogram(Self.gapEdges)
    package internal(set) var overhead = Histogram(Self.overheadEdges)
    package internal(set) var queueWait = Histogram(Self.queueEdges)
    /// Exchanges open at this moment.
    package internal(set) var inFlight = 0

    package init() {}

    package mutating func add(_ other: LoopTally) {
        requests.merge(other.requests, uniquingKeysWith: +)
        attempts.merge(other.attempts, uniquingKeysWith: +)
        cancellations.merge(other.cancellations, uniquingKeysWith: +)
        retries += other.retries
        promptTokens.merge(other.promptTokens, uniquingKeysWith: +)
        completionTokens.merge(other.completionTokens, uniquingKeysWith: +)
        for route in Self.routeNames.indices {
            requestSeconds[route].add(other.requestSeconds[route])
            firstEvent[route].add(other.firstEvent[route])
        }
        eventGap.add(other.eventGap)
        overhead.add(other.overhead)
        queueWait.add(other.queueWait)
        inFlight += other.inFlight
    }

    package static let routeNames = ["chat_completions", "completions", "embeddings", "other"]
    package static let outcomeNames = ExchangeOutcome.allCases.map(\.code)
}
