import Balancing
import Determinism
import ReplicaCore
import Testing

@testable import WorkerProbe

@Suite("Version and abilities are read once in each life")
struct IntroductionTests {
    private let worker = WorkerIndex(rawValue: 0)

    @Test("out of the pages of a round, and again when the worker is back")
    func pages() async throws {
        let server = try await ScriptedServer.start { asked in answer(asked, build: "b1") }
        let bench = ProbeBench([ProbeBench.worker(0, .llamaCpp, port: server.port)])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            try await until("the first round") { bench.count(.alive) == 1 }
            #expect(bench.board.introduction(worker) == told("b1"))
            // Another build without a death in between would be news to nobody: it is one life.
            server.change { answer($0, build: "b2") }
            bench.pass(ProbeBench.interval * 1.3)
            try await until("the second round") { bench.count(.alive) == 2 }
            #expect(bench.board.introduction(worker) == told("b1"))
            bench.board.tellHealth(worker, .connectRefused, at: bench.now)
            #expect(bench.board.introduction(worker) == told("b1"), "the last that is known of one that is down")
            bench.pass(.seconds(60))
            try await until("the third round") { bench.count(.alive) == 3 }
            #expect(bench.board.incarnation(worker) == 1 && bench.board.introduction(worker) == told("b2"))
            #expect(server.lines.count { $0 == "GET /props" } == 3)
        }
        try await server.stop()
    }

    @Test("out of the canary that greets a new life, where no page tells it")
    func canary() async throws {
        let server = try await ScriptedServer.start { asked in
            asked.line.hasPrefix("POST")
                ? .status(200, #"{"system_fingerprint":"0.\#(asked.canaries)-0.9-macOS"}"#) : .status(200, listing)
        }
        let bench = ProbeBench([ProbeBench.worker(0, .mlxLM, port: server.port)])
        try await bench.run {
            try await until("healthy") { bench.condition() == .healthy }
            try await until("a first round") { bench.count(.alive) == 1 }
            #expect(bench.board.introduction(worker) == WorkerIntroduction(version: "0.1", capabilities: nil))
            bench.pass(.seconds(301))
            try await until("an idle one") { bench.count(.canaryClean) == 2 }
            try await until("its verdict") { bench.board.canaries(worker).clean == bench.now }
            #expect(bench.board.introduction(worker)?.version == "0.1")
            try await until("a round") { bench.count(.alive) == 2 }
            bench.board.tellHealth(worker, .connectRefused, at: bench.now)
            bench.pass(.seconds(60))
            try await until("back") { bench.count(.canaryClean) == 3 }
            #expect(bench.board.introduction(worker)?.version == "0.3")
        }
        try await server.stop()
    }

    @Test("a page that says nothing is looked at so many times in one life, and harms nobody")
    func silent() async throws {
        let server = try await ScriptedServer.start { asked in answer(asked, build: nil) }
        let bench = ProbeBench([ProbeBench.worker(0, .llamaCpp, port: server.port)])
        try await bench.run {
            for round in 1...WorkerBoard.introductionTriesMax {
                try await until("round \(round)") { bench.count(.alive) == round }
                bench.pass(ProbeBench.interval * 1.3)
            }
            server.change { answer($0, build: "b1") }
            let rounds = WorkerBoard.introductionTriesMax + 2
            while bench.count(.alive) < rounds {
                let seen = bench.count(.alive)
                try await until("another round") { bench.count(.alive) > seen }
                bench.pass(ProbeBench.interval * 1.3)
            }
            #expect(bench.board.introduction(worker) == nil)
            #expect(bench.condition() == .healthy && bench.count(.failed) == 0)
        }
        try await server.stop()
    }

    private func told(_ build: String) -> WorkerIntroduction {
        WorkerIntroduction(version: build, capabilities: ["slots", "vision"])
    }
}

/// A llama-server of a build; nil for one that shows no properties.
private func answer(_ asked: ScriptedServer.Asked, build: String?) -> ScriptedServer.Reply {
    switch asked.line {
    case "GET /props":
        build.map {
            .status(
                200, #"{"modalities":{"audio":false,"vision":true},"endpoint_slots":true,"build_info":"\#($0)"}"#)
        } ?? .status(501, "{}")
    case "GET /slots": .status(200, "[]")
    default: .status(200, listing)
    }
}
