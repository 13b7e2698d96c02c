import Balancing
import Determinism
import Foundation
import InferenceDialect
import ReplicaCore
import Testing

@testable import WorkerProbe

let listing = #"{"object":"list","data":[{"id":"one"},{"id":"two"}]}"#

@Suite("ProbeService")
struct ProbeServiceTests {
    @Test("a plain OpenAI server that lists its models is healthy, and is never asked for a token")
    func openAI() async throws {
        let server = try await ScriptedServer.start { _ in .status(200, listing) }
        let bench = ProbeBench([ProbeBench.worker(0, .openAI, port: server.port, key: "secret")])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            try await until("whoever waits hears of it") { bench.ready == ["w0"] }
            for round in 2...3 {
                bench.pass(ProbeBench.interval * 1.3)
                try await until("round \(round)") { bench.count(.alive) == round }
            }
            #expect(server.lines == ["GET /v1/models", "GET /v1/models", "GET /v1/models"])
            #expect(bench.models == ["w0": ["one", "two"]] && bench.count(.canaryClean) == 0)
            let asked = try #require(server.asked.first)
            #expect(asked.field("authorization") == "Bearer secret" && asked.field("host") == "mac0.test")
            #expect(asked.field("connection") == "close")
        }
        try await server.stop()
    }

    @Test("an mlx_lm worker is proved by a token, not by its health page", arguments: [200, 400])
    func canary(status: Int) async throws {
        let hostile = "a \"quoted\" \\ name\n\u{1}"
        let server = try await ScriptedServer.start { asked in
            switch asked.line {
            case "GET /health": .status(200, "{}")
            case "GET /v1/models": .status(200, listing)
            // A refusal that blames the request proves an engine that reads requests.
            default: .status(status, #"{"error":"not for chats"}"#)
            }
        }
        let bench = ProbeBench([ProbeBench.worker(0, .mlxLM, port: server.port, models: [hostile])])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            #expect(bench.count(.canaryClean) == 1 && bench.count(.alive) == 1)
            #expect(server.lines == ["GET /health", "GET /v1/models", "POST /v1/chat/completions"])
            let body = try #require(server.asked.last).body
            let read = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
            #expect(read?["model"] as? String == hostile && read?["max_tokens"] as? Int == 1)
            #expect((read?["messages"] as? [Any])?.count == 1)
        }
        try await server.stop()
    }

    @Test("canaries that fail twice take an mlx_lm worker down though its health page stays well")
    func canaryFails() async throws {
        let server = try await ScriptedServer.start { asked in
            asked.line.hasPrefix("GET") ? .status(200, listing) : .status(500, "{}")
        }
        let bench = ProbeBench([ProbeBench.worker(0, .mlxLM, port: server.port)])
        try await bench.run {
            try await until("one failed") { bench.count(.canaryFailed) == 1 }
            #expect(bench.condition() == .loading)
            bench.pass(ProbeBench.interval * 1.3)
            try await until("two failed") { bench.count(.canaryFailed) == 2 }
            try await until("down") { bench.condition() == .down(.canary) }
        }
        try await server.stop()
    }

    @Test("a worker without a token for long is asked for one: after a minute if exchanges run there, else after five")
    func doubts() async throws {
        let server = try await ScriptedServer.start { _ in .status(200, listing) }
        let bench = ProbeBench([ProbeBench.worker(0, .mlxLM, port: server.port)])
        let worker = WorkerIndex(rawValue: 0)
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            var canaries = 1
            for (running, passed, isAsked) in [
                (false, 280.0, false), (false, 30.0, true), (true, 50.0, false), (true, 15.0, true),
            ] {
                if running != (bench.board.running(worker) > 0) { _ = bench.board.tryTakeSlot(worker, cap: 1) }
                let rounds = bench.count(.alive)
                bench.pass(.seconds(passed))
                try await until("a round") { bench.count(.alive) == rounds + 1 }
                if isAsked {
                    canaries += 1
                    try await until("a canary") { bench.count(.canaryClean) == canaries }
                } else {
                    #expect(bench.count(.canaryClean) == canaries)
                }
            }
            // A token of any exchange is as good.
            let rounds = bench.count(.alive)
            bench.board.noteToken(worker, at: Instant(nanoseconds: 1_000_000_000) + .seconds(445))
            bench.pass(.seconds(70))
            try await until("a round") { bench.count(.alive) == rounds + 1 }
            #expect(!bench.board.takeCanaryWish(worker) && bench.count(.canaryClean) == canaries)
        }
        try await server.stop()
    }

    @Test("a kind that loads what it is asked for is asked for a token of a model in memory, and else for none")
    func resident() async throws {
        for loaded in [["b"], []] {
            let list = loaded.map { #"{"name":"\#($0)"}"# }.joined(separator: ",")
            let server = try await ScriptedServer.start { asked in
                switch asked.line {
                case "GET /api/tags": .status(200, #"{"models":[{"name":"a"},{"name":"b"}]}"#)
                case "GET /api/ps": .status(200, #"{"models":[\#(list)]}"#)
                default: .status(200, "{}")
                }
            }
            let bench = ProbeBench([ProbeBench.worker(0, .ollama, port: server.port, models: ["a", "b"])])
            try await bench.run {
                try await until("healthy") { bench.condition() == .healthy }
                let posts = server.asked.filter { $0.line.hasPrefix("POST") }
                #expect(posts.count == loaded.count && bench.count(.canaryClean) == loaded.count)
                #expect(posts.allSatisfy { $0.body.hasPrefix(#"{"model":"b","#) })
                #expect(bench.models["w0"] == ["a", "b"])
            }
            try await server.stop()
        }
    }

    @Test("a worker that answers for any name has only the models that it lists, by whatever name, and it is told once")
    func absent() async throws {
        let server = try await ScriptedServer.start { asked in
            asked.line == "GET /v1/models"
                ? .status(200, #"{"data":[{"id":"tiny.gguf","aliases":["tiny","small"]}]}"#) : .status(200, "{}")
        }
        let bench = ProbeBench([
            ProbeBench.worker(0, .llamaCpp, port: server.port, models: ["llama", "small"]),
            // One that refuses a name it does not know is believed to know its models.
            ProbeBench.worker(1, .openAI, port: server.port, models: ["qwen"]),
        ])
        let state = { (model: String) throws in
            let view = bench.routing.value
            let entry = try #require(view.models.first { $0.name == model })
            let worker = view.workers[entry.placements[0].position]
            return bench.board.modelState(worker.index, entry.index, at: bench.now)
        }
        try await bench.run {
            for round in 1...2 {
                try await until("round \(round)") { bench.count(.alive) == round && bench.count(.alive, 1) == round }
                #expect(try state("llama") == .absent && state("small") == .resident && state("qwen") == .resident)
                bench.pass(ProbeBench.interval * 1.3)
            }
            #expect(server.asked.allSatisfy { !$0.body.contains("llama") })
            server.change { asked in
                asked.line == "GET /v1/models"
                    ? .status(200, #"{"data":[{"id":"llama"},{"id":"small"}]}"#)
                    : .status(200, "{}")
            }
            try await until("a third round") { bench.count(.alive) == 3 }
            bench.pass(ProbeBench.interval * 1.3)
            try await until("a fourth round") { bench.count(.alive) == 4 }
            #expect(try state("llama") == .resident)
            let told = bench.logged("does not list")
            #expect(told.count == 1 && told[0].contains("lists=small, tiny, tiny.gguf models=llama worker=w0"))
        }
        try await server.stop()
    }

    @Test("a round asks for no page twice, whatever the kind", arguments: WorkerDialect.all.map(\.kind))
    func once(kind: String) async throws {
        let server = try await ScriptedServer.start { _ in .status(200, listing) }
        let kind = try #require(WorkerKind(rawValue: kind))
        let bench = ProbeBench([ProbeBench.worker(0, kind, port: server.port)])
        try await bench.run {
            try await until("a round") { bench.count(.alive) == 1 }
            let dialect = ProbeService.dialect(of: ProbeBench.worker(0, kind, port: 1))
            let pages = Set(dialect.probes().map(\.path) + [dialect.loadPage?.path].compactMap { $0 })
            let asked = server.lines.filter { $0.hasPrefix("GET") }
            #expect(asked.sorted() == pages.map { "GET \($0)" }.sorted())
        }
        try await server.stop()
    }

    @Test("a worker without a model yet is asked for no token")
    func noModel() async throws {
        let server = try await ScriptedServer.start { asked in
            asked.line == "GET /health" ? .status(200, "{}") : .status(200, #"{"data":[]}"#)
        }
        let bench = ProbeBench([ProbeBench.worker(0, .mlxLM, port: server.port, models: [])])
        try await bench.run {
            for round in 1...3 {
                try await until("round \(round)") { bench.count(.alive) == round }
                bench.pass(ProbeBench.interval * 1.3)
            }
            #expect(server.lines.allSatisfy { $0.hasPrefix("GET") })
            #expect(bench.models == ["w0": []] && bench.condition() == .loading)
        }
        try await server.stop()
    }

    @Test("loading is loading, not death; the models of a loading worker are not asked further")
    func loading() async throws {
        let server = try await ScriptedServer.start { asked in
            asked.line == "GET /health" ? .status(503, #"{"error":{"message":"Loading model"}}"#) : .status(503, "{}")
        }
        let bench = ProbeBench([ProbeBench.worker(0, .llamaCpp, port: server.port)])
        try await bench.run {
            try await until("a round") { bench.count(.loading) == 1 }
            #expect(bench.condition() == .loading && bench.count(.failed) == 0 && bench.models.isEmpty)
        }
        try await server.stop()
    }

    @Test("an engine that says it is dead is down at once")
    func dead() async throws {
        let server = try await ScriptedServer.start { _ in .status(503, "{}") }
        let bench = ProbeBench([ProbeBench.worker(0, .mlxLM, port: server.port)])
        try await bench.run {
            try await until("down") { bench.condition() == .down(.dead) }
            #expect(bench.count(.failed) == 1 && server.lines == ["GET /health"])
        }
        try await server.stop()
    }

    @Test("a refused connection takes a worker down at once, and an answer brings it back")
    func refused() async throws {
        // Nobody listens on port 1, and no system hands it out: one that was just closed may be another test's already.
        let bench = ProbeBench([ProbeBench.worker(0, .openAI, port: 1)])
        let server = try await ScriptedServer.start { _ in .status(200, listing) }
        try await bench.run {
            try await until("down") { bench.condition() == .down(.refused) }
            #expect(bench.count(.refused) == 1 && bench.count(.failed) == 0)
            bench.routing.publish(ProbeBench.view([ProbeBench.worker(0, .openAI, port: server.port)]))
            bench.pass(ProbeBench.interval * 1.3)
            try await until("an answer") { bench.count(.alive) == 1 }
            try await until("back") { bench.condition() == .healthy }
        }
        try await server.stop()
    }

    @Test(
        "answers that say nothing count as failures: four in a row are down", arguments: ["hang up", "500", "no list"])
    func failed(how: String) async throws {
        let server = try await ScriptedServer.start { _ in
            switch how {
            case "hang up": .hangUp
            case "500": .status(500, "{}")
            default: .status(302, "")
            }
        }
        let bench = ProbeBench([ProbeBench.worker(0, .openAI, port: server.port)])
        try await bench.run {
            for round in 1...4 {
                try await until("round \(round)") { bench.count(.failed) == round }
                if round < 4 { #expect(bench.condition() == .loading) }
                bench.pass(ProbeBench.interval * 1.3)
            }
            try await until("down") { bench.condition() == .down(.unreachable) }
        }
        try await server.stop()
    }

    @Test("an answer of the largest size is read, one byte more is a failure (L8)", arguments: [0, 1])
    func answerBound(over: Int) async throws {
        let padding = String(repeating: " ", count: ProbeClient.answerBytesMax - listing.utf8.count + over)
        let server = try await ScriptedServer.start { _ in .status(200, listing + padding) }
        let bench = ProbeBench([ProbeBench.worker(0, .openAI, port: server.port)])
        try await bench.run {
            try await until("a round") { bench.count(.alive) + bench.count(.failed) == 1 }
            #expect(bench.count(.alive) == 1 - over && bench.models.isEmpty == (over > 0))
        }
        try await server.stop()
    }

    @Test("why a probe failed is told once, and again after one that went well")
    func failureIsTold() async throws {
        let server = try await ScriptedServer.start { _ in .hangUp }
        let bench = ProbeBench([ProbeBench.worker(0, .openAI, port: server.port)])
        try await bench.run {
            try await until("a failure") { bench.count(.failed) == 1 }
            bench.pass(ProbeBench.interval * 1.3)
            try await until("a second failure") { bench.count(.failed) == 2 }
            #expect(bench.logged("a probe failed").count == 1)
            server.change { _ in .status(200, listing) }
            bench.pass(ProbeBench.interval * 1.3)
            try await until("well") { bench.count(.alive) == 1 }
            server.change { _ in .hangUp }
            bench.pass(ProbeBench.interval * 1.3)
            try await until("another failure") { bench.count(.failed) == 3 }
            try await until("told again") { bench.logged("a probe failed").count == 2 }
            #expect(bench.logged("a probe failed").allSatisfy { $0.contains("worker=w0") && $0.contains("why=") })
        }
        try await server.stop()
    }

    @Test("a worker with fewer slots than we were told is named in the log, once", arguments: [3, 4])
    func fewerSlots(slots: Int) async throws {
        let server = try await ScriptedServer.start { asked in
            asked.line == "GET /props" ? .status(200, "{\"total_slots\":\(slots)}") : .status(200, listing)
        }
        let bench = ProbeBench([ProbeBench.worker(0, .llamaCpp, port: server.port)])
        try await bench.run {
            for round in 1...2 {
                try await until("round \(round)") { bench.count(.alive) == round }
                bench.pass(ProbeBench.interval * 1.3)
            }
            let warnings = bench.logged("max_concurrency")
            #expect(warnings.count == (slots < 4 ? 1 : 0))
            #expect(warnings.allSatisfy { $0.contains("worker=w0") && $0.contains("worker_slots=3") })
        }
        try await server.stop()
    }

    @Test("a silent worker delays nobody, and is not asked again while its question is open")
    func silent() async throws {
        let silent = try await ScriptedServer.start { _ in .silence }
        let other = try await ScriptedServer.start { _ in .status(200, listing) }
        let bench = ProbeBench([
            ProbeBench.worker(0, .openAI, port: silent.port), ProbeBench.worker(1, .openAI, port: other.port),
        ])
        try await bench.run {
            for round in 1...3 {
                try await until("round \(round)") { bench.count(.alive, 1) == round }
                bench.pass(ProbeBench.interval * 1.3)
            }
            #expect(silent.asked.count <= 1 + bench.count(.failed))
        }
        try await silent.stop()
        try await other.stop()
    }

    @Test("each round comes after four to six fifths of the interval, never before")
    func interval() async throws {
        let server = try await ScriptedServer.start { _ in .status(200, listing) }
        let bench = ProbeBench([ProbeBench.worker(0, .openAI, port: server.port)])
        let other = try await ScriptedServer.start { _ in .status(200, listing) }
        try await bench.run {
            try await until("a round") { bench.count(.alive) == 1 }
            bench.pass(ProbeBench.interval * 0.79)
            // A worker that is new now is asked at once: when it was, the first one's turn would have come, too.
            let view = bench.routing.value.workers + [ProbeBench.worker(1, .openAI, port: other.port)]
            _ = bench.board.index(for: WorkerID(rawValue: "w1"))
            bench.routing.publish(ProbeBench.view(view))
            try await until("the new one") { bench.count(.alive, 1) == 1 }
            #expect(server.asked.count == 1)
            bench.pass(ProbeBench.interval * 0.42)
            try await until("the second round") { bench.count(.alive) == 2 }
        }
        try await server.stop()
        try await other.stop()
    }

    @Test("a worker that left the view is asked no more")
    func removed() async throws {
        let server = try await ScriptedServer.start { _ in .status(200, listing) }
        let other = try await ScriptedServer.start { _ in .status(200, listing) }
        let bench = ProbeBench([
            ProbeBench.worker(0, .openAI, port: server.port), ProbeBench.worker(1, .openAI, port: other.port),
        ])
        try await bench.run {
            try await until("both") { bench.count(.alive) == 1 && bench.count(.alive, 1) == 1 }
            bench.routing.publish(ProbeBench.view([bench.routing.value.workers[1]]))
            for round in 2...4 {
                bench.pass(ProbeBench.interval * 1.3)
                try await until("round \(round)") { bench.count(.alive, 1) == round }
            }
            #expect(server.asked.count == 1)
        }
        try await server.stop()
        try await other.stop()
    }
}
