import Balancing
import Determinism
import ReplicaCore
import Testing

@testable import WorkerProbe

@Suite("What is read beside the probes")
struct LoadReaderTests {
    @Test("what a worker runs for others is its own count without ours, and is unknown when it is silent for long")
    func foreign() async throws {
        let server = try await ScriptedServer.start { asked in
            switch asked.line {
            case "GET /slots": .status(200, #"[{"is_processing":true},{"is_processing":true},{"is_processing":true}]"#)
            default: .status(200, listing)
            }
        }
        let bench = ProbeBench([ProbeBench.worker(0, .llamaCpp, port: server.port)])
        let worker = WorkerIndex(rawValue: 0)
        try await bench.run {
            bench.board.loads.begin(worker, sequences: 1, tokens: 100)
            try await until("healthy") { bench.condition() == .healthy }
            try await until("the first round") { bench.count(.alive) == 1 }
            // The canary has been forgotten by then.
            bench.pass(ProbeBench.interval * 1.3)
            try await until("a second round") { bench.count(.alive) == 2 }
            #expect(bench.foreign() == 2)
            server.change { $0.line == "GET /slots" ? .status(501, "{}") : .status(200, listing) }
            for round in 3...5 {
                bench.pass(ProbeBench.interval * 1.2)
                try await until("round \(round)") { bench.count(.alive) == round }
                #expect(bench.foreign() == (round < 5 ? 2 : nil))
            }
            #expect(bench.condition() == .healthy && bench.count(.failed) == 0)
        }
        try await server.stop()
    }

    @Test("a canary of ours is nobody else's exchange")
    func foreignCanary() async throws {
        let server = try await ScriptedServer.start { asked in
            // Busy from the second canary on, as if it noticed no end.
            asked.line == "GET /slots" && asked.canaries > 1
                ? .status(200, #"[{"is_processing":true}]"#) : .status(200, #"[{"is_processing":false}]"#)
        }
        let bench = ProbeBench([ProbeBench.worker(0, .llamaCpp, port: server.port)])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            // A round that ends after time has passed would put off the next.
            try await until("the first round") { bench.count(.alive) == 1 }
            bench.pass(ProbeBench.interval * 1.3)
            // Asked for a token and for its slots in the same moment, in whatever order.
            bench.board.tellHealth(WorkerIndex(rawValue: 0), .silence, at: bench.now)
            try await until("a canary") { bench.count(.canaryClean) == 2 }
            try await until("a round") { bench.count(.alive) == 2 }
            #expect(bench.foreign() == 0)
        }
        try await server.stop()
    }

    @Test("exo's state is read for its load, its Mac and its models at once")
    func state() async throws {
        let server = try await ScriptedServer.start { asked in
            guard asked.line == "GET /state" else { return .status(200, #"{"data":[{"id":"m"}]}"#) }
            return .status(
                200,
                #"""
                {"instances":{"i":{"Ring":{"shardAssignments":{"modelId":"m","nodeToRunner":{"n":"r"}}}}},
                "runners":{"r":{"RunnerRunning":{}}},"nodeMemory":{"n":{"ramTotal":{"inBytes":100},
                "ramAvailable":{"inBytes":50},"swapTotal":{"inBytes":0},"swapAvailable":{"inBytes":0}}},
                "tasks":{"1":{"TextGeneration":{"taskStatus":"Running"}},"2":{"TextGeneration":{"taskStatus":"Pending"}}}}
                """#)
        }
        let bench = ProbeBench([ProbeBench.worker(0, .exo, port: server.port)])
        let worker = WorkerIndex(rawValue: 0)
        try await bench.run {
            bench.board.loads.begin(worker, sequences: 1, tokens: 100)
            try await until("healthy") { bench.condition() == .healthy }
            try await until("a first round") { bench.count(.alive) == 1 }
            // The canary has been forgotten by then.
            bench.pass(ProbeBench.interval * 1.3)
            try await until("a second round") { bench.count(.alive) == 2 }
            #expect(bench.foreign() == 1 && bench.vitals()?.memoryMeasured == 0.5)
            #expect(bench.board.modelState(worker, ModelIndex(rawValue: 0), at: bench.now) == .resident)
            #expect(bench.board.withModels(worker) { $0.isSelective })
            #expect(server.lines.count { $0 == "GET /state" } == 2)
        }
        try await server.stop()
    }

    @Test("a page of load that never comes delays the verdict of no round")
    func silentPage() async throws {
        let server = try await ScriptedServer.start { asked in
            asked.line == "GET /v1/status" ? .silence : .status(200, listing)
        }
        let bench = ProbeBench([ProbeBench.worker(0, .vllmMLX, port: server.port)])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            try await until("the round") { bench.count(.alive) == 1 }
            #expect(bench.foreign() == nil && bench.condition() == .healthy && bench.count(.failed) == 0)
        }
        try await server.stop()
    }

    @Test("a monitor that tells of full memory takes a worker out, and of room takes it back; it gets no credential")
    func pressure() async throws {
        @Sendable func page(_ share: Double, gpu: Double = 0) -> ScriptedServer.Reply {
            .status(
                200,
                #"{"memory":{"ram_total":100,"ram_usage":\#(share * 100),"swap_usage":0},"gpu_usage":[400,\#(gpu)]}"#)
        }
        let monitor = try await ScriptedServer.start { _ in page(0.5, gpu: 0.25) }
        let server = try await ScriptedServer.start { _ in .status(200, listing) }
        let bench = ProbeBench([
            ProbeBench.worker(
                0, .mlxLM, port: server.port, key: "secret", telemetry: "http://127.0.0.1:\(monitor.port)/json")
        ])
        func round(_ number: Int) async throws {
            bench.pass(ProbeBench.interval * 1.3)
            try await until("round \(number)") { bench.count(.alive) == number }
        }
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            try await until("the first round") { bench.count(.alive) == 1 }
            try await round(2)
            #expect(bench.vitals()?.memory == 0.5 && bench.vitals()?.foreignGPU == 0.25)
            // While we work, what the GPU does is not told from what others do with it.
            bench.board.noteToken(WorkerIndex(rawValue: 0), at: bench.now + ProbeBench.interval * 1.3)
            monitor.change { _ in page(0.93, gpu: 1) }
            try await round(3)
            #expect(bench.condition() == .degraded(.pressure) && bench.vitals()?.foreignGPU == 0.25)
            monitor.change { _ in page(0.89) }
            try await round(4)
            #expect(bench.condition() == .degraded(.pressure))
            monitor.change { _ in page(0.5) }
            try await round(5)
            bench.pass(ProbeBench.interval * 1.3)
            try await until("taken back") { bench.condition() == .healthy }
            #expect(monitor.asked.allSatisfy { $0.line == "GET /json" && $0.field("authorization") == nil })
        }
        try await server.stop()
        try await monitor.stop()
    }

    @Test(
        "a monitor that fails is no failure of its worker",
        arguments: ["refuses", "hangs up", "is silent", "says 500", "says nonsense", "says too much"])
    func badMonitor(how: String) async throws {
        let monitor = try await ScriptedServer.start { _ in
            switch how {
            case "hangs up": .hangUp
            case "is silent": .silence
            case "says 500": .status(500, #"{"memory":{"ram_total":1,"ram_usage":1}}"#)
            case "says nonsense": .status(200, "<html>")
            default:
                .status(
                    200, #"{"memory":{"ram_total":1,"ram_usage":1}}"# + String(repeating: " ", count: 64 << 10))
            }
        }
        let server = try await ScriptedServer.start { _ in .status(200, listing) }
        // Nobody listens on port 1.
        let port = how == "refuses" ? 1 : monitor.port
        let bench = ProbeBench([
            ProbeBench.worker(0, .mlxLM, port: server.port, telemetry: "http://127.0.0.1:\(port)/json")
        ])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            try await until("a round") { bench.count(.alive) == 1 }
            #expect(bench.vitals() == nil && bench.count(.failed) + bench.count(.refused) == 0)
        }
        try await server.stop()
        try await monitor.stop()
    }

    @Test("without a monitor the sizes of models tell; the larger of forecast and measurement counts")
    func forecast() async throws {
        let server = try await ScriptedServer.start { asked in
            asked.line == "GET /v1/status"
                ? .status(200, #"{"num_running":0,"num_waiting":0,"metal":{"active_memory_gb":12}}"#)
                : .status(200, listing)
        }
        let bench = ProbeBench([
            ProbeBench.worker(0, .vllmMLX, port: server.port, memoryGB: 64, gigabytes: 22),
            ProbeBench.worker(1, .mlxLM, port: server.port, memoryGB: 64, gigabytes: 44),
        ])
        try await bench.run {
            try await until("both were asked") { bench.count(.alive) >= 1 && bench.count(.alive, 1) >= 1 }
            #expect(bench.vitals()?.memoryMeasured == 0.25 && bench.vitals()?.memory == 0.5)
            #expect(bench.vitals(1)?.memoryMeasured == nil && bench.vitals(1)?.memory == 46.0 / 48)
            bench.pass(ProbeBench.interval * 1.3)
            try await until("it is spared") { bench.condition(1) == .degraded(.pressure) }
            #expect(bench.condition() == .healthy)
        }
        try await server.stop()
    }
}
