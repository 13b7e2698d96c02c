import Balancing
import Determinism
import ReplicaCore
import Synchronization
import Testing

@testable import WorkerProbe

/// A worker that remembers what it has in memory, in the words of its kind.
private final class Memory: Sendable {
    private let names: Mutex<Set<String>>
    init(_ names: Set<String>) { self.names = Mutex(names) }
    func insert(_ name: String) { names.withLock { _ = $0.insert(name) } }
    func remove(_ name: String) { names.withLock { _ = $0.remove(name) } }
    var all: [String] { names.withLock { $0.sorted() } }

    func ollama() -> ScriptedServer.Reply {
        .status(200, #"{"models":[\#(all.map { #"{"name":"\#($0)"}"# }.joined(separator: ","))]}"#)
    }
}

@Suite("Loads by the gateway's order")
struct LoadTests {
    private static let a = ModelIndex(rawValue: 0)
    private static let b = ModelIndex(rawValue: 1)
    private static let worker = WorkerIndex(rawValue: 0)

    private func state(_ bench: ProbeBench, _ model: ModelIndex) -> ModelState {
        bench.board.modelState(Self.worker, model, at: bench.now)
    }

    /// Somebody waits for a model, as the lane would say it.
    private func want(_ model: ModelIndex, _ bench: ProbeBench) -> TicketID? {
        bench.desk.enqueue(
            model: model, tenant: 1, deadline: .never,
            loading: AdmissionDesk.Loading(since: bench.now, expectedWait: .infinity, workers: [Self.worker])
        ) {}
    }

    @Test("ollama: one order for all who wait, whoever leaves; the model is there when its list says so")
    func ollama() async throws {
        let memory = Memory([])
        let server = try await ScriptedServer.start { asked in
            switch asked.line {
            case "GET /api/tags": return .status(200, #"{"models":[{"name":"a:latest"},{"name":"b:latest"}]}"#)
            case "GET /api/ps": return memory.ollama()
            case "POST /api/generate":
                memory.insert("a:latest")
                return .status(200, #"{"done":true,"done_reason":"load"}"#)
            default: return .status(200, "{}")
            }
        }
        let bench = ProbeBench([ProbeBench.worker(0, .ollama, port: server.port, models: ["a", "b"])])
        try await bench.run {
            try await until("it is known that nothing is there") { state(bench, Self.a) == .available }
            try await until("healthy") { bench.condition() == .healthy }
            let tickets = (0..<3).map { _ in want(Self.a, bench) }
            #expect(tickets.allSatisfy { $0 != nil })
            // It begins for all of them, and goes on without any.
            for ticket in tickets.compactMap(\.self) { bench.desk.cancel(Self.a, ticket) }
            let late = want(Self.a, bench)
            try await until("it is there") { state(bench, Self.a) == .resident }
            try await until("whoever waits hears of it") { bench.ready.count >= 2 }
            #expect(late != nil && state(bench, Self.b) == .available)
            let orders = server.asked.filter { $0.line == "POST /api/generate" }
            #expect(orders.map(\.body) == [#"{"model":"a","stream":false}"#])
            #expect(bench.count(.loaded) == 1 && bench.count(.loadFailed) == 0)
            #expect(bench.logged("a model is loaded").count == 1)
        }
        try await server.stop()
    }

    @Test("a full memory: what nobody uses is let go by order, and then the load is ordered")
    func evicts() async throws {
        let memory = Memory(["a"])
        let server = try await ScriptedServer.start { asked in
            switch asked.line {
            case "GET /health": return .status(200, "{}")
            case "GET /v1/models": return .status(200, #"{"data":[{"id":"a"},{"id":"b"}]}"#)
            case "GET /v1/models/status":
                let list = ["a", "b"].map { #"{"id":"\#($0)","loaded":\#(memory.all.contains($0))}"# }
                return .status(200, #"{"models":[\#(list.joined(separator: ","))]}"#)
            case "POST /v1/models/a/unload":
                memory.remove("a")
                return .status(200, "{}")
            case "POST /v1/models/b/load":
                memory.insert("b")
                return .status(200, "{}")
            default: return .status(200, "{}")
            }
        }
        // Two models of 4.5 GB, and room for one.
        let worker = ProbeBench.worker(0, .oMLX, port: server.port, models: ["a", "b"], memoryGB: 8)
        let bench = ProbeBench([worker])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy && state(bench, Self.b) == .available }
            #expect(want(Self.b, bench) != nil)
            try await until("one is there and the other gone") {
                state(bench, Self.b) == .resident && state(bench, Self.a) == .available
            }
            let posts = server.asked.map(\.line).filter { $0.hasPrefix("POST /v1/models") }
            #expect(posts == ["POST /v1/models/a/unload", "POST /v1/models/b/load"])
        }
        try await server.stop()
    }

    @Test("a load that fails is told in the log, and no more is tried for a while", arguments: [404, 500])
    func fails(status: Int) async throws {
        let server = try await ScriptedServer.start { asked in
            switch asked.line {
            case "GET /api/tags": .status(200, #"{"models":[{"name":"a"}]}"#)
            case "GET /api/ps": .status(200, #"{"models":[]}"#)
            // Without the route the smallest request is tried, and fails as well.
            case "POST /api/generate", "POST /v1/chat/completions": .status(status, #"{"error":"no room"}"#)
            default: .status(200, "{}")
            }
        }
        let bench = ProbeBench([ProbeBench.worker(0, .ollama, port: server.port, models: ["a"])])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy && state(bench, Self.a) == .available }
            #expect(want(Self.a, bench) != nil)
            try await until("it failed") { bench.count(.loadFailed) == 1 }
            #expect(state(bench, Self.a) == .failed)
            #expect(
                bench.logged("a model was not loaded").allSatisfy { $0.contains("\(status): {\"error\":\"no room\"}") })
            bench.pass(.seconds(31))
            try await until("and once more") { bench.count(.loadFailed) == 2 }
        }
        try await server.stop()
    }

    @Test("mlx_lm: the model that is asked for pushes the other out; a canary asks for the one that is there")
    func mlx() async throws {
        let server = try await ScriptedServer.start { _ in .status(200, #"{"data":[{"id":"a"},{"id":"b"}]}"#) }
        let bench = ProbeBench([ProbeBench.worker(0, .mlxLM, port: server.port, models: ["a", "b"])])
        func canaries() -> [String] {
            server.asked.filter { $0.line.hasPrefix("POST") }.map { String($0.body.prefix(12)) }
        }
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            try await until("its first model is there") {
                state(bench, Self.a) == .resident && state(bench, Self.b) == .available
            }
            #expect(want(Self.b, bench) != nil)
            try await until("the other is there") {
                state(bench, Self.b) == .resident && state(bench, Self.a) == .available
            }
            #expect(canaries() == [#"{"model":"a""#, #"{"model":"b""#])
            bench.pass(.seconds(320))
            try await until("a canary after a long silence") { canaries().count == 3 }
            #expect(canaries().last == #"{"model":"b""#)
        }
        try await server.stop()
    }
}
