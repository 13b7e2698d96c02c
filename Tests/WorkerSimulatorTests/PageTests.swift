import Foundation
import InferenceDialect
import SimulatedWorker
import Testing
import WorkerSimulator

/// The pages of each kind, read by the gateway's own dialects: neither side may drift away from the other.
@Suite("What a simulated worker says of itself", .timeLimit(.minutes(1)))
struct PageTests {
    private func get(_ server: SimulatorServer, _ path: String) async throws -> (status: Int, body: [UInt8]) {
        let client = try await WireClient(server.port)
        try await client.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        let text = try await client.readToEnd()
        let status = Int(text.dropFirst("HTTP/1.1 ".count).prefix(3)) ?? 0
        return (status, Array(text[text.range(of: "\r\n\r\n")!.upperBound...].utf8))
    }

    private func page(_ server: SimulatorServer, _ path: String) async throws -> JSONValue {
        try JSONValue(try await get(server, path).body)
    }

    private func readings(_ server: SimulatorServer, _ flavor: Flavor) async throws -> [ProbeReading] {
        let dialect = try #require(WorkerDialect.named(flavor.rawValue))
        var readings: [ProbeReading] = []
        for probe in dialect.probes() {
            let page = try await get(server, probe.path)
            readings.append(dialect.read(ProbeReply(request: probe, status: page.status, body: page.body)))
        }
        return readings
    }

    private func ask(_ server: SimulatorServer, _ path: String, _ body: String) async throws -> String {
        let client = try await WireClient(server.port)
        try await client.send(
            "POST \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        return try await client.readToEnd()
    }

    @Test("every kind introduces itself where the gateway looks", arguments: Flavor.allCases)
    func introductions(flavor: Flavor) async throws {
        let page = WorkerDialect.named(flavor.rawValue)?.introduction
        try await withWorker(flavor) { server in
            let told: Introduction?
            switch page?.place {
            case .page(let path):
                let (status, body) = try await get(server, path)
                told = page?.read(status: status, body: body)
            case .canary:
                let answer = try await ask(server, chatPath, hello)
                let body = answer.range(of: "\r\n\r\n").map { Array(answer[$0.upperBound...].utf8) }
                told = page?.read(status: 200, body: try #require(body))
            case nil: told = nil
            }
            switch flavor {
            case .mlxLM, .ollama, .oMLX: #expect(told == Introduction(version: flavor.version))
            case .llamaCpp:
                #expect(told == Introduction(version: flavor.version, capabilities: [.metrics, .slots, .tools]))
            case .vllmMLX: #expect(told == Introduction(capabilities: []))
            case .openAI, .exo, .lmStudio: #expect(told == nil && page == nil)
            }
        }
    }

    @Test(
        "the gateway reads every kind's pages: alive, its models, and which of them are in memory",
        arguments: Flavor.allCases)
    func probes(flavor: Flavor) async throws {
        try await withWorker(flavor) { server in
            let before = try await readings(server, flavor)
            #expect(before.allSatisfy { $0.life == .alive })
            #expect(before.contains { $0.models == ["llama-7b"] })
            // Before the first request, and after it.
            let told: ([ProbeReading.Residents], [ProbeReading.Residents]) =
                switch flavor {
                case .ollama, .lmStudio, .oMLX: ([.only([])], [.only(["llama-7b"])])
                case .exo: ([.only(["llama-7b"])], [.only(["llama-7b"])])
                case .llamaCpp, .vllmMLX: ([.all], [.all])
                case .mlxLM, .openAI: ([], [])
                }
            #expect(before.compactMap(\.resident) == told.0)
            #expect(try await ask(server, chatPath, hello).contains(" 200 OK\r\n"))
            #expect(try await readings(server, flavor).compactMap(\.resident) == told.1)
            if flavor == .llamaCpp { #expect(before.compactMap(\.slots) == [4]) }
        }
    }

    @Test("orders to load and to unload by each kind's own routes, as its pages then tell")
    func loads() async throws {
        try await withWorker(.ollama) { server in
            let order = #"{"model":"llama-7b:latest","keep_alive":"5m"}"#
            #expect(try await ask(server, "/api/generate", order).contains(#""done_reason":"load""#))
            let process = try #require(try await page(server, "/api/ps")["models"]?.items?.first)
            #expect(process["name"] == "llama-7b" && process["size_vram"]?.whole == 3_937_500_000)
            #expect(process["expires_at"]?.text?.hasSuffix("Z") == true)
            let end = #"{"model":"llama-7b","keep_alive":0}"#
            #expect(try await ask(server, "/api/generate", end).contains(#""done_reason":"unload""#))
            #expect(try await page(server, "/api/ps")["models"] == .array([]))
            #expect(try await ask(server, "/api/generate", #"{"model":"llama-7b","prompt":"x"}"#).contains(" 501 "))
        }
        try await withWorker(.oMLX) { server in
            #expect(try await ask(server, "/v1/models/llama-7b/load", "{}").contains(" 200 OK"))
            var status = try await page(server, "/v1/models/status")
            #expect(status["models"]?.items?.first?["loaded"] == .bool(true))
            #expect(try await ask(server, "/v1/models/llama-7b/unload", "{}").contains(" 200 OK"))
            status = try await page(server, "/v1/models/status")
            #expect(status["models"]?.items?.first?["loaded"] == .bool(false))
            #expect(try await ask(server, "/v1/models/other/load", "{}").contains(" 404 "))
        }
        try await withWorker(.lmStudio) { server in
            #expect(
                try await ask(server, "/api/v1/models/load", #"{"model":"llama-7b"}"#).contains(#""status":"loaded""#))
            let copies = try await page(server, "/api/v1/models")["models"]?.items?.first?["loaded_instances"]?.items
            #expect(copies?.map { $0["id"] } == ["llama-7b"])
            _ = try await ask(server, "/api/v1/models/unload", #"{"instance_id":"llama-7b"}"#)
            #expect(try await page(server, "/api/v0/models")["data"]?.items?.first?["state"] == "not-loaded")
        }
        try await withWorker(.exo) { server in
            let client = try await WireClient(server.port)
            try await client.send(
                "DELETE /instance/instance-llama-7b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(try await client.readToEnd().contains(" 200 OK\r\n"))
            #expect(try await page(server, "/state")["instances"] == .object([]))
            #expect(try await ask(server, chatPath, hello).contains("No instance found"))
            _ = try await ask(server, "/place_instance", #"{"model_id":"llama-7b"}"#)
            let runners = try await page(server, "/state")["runners"]?.members
            #expect(runners?.first?.value["RunnerReady"] != nil)
            #expect(try await ask(server, chatPath, hello).contains(#""finish_reason":"length""#))
        }
    }

    @Test("vllm_mlx counts, exo has a catalogue beside what is downloaded, llama.cpp tells its model's size")
    func figures() async throws {
        try await withWorker(.vllmMLX, manual: true) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, helloStream)
            _ = try await client.read(until: "\"role\"")
            let status = try await page(server, "/v1/status")
            #expect(status["num_running"] == .integer(1) && status["num_waiting"] == .integer(0))
            let active = try #require(status["metal"]?["active_memory_gb"]?.number)
            #expect(active > 3.9)
            #expect(try await page(server, "/health")["model_loaded"] == .bool(true))
        }
        try await withWorker(.exo) { server in
            #expect(try await page(server, "/v1/models")["data"]?.items?.count == 2)
            let first = try await page(server, "/node_id")
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"duplicate_identity"}"#)
            let second = try await page(server, "/node_id")
            #expect(first != second && second == "12D3KooWSimTwin")
        }
        try await withWorker(.llamaCpp) { server in
            let meta = try await page(server, "/v1/models")["data"]?.items?.first?["meta"]
            #expect(meta?["n_params"] == .integer(7_000_000_000) && meta?["n_ctx"] == .integer(8_192))
            #expect(try await page(server, "/slots").items?.count == 4)
        }
        try await withWorker(.oMLX) { server in
            let status = try await page(server, "/api/status")
            #expect(status["active_requests"] == .integer(0))
        }
    }

    @Test("exo gives up an answer when it is told to, by the id that the answer carries")
    func cancelling() async throws {
        try await withWorker(.exo, manual: true) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, helloStream)
            _ = try await client.read(until: ": keep-alive")
            #expect(try await ask(server, "/v1/cancel/chatcmpl-sim1", "").contains("Command received."))
            #expect(try await !client.readToEnd().contains("[DONE]"))
            let state = try await control(server, "GET", "/_sim/state")
            #expect(state["running"] == .integer(0))
        }
    }

    @Test("ollama serves only those that call it by a local name")
    func localNames() async throws {
        try await withWorker(.ollama) { server in
            for (name, status) in [("localhost:11434", "200"), ("127.0.0.1", "200"), ("evil.example", "403")] {
                let client = try await WireClient(server.port)
                try await client.send("GET /api/version HTTP/1.1\r\nHost: \(name)\r\nConnection: close\r\n\r\n")
                #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 \(status) "))
            }
        }
    }

    @Test("the monitor's figures have macmon's shape and follow the machine")
    func telemetry() async throws {
        try await withWorker(.openAI, manual: true) { server in
            let idle = try await control(server, "GET", "/json")
            #expect(idle["gpu_usage"]?.items?.last?.number == 0)
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"memory_taken","gigabytes":60}"#)
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"foreign_load","factor":0.5}"#)
            let busy = try await control(server, "GET", "/_sim/telemetry")
            #expect(busy["gpu_usage"]?.items?.last?.number == 0.5)
            let swap = try #require(busy["memory"]?["swap_usage"]?.whole)
            #expect(swap > 10_000_000_000)
            #expect(busy["temp"]?["gpu_temp_avg"] != nil && busy["sys_power"] != nil)
        }
    }
}
