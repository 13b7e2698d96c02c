import Foundation
import NIOCore
import NIOPosix
import SimulatedWorker
import Testing
import WorkerSimulator

@Suite("How a simulated worker ends and comes back", .timeLimit(.minutes(1)))
struct LifetimeTests {
    private let long = helloStream.replacing("\"max_tokens\":3", with: "\"max_tokens\":20")

    /// Connects until it is as wanted; the port follows the machine a moment later.
    private func becomes(_ server: SimulatorServer, reachable: Bool) async throws -> Bool {
        for _ in 0..<20_000 {
            let client = try? await WireClient(server.port)
            // A listener that ends may have closed it already.
            try? await client?.close()
            if (client != nil) == reachable { return true }
        }
        return false
    }

    @Test("SIGTERM: mlx_lm is gone at once, and its stream ends without a finish")
    func diesAtOnce() async throws {
        try await withWorker(.mlxLM, manual: true) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, long)
            _ = try await client.read(until: "\r\n\r\n")
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":100}"#)
            _ = try await client.read(until: "\"content\"")
            server.terminate()
            let text = try await client.readToEnd()
            #expect(!text.contains("[DONE]") && !text.contains("\"length\""))
            await server.waitUntilStopped()
        }
    }

    @Test("SIGTERM: vllm_mlx refuses connects, finishes its stream, and only then ends")
    func finishesAnswers() async throws {
        try await withWorker(.vllmMLX, manual: true) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, long)
            _ = try await client.read(until: "\"role\"")
            server.terminate()
            #expect(try await becomes(server, reachable: false))
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":2000}"#)
            #expect(try await client.readToEnd().contains("data: [DONE]"))
            await server.waitUntilStopped()
        }
    }

    @Test("SIGTERM: llama.cpp goes silent, says one thing after half a minute, and ends without an end")
    func goesSilent() async throws {
        try await withWorker(.llamaCpp, manual: true) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, long)
            _ = try await client.read(until: "\r\n\r\n")
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":100}"#)
            _ = try await client.read(until: "\"content\":\" ")
            server.terminate()
            #expect(try await becomes(server, reachable: false))
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":29950}"#)
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":200}"#)
            let text = try await client.readToEnd()
            #expect(text.hasSuffix("}\n\n\r\n3\r\n:\n\n\r\n"))
            #expect(text.components(separatedBy: ":\n\n").count == 2, "one comment")
            #expect(!text.contains("[DONE]"))
            await server.waitUntilStopped()
        }
    }

    @Test("a restart is cold: the port is closed for a while, then llama.cpp listens and still loads")
    func coldRestart() async throws {
        try await withWorker(.llamaCpp, manual: true) { server in
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"restart","ms":1000}"#)
            #expect(try await becomes(server, reachable: false))
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":1000}"#)
            #expect(try await becomes(server, reachable: true))
            let client = try await WireClient(server.port)
            try await client.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await client.read(until: "Loading model").hasPrefix("HTTP/1.1 503 "))
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":4000}"#)
            let later = try await WireClient(server.port)
            try await later.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await later.read(until: "ok").hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test("a full accept queue neither takes nor refuses a connect, until it is emptied")
    func backlogFull() async throws {
        try await withWorker(.openAI) { server in
            let id = try #require(
                try await control(server, "POST", "/_sim/faults", #"{"kind":"backlog_full"}"#)["id"]?.whole)
            let address = try SocketAddress(ipAddress: "127.0.0.1", port: server.port)
            let impatient = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connectTimeout(.milliseconds(100))
            var waits = false
            for _ in 0..<1_000 where !waits {
                do {
                    try await impatient.connect(to: address).get().close()
                } catch ChannelError.connectTimeout {
                    waits = true
                } catch {
                    // The port is changing hands.
                }
            }
            #expect(waits)
            _ = try await control(server, "DELETE", "/_sim/faults/\(id)")
            #expect(try await becomes(server, reachable: true))
        }
    }

    @Test("vllm_mlx opens its port after the load")
    func listensAfterLoad() async throws {
        try await withWorker(.vllmMLX, manual: true) { server in
            _ = try await control(server, "POST", "/_sim/restart", #"{"cold":true}"#)
            #expect(try await becomes(server, reachable: false))
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":4000}"#)
            #expect(try await becomes(server, reachable: true))
        }
    }

    @Test("exo has said 200 when a plain answer fails: the body is cut")
    func cutPlainAnswer() async throws {
        try await withWorker(.exo) { server in
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"cut","after_tokens":1}"#)
            let client = try await WireClient(server.port)
            try await client.post(chatPath, hello)
            let text = try await client.readToEnd()
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.lowercased().contains("transfer-encoding: chunked"))
            #expect(!text.contains("\r\n0\r\n") && !text.contains("\"choices\""))
        }
    }

    @Test("an error inside a stream is followed by [DONE] where the kind does that", arguments: Flavor.allCases)
    func errorEvent(flavor: Flavor) async throws {
        try await withWorker(flavor) { server in
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"error_event","after_tokens":1}"#)
            let client = try await WireClient(server.port)
            let fields = "Connection: close\r\n"
            try await client.send(
                "POST \(chatPath) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(helloStream.utf8.count)\r\n\(fields)\r\n\(helloStream)"
            )
            let text = try await client.readToEnd()
            #expect(text.contains("generation failed by script"))
            #expect(text.contains("[DONE]") == (flavor == .exo || flavor == .vllmMLX))
        }
    }

    @Test("a fleet listens on ports of its own, and a worker that dies leaves the others alone")
    func fleet() async throws {
        let file =
            #"{"workers":[{"kind":"ollama","name":"a","control-port":0},{"kind":"mlx_lm","count":2,"time-scale":0,"control-port":0}]}"#
        let fleet = try Fleet(Array(file.utf8))
        #expect(fleet.members.map(\.name) == ["a", "mlx_lm-2-1", "mlx_lm-2-2"])
        let running = try await fleet.start()
        let victim = running.servers[1]
        _ = try await control(victim, "POST", "/_sim/faults", #"{"kind":"die_on"}"#)
        let client = try await WireClient(victim.port)
        try await client.post(chatPath, hello.replacing("llama-7b", with: "llama-8b"))
        #expect(try await client.readToEnd() == "")
        #expect(try await becomes(victim, reachable: false))
        let other = try await WireClient(running.servers[2].port)
        try await other.post(chatPath, hello.replacing("llama-7b", with: "llama-8b"))
        #expect(try await other.readToEnd().hasPrefix("HTTP/1.0 200 OK"))
        await running.stop()
    }

    @Test("a fleet of the bound is read; the ports and seeds of workers that are alike count up")
    func fleetBound() throws {
        let file = #"{"workers":[{"name":"m","count":1024,"port":20000,"control-port":30000,"seed":5}]}"#
        let fleet = try Fleet(Array(file.utf8))
        #expect(fleet.members.count == Fleet.workersMax)
        let last = try #require(fleet.members.last)
        #expect(last.name == "m-1024" && last.settings.port == 21_023 && last.settings.controlPort == 31_023)
        #expect(last.settings.seed == 1_028 && last.settings.sharesProcess)
    }

    @Test(
        "a fleet's mistake is told with its place",
        arguments: [
            ("[]", "at least one worker"), (#"{"workers":[{"kind":"x"}]}"#, "worker 1: kind: \"x\" must be one of"),
            (#"{"workers":[{},{"slot":1}]}"#, "worker 2: slot: unknown"), ("{", "no JSON"),
            (#"{"workers":[{"count":1025}]}"#, "at most 1024"),
            (#"{"workers":[{"scenario":[{"at_ms":0}]}]}"#, "worker 1: scenario: step 1: it takes at_ms"),
        ])
    func fleetMistakes(file: String, words: String) {
        let mistake = #expect(throws: Fleet.Unreadable.self) { try Fleet(Array(file.utf8)) }
        #expect(mistake?.message.contains(words) == true)
    }
}
