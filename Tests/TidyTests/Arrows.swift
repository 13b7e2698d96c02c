/// Which room may import what. Arrows point only downward; a heavy package belongs to few rooms.
///
/// The compiler cannot hold this line: it accepts an `import` of whatever a dependency happens to bring along.
struct Arrows: Sendable {
    /// A room's own rooms and package modules. A room that is not listed here is a violation in itself.
    let allowed: [String: Set<String>]
    /// What every room above layer 2 may import besides.
    let system: Set<String>
    /// Rooms that may import the standard library and their arrows, nothing else.
    let pure: Set<String>

    static let starling = Arrows(
        allowed: [
            "Determinism": ["Synchronization"],
            "WireCoding": ["Determinism"],
            "Membership": ["Determinism", "WireCoding"],
            "RateLimiting": ["Determinism", "WireCoding"],
            "Placement": ["Determinism", "WireCoding"],
            "KeyReplication": ["Determinism"],
            "InferenceDialect": ["Determinism"],
            "SimulatedWorker": ["Determinism"],
            "Balancing": ["Determinism", "Placement", "WireCoding"],
            "ExchangeFlow": ["Determinism", "Balancing", "InferenceDialect"],
            "ReplicaCore": [
                "Synchronization", "Determinism", "WireCoding", "Membership", "RateLimiting", "Placement",
                "KeyReplication", "Balancing",
            ],
            "ClusterSimulator": [
                "Determinism", "WireCoding", "Membership", "RateLimiting", "Placement", "Balancing", "ReplicaCore",
            ],
            "UpstreamLane": nio.union([
                "Determinism", "ReplicaCore", "ExchangeFlow", "Balancing", "InferenceDialect", "KeyReplication",
                "Placement",
                "NIOSSL", "NIOTLS", "HTTPTypes",
            ]),
            "WorkerProbe": nio.union([
                "Determinism", "ReplicaCore", "Balancing", "InferenceDialect", "AsyncHTTPClient", "NIOSSL", "Logging",
                "ServiceLifecycle",
            ]),
            "GossipDriver": [
                "Determinism", "WireCoding", "Membership", "ReplicaCore", "NIOCore", "NIOPosix", "Crypto", "Logging",
            ],
            "Telemetry": ["Determinism", "CoreMetrics", "Metrics", "Logging"],
            "Settings": ["Determinism", "WireCoding", "Balancing", "Yams"],
            "HTTPEdge": nio.union([
                "Determinism", "ReplicaCore", "ExchangeFlow", "Balancing", "InferenceDialect", "KeyReplication",
                "UpstreamLane",
                "Telemetry", "Settings", "NIOSSL", "NIOTLS", "NIOHTTP2", "NIOHTTPTypes", "NIOHTTPTypesHTTP1",
                "NIOHTTPTypesHTTP2",
                "HTTPTypes", "Crypto", "Logging", "Hummingbird", "HummingbirdCore", "HummingbirdTLS",
                "HummingbirdHTTP2",
            ]),
            "ChaosRig": nio.union(["Determinism"]),
            "WorkerSimulator": nio.union(["Determinism", "SimulatedWorker", "Logging"]),
            "GatewayAssembly": nio.union([
                "Determinism", "ReplicaCore", "ExchangeFlow", "Balancing", "InferenceDialect", "KeyReplication",
                "Placement", "GossipDriver", "Membership", "WireCoding", "RateLimiting",
                "UpstreamLane", "WorkerProbe", "Telemetry", "Settings", "HTTPEdge", "AsyncHTTPClient", "Crypto",
                "Logging", "Metrics",
                "ServiceLifecycle", "UnixSignals", "NIOSSL", "Hummingbird",
            ]),
            "starling": [
                "GatewayAssembly", "WorkerSimulator", "SimulatedWorker", "ChaosRig", "ClusterSimulator", "Settings",
                "Determinism", "ArgumentParser", "Logging",
            ],
        ],
        system: ["Foundation", "FoundationEssentials", "Dispatch", "Synchronization", "Glibc", "Musl", "Darwin"],
        pure: [
            "Determinism", "WireCoding", "Membership", "RateLimiting", "ClusterSimulator", "Placement",
            "KeyReplication", "InferenceDialect", "SimulatedWorker", "Balancing",
            "ExchangeFlow",
            "ReplicaCore",
        ])

    private static let nio: Set<String> = ["NIOCore", "NIOPosix", "NIOHTTP1", "NIOConcurrencyHelpers"]

    /// Imports in this file that its room may not have.
    func violations(in source: SourceText, room: String) -> [Violation] {
        guard let own = allowed[room] else {
            return [Violation(path: source.path, line: 1, sentence: "the room \(room) is not in the table of arrows")]
        }
        let all = pure.contains(room) ? own : own.union(system)
        return Self.imports(of: source).filter { !all.contains($0.module) }.map { found in
            Violation(
                path: source.path, line: found.line,
                sentence:
                    "\(room) may not import \(found.module); it may import \(all.sorted().joined(separator: ", "))")
        }
    }

    struct Import: Hashable, Sendable {
        let module: String
        let line: Int
    }

    /// `import X`, `package import X`, `@testable import X`, `import struct X.Y`.
    static func imports(of source: SourceText) -> [Import] {
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor"]
        return source.lines.enumerated().compactMap { number, line in
            let words = line.split { $0 == " " || $0 == "\t" || $0 == ";" }
            guard let keyword = words.firstIndex(of: "import"), words[..<keyword].allSatisfy(Self.isModifier) else {
                return nil
            }
            let rest = words[(keyword + 1)...].drop { kinds.contains($0) }
            guard let name = rest.first?.split(separator: ".").first else { return nil }
            return Import(module: String(name), line: number + 1)
        }
    }

    private static func isModifier(_ word: Substring) -> Bool {
        word.hasPrefix("@") || ["public", "package", "internal", "fileprivate", "private"].contains(word)
    }
}
