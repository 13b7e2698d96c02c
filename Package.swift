// swift-tools-version: 6.2
import PackageDescription

// CORE_ONLY=1      shows SwiftPM the pure rooms and their tests alone: nothing is resolved, half a minute cold.
// TEST_ROOM=Name   keeps one test target (`NameTests`), since `swift test --filter` still builds them all.
// STARLING_BENCHMARKS=1   adds the benchmark executables, which bring a dependency of their own.
let coreOnly = Context.environment["CORE_ONLY"] != nil
let testRoom = Context.environment["TEST_ROOM"]
let benchmarks = Context.environment["STARLING_BENCHMARKS"] != nil

let settings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// Rooms with pages that say why something was done in one way and not in another.
let roomsWithDecisions: Set<String> = [
    "Balancing", "Placement", "ExchangeFlow", "Membership", "ReplicaCore", "UpstreamLane", "HTTPEdge",
]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, exclude: roomsWithDecisions.contains(name) ? ["Decisions"] : [],
        swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: [], swiftSettings: settings)
}

func from(_ package: String, _ product: String) -> Target.Dependency { .product(name: product, package: package) }

func git(_ path: String, _ version: Version) -> Package.Dependency {
    .package(url: "https://github.com/\(path).git", exact: version)
}

// Layers 0 to 2: pure rooms. No package but ours.
var dependencies: [Package.Dependency] = []
var targets: [Target] = [
    room("Determinism"),
    room("WireCoding", ["Determinism"]),
    room("Membership", ["Determinism", "WireCoding"]),
    room("RateLimiting", ["Determinism", "WireCoding"]),
    room("Placement", ["Determinism", "WireCoding"]),
    room("KeyReplication", ["Determinism"]),
    room("InferenceDialect", ["Determinism"]),
    room("Balancing", ["Determinism", "Placement", "WireCoding"]),
    room("ExchangeFlow", ["Determinism", "Balancing", "InferenceDialect"]),
    room(
        "ReplicaCore",
        ["Determinism", "WireCoding", "Membership", "RateLimiting", "Placement", "KeyReplication", "Balancing"]),
    room(
        "ClusterSimulator",
        ["Determinism", "WireCoding", "Membership", "RateLimiting", "Placement", "Balancing", "ReplicaCore"]),
    room("SimulatedWorker", ["Determinism"]),
]

// Their tests are built optimised and run by themselves: what a simulator or a fuzzer does in a minute would take twenty
// otherwise, and beside them tests with clocks would starve.
if coreOnly {
    targets += [
        tests("DeterminismTests", ["Determinism"]),
        tests("WireCodingTests", ["WireCoding", "Determinism"]),
        tests("MembershipTests", ["Membership", "WireCoding", "Determinism"]),
        tests("RateLimitingTests", ["RateLimiting", "WireCoding", "Determinism"]),
        tests("PlacementTests", ["Placement", "WireCoding", "Determinism"]),
        tests("KeyReplicationTests", ["KeyReplication", "Determinism"]),
        tests("InferenceDialectTests", ["InferenceDialect", "Determinism"]),
        tests("BalancingTests", ["Balancing", "Placement", "WireCoding", "Determinism"]),
        tests("ExchangeFlowTests", ["ExchangeFlow", "Balancing", "InferenceDialect", "Determinism"]),
        tests(
            "ReplicaCoreTests",
            [
                "ReplicaCore", "WireCoding", "Membership", "RateLimiting", "Balancing", "Placement", "KeyReplication",
                "Determinism",
            ]),
        tests(
            "ClusterSimulatorTests",
            [
                "ClusterSimulator", "ReplicaCore", "WireCoding", "Membership", "RateLimiting", "Balancing", "Placement",
                "Determinism",
            ]),
        tests("SimulatedWorkerTests", ["SimulatedWorker", "Determinism"]),
        tests("TidyTests", []),
    ]
}

// Layers 3 to 6: one heavy package a room.
if !coreOnly {
    dependencies += [
        git("apple/swift-nio", "2.101.2"), git("apple/swift-nio-ssl", "2.37.6"),
        git("apple/swift-nio-http2", "1.46.0"), git("apple/swift-nio-extras", "1.35.2"),
        git("apple/swift-http-types", "1.8.0"), git("apple/swift-crypto", "4.5.2"),
        git("apple/swift-log", "1.16.2"), git("apple/swift-metrics", "2.13.0"),
        git("apple/swift-argument-parser", "1.8.2"),
        git("swift-server/swift-service-lifecycle", "2.13.0"), git("swift-server/async-http-client", "1.37.0"),
        git("jpsim/Yams", "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", exact: "2.28.1", traits: []),
    ]
    let nio = [from("swift-nio", "NIOCore"), from("swift-nio", "NIOPosix"), from("swift-nio", "NIOHTTP1")]
    targets += [
        room(
            "UpstreamLane",
            [
                "Determinism", "ReplicaCore", "ExchangeFlow", "Balancing", "InferenceDialect", "KeyReplication",
                "Placement",
            ]
                + nio + [
                    from("swift-nio-ssl", "NIOSSL"), from("swift-nio", "NIOTLS"),
                    from("swift-http-types", "HTTPTypes"),
                ]),
        room(
            "WorkerProbe",
            [
                "Determinism", "ReplicaCore", "Balancing", "InferenceDialect",
                from("async-http-client", "AsyncHTTPClient"), from("swift-nio", "NIOCore"),
                from("swift-nio", "NIOPosix"), from("swift-nio", "NIOHTTP1"), from("swift-nio-ssl", "NIOSSL"),
                from("swift-log", "Logging"), from("swift-service-lifecycle", "ServiceLifecycle"),
            ]),
        room(
            "GossipDriver",
            [
                "Determinism", "WireCoding", "Membership", "ReplicaCore",
                from("swift-nio", "NIOCore"), from("swift-nio", "NIOPosix"), from("swift-crypto", "Crypto"),
                from("swift-log", "Logging"),
            ]),
        room(
            "Telemetry",
            [
                "Determinism", from("swift-metrics", "CoreMetrics"), from("swift-metrics", "Metrics"),
                from("swift-log", "Logging"),
            ]),
        room("Settings", ["Determinism", "WireCoding", "Balancing", from("Yams", "Yams")]),
        room(
            "HTTPEdge",
            [
                "Determinism", "ReplicaCore", "ExchangeFlow", "Balancing", "InferenceDialect", "KeyReplication",
                "UpstreamLane", "Telemetry", "Settings",
                from("swift-nio", "NIOCore"), from("swift-nio", "NIOHTTP1"), from("swift-nio", "NIOPosix"),
                from("swift-nio-ssl", "NIOSSL"), from("swift-nio-http2", "NIOHTTP2"),
                from("swift-nio-extras", "NIOHTTPTypes"), from("swift-nio-extras", "NIOHTTPTypesHTTP1"),
                from("swift-nio-extras", "NIOHTTPTypesHTTP2"), from("swift-http-types", "HTTPTypes"),
                from("swift-crypto", "Crypto"), from("swift-log", "Logging"),
                from("hummingbird", "Hummingbird"), from("hummingbird", "HummingbirdCore"),
                from("hummingbird", "HummingbirdTLS"), from("hummingbird", "HummingbirdHTTP2"),
            ]),
        room("ChaosRig", ["Determinism", from("swift-nio", "NIOCore"), from("swift-nio", "NIOPosix")]),
        room(
            "WorkerSimulator",
            ["Determinism", "SimulatedWorker", from("swift-log", "Logging")] + nio),
        room(
            "GatewayAssembly",
            [
                "Determinism", "ReplicaCore", "ExchangeFlow", "Balancing", "InferenceDialect", "KeyReplication",
                "Placement", "UpstreamLane", "WorkerProbe", "Telemetry", "Settings", "HTTPEdge", "GossipDriver",
                "Membership", "WireCoding", "RateLimiting",
                from("async-http-client", "AsyncHTTPClient"), from("swift-crypto", "Crypto"),
                from("swift-log", "Logging"), from("swift-metrics", "Metrics"),
                from("swift-service-lifecycle", "ServiceLifecycle"), from("swift-service-lifecycle", "UnixSignals"),
                from("swift-nio", "NIOCore"),
                from("swift-nio", "NIOPosix"), from("swift-nio-ssl", "NIOSSL"),
                from("hummingbird", "Hummingbird"),
            ]),
        .executableTarget(
            name: "starling",
            dependencies: [
                "GatewayAssembly", "WorkerSimulator", "SimulatedWorker", "ChaosRig", "ClusterSimulator", "Settings",
                "Determinism", from("swift-argument-parser", "ArgumentParser"), from("swift-log", "Logging"),
            ], swiftSettings: settings),
        tests("SettingsTests", ["Settings", "Balancing", "WireCoding"]),
        tests(
            "TelemetryTests",
            ["Telemetry", "Determinism", from("swift-metrics", "CoreMetrics"), from("swift-log", "Logging")]),
        tests("ChaosRigTests", ["ChaosRig", from("swift-nio", "NIOCore"), from("swift-nio", "NIOPosix")]),
        tests(
            "WorkerSimulatorTests", ["WorkerSimulator", "SimulatedWorker", "InferenceDialect", "Determinism"] + nio),
        tests(
            "UpstreamLaneTests",
            [
                "UpstreamLane", "ExchangeFlow", "ReplicaCore", "Balancing", "InferenceDialect", "KeyReplication",
                "Determinism", from("swift-nio", "NIOEmbedded"), from("swift-nio-ssl", "NIOSSL"),
                from("swift-http-types", "HTTPTypes"),
            ] + nio),
        tests(
            "WorkerProbeTests",
            [
                "WorkerProbe", "ReplicaCore", "Balancing", "InferenceDialect", "Determinism",
                from("swift-nio", "NIOCore"), from("swift-nio", "NIOPosix"), from("swift-nio-ssl", "NIOSSL"),
                from("async-http-client", "AsyncHTTPClient"), from("swift-log", "Logging"),
                from("swift-service-lifecycle", "ServiceLifecycle"),
            ]),
        tests(
            "GossipDriverTests",
            [
                "GossipDriver", "ReplicaCore", "Membership", "WireCoding", "Determinism",
                from("swift-nio", "NIOCore"), from("swift-nio", "NIOPosix"), from("swift-nio", "NIOEmbedded"),
                from("swift-crypto", "Crypto"), from("swift-log", "Logging"),
            ]),
        tests(
            "GatewayAssemblyTests",
            [
                "GatewayAssembly", "UpstreamLane", "ExchangeFlow", "ReplicaCore", "Balancing", "InferenceDialect",
                "KeyReplication", "WorkerProbe", "Telemetry", "Settings", "HTTPEdge", "Determinism",
                from("swift-log", "Logging"), from("swift-nio-ssl", "NIOSSL"),
            ]),
        tests(
            "HTTPEdgeTests",
            [
                "HTTPEdge", "UpstreamLane", "ExchangeFlow", "ReplicaCore", "Balancing", "InferenceDialect",
                "KeyReplication", "Determinism", "Telemetry", "Settings", "GatewayAssembly",
                from("swift-nio", "NIOEmbedded"), from("swift-nio-ssl", "NIOSSL"),
                from("swift-nio-http2", "NIOHTTP2"), from("swift-nio-extras", "NIOHTTPTypes"),
                from("swift-nio-extras", "NIOHTTPTypesHTTP1"), from("swift-nio-extras", "NIOHTTPTypesHTTP2"),
                from("swift-http-types", "HTTPTypes"), from("swift-log", "Logging"),
                from("hummingbird", "Hummingbird"), from("hummingbird", "HummingbirdCore"),
                from("hummingbird", "HummingbirdHTTP2"),
            ] + nio),
    ]
}

if benchmarks {
    dependencies.append(.package(url: "https://github.com/ordo-one/benchmark.git", exact: "1.38.1", traits: []))
    targets.append(
        .executableTarget(
            name: "CoreBenchmarks",
            dependencies: ["InferenceDialect", "Balancing", "Determinism", from("benchmark", "Benchmark")],
            path: "Tests/Benchmarks/CoreBenchmarks", swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]))
}

if let testRoom {
    targets.removeAll { $0.type == .test && $0.name != "\(testRoom)Tests" }
}

let package = Package(name: "starling", platforms: [.macOS(.v15)], dependencies: dependencies, targets: targets)
