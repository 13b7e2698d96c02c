import Foundation
import SimulatedWorker
import Testing
import WorkerSimulator

@Suite("The wire of a simulated worker", .timeLimit(.minutes(1)))
struct WireTests {
    @Test("mlx_lm speaks HTTP/1.0, frames nothing and ends by closing, after a comment on its prefill")
    func mlx() async throws {
        try await withWorker(.mlxLM) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, helloStream)
            let text = try await client.readToEnd()
            #expect(text.hasPrefix("HTTP/1.0 200 OK\r\n"))
            #expect(!text.lowercased().contains("transfer-encoding"))
            #expect(!text.contains("Content-Length"))
            #expect(text.contains("\r\n\r\n: keepalive 4/4\n\ndata: {"))
            #expect(text.hasSuffix("\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n"))
        }
    }

    @Test("mlx_lm wants a length, knows no embeddings and says errors as flat text")
    func mlxManners() async throws {
        try await withWorker(.mlxLM) { server in
            let chunked = try await WireClient(server.port)
            try await chunked.send(
                "POST \(chatPath) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
            #expect(try await chunked.readToEnd().hasPrefix("HTTP/1.0 411 "))
            let embeddings = try await WireClient(server.port)
            try await embeddings.post("/v1/embeddings", #"{"input":"x"}"#)
            #expect(try await embeddings.readToEnd().hasPrefix("HTTP/1.0 404 "))
            let wrong = try await WireClient(server.port)
            try await wrong.post(chatPath, #"{"model":"llama-7b","max_tokens":0,"messages":[]}"#)
            #expect(try await wrong.readToEnd().hasSuffix("\r\n\r\n{\"error\": \"max_tokens must be at least 1\"}"))
        }
    }

    @Test("llama.cpp and openai keep the connection and send chunks", arguments: [Flavor.llamaCpp, .openAI])
    func keptConnections(flavor: Flavor) async throws {
        try await withWorker(flavor) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, helloStream)
            let stream = try await client.read(until: "\r\n0\r\n\r\n")
            #expect(stream.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(stream.lowercased().contains("transfer-encoding: chunked\r\n"))
            #expect(stream.contains("data: [DONE]\n\n\r\n0\r\n\r\n"))
            try await client.post(chatPath, hello)
            let both = try await client.read(until: "\"usage\"")
            #expect(both.dropFirst(stream.count).hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test(
        "messages are streamed by llama.cpp and vllm_mlx, each with its fields", arguments: [Flavor.llamaCpp, .vllmMLX])
    func messages(flavor: Flavor) async throws {
        try await withWorker(flavor) { server in
            let client = try await WireClient(server.port)
            try await client.post("/v1/messages", helloStream)
            let text = try await client.read(until: "\r\n0\r\n\r\n")
            #expect(text.contains(flavor == .llamaCpp ? "X-Accel-Buffering: no\r\n" : "cache-control: no-cache\r\n"))
            #expect(text.contains("event: message_start\ndata: {\"type\":\"message_start\""))
            #expect(text.contains("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n\r\n0\r\n\r\n"))
        }
    }

    @Test("llama.cpp closes the connection of whoever it refuses something")
    func closesAfterRefusal() async throws {
        try await withWorker(.llamaCpp) { server in
            for path in [chatPath, "/v1/nothing"] {
                let client = try await WireClient(server.port)
                try await client.post(path, "{}")
                #expect(try await client.readToEnd().contains("Connection: close\r\n"))
            }
        }
    }

    @Test("two requests in one write are answered in order")
    func pipelined() async throws {
        try await withWorker(.openAI) { server in
            let client = try await WireClient(server.port)
            let request = "POST \(chatPath) HTTP/1.1\r\nHost: x\r\nContent-Length: \(hello.utf8.count)\r\n"
            try await client.send("\(request)\r\n\(hello)\(request)Connection: close\r\n\r\n\(hello)")
            let text = try await client.readToEnd()
            #expect(text.components(separatedBy: "HTTP/1.1 200 OK").count == 3)
            let ids = text.components(separatedBy: "\"chatcmpl-sim").dropFirst().map { $0.prefix(1) }
            #expect(ids == ["1", "2"])
        }
    }

    @Test("a client that leaves is in the journal with its phase, at a moment of this machine's clock")
    func leaving() async throws {
        try await withWorker(.openAI, manual: true) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, helloStream.replacing("\"max_tokens\":3", with: "\"max_tokens\":300"))
            _ = try await client.read(until: "\"role\"")
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":500}"#)
            _ = try await client.read(until: "\"content\":\" ")
            let before = Int(DispatchTime.now().uptimeNanoseconds)
            try await client.close()
            var closed: JSONValue?
            for _ in 0..<2_000 where closed == nil {
                let journal = try await control(server, "GET", "/_sim/journal?after=2")
                closed = journal["entries"]?.items?.first { $0["event"] == "closed" }
            }
            #expect(closed?["phase"] == "decode")
            #expect(closed?["noticed"] == .bool(true))
            let moment = try #require(closed?["t_ns"]?.whole)
            #expect(moment >= before && moment <= Int(DispatchTime.now().uptimeNanoseconds))
            #expect(try await control(server, "GET", "/_sim/state")["running"] == .integer(0))
        }
    }

    @Test("under a manual clock nothing moves by itself, and the same orders leave the same journal")
    func manualClock() async throws {
        func story() async throws -> [JSONValue] {
            var entries: [JSONValue] = []
            try await withWorker(.llamaCpp, manual: true) { server in
                let client = try await WireClient(server.port)
                try await client.post(chatPath, helloStream)
                _ = try await client.read(until: "\r\n\r\n")
                let silent = try await control(server, "GET", "/_sim/state")
                #expect(silent["running"] == .integer(1))
                _ = try await control(server, "POST", "/_sim/advance", #"{"ms":200}"#)
                #expect(try await client.read(until: "\r\n0\r\n\r\n").contains("[DONE]"))
                entries = try await control(server, "GET", "/_sim/journal")["entries"]?.items ?? []
            }
            // What other processes' clocks say is no part of the story.
            return entries.map { .object($0.members!.filter { $0.name != "t_ns" }) }
        }
        let first = try await story()
        #expect(first.count == 3, "accept, head and finish")
        #expect(try await story() == first)
    }

    @Test("a closed listener refuses connects until the fault is taken away, on the same port")
    func closedListener() async throws {
        try await withWorker(.openAI) { server in
            let id = try #require(
                try await control(server, "POST", "/_sim/faults", #"{"kind":"close_listener"}"#)["id"]?.whole)
            var refused = false
            for _ in 0..<2_000 where !refused {
                do { try await WireClient(server.port).close() } catch { refused = true }
            }
            #expect(refused)
            _ = try await control(server, "DELETE", "/_sim/faults/\(id)")
            var client: WireClient?
            for _ in 0..<20_000 where client == nil { client = try? await WireClient(server.port) }
            let reached = try #require(client)
            try await reached.post(chatPath, hello)
            #expect(try await reached.read(until: "\"usage\"").hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test("the ends of faults on the wire")
    func faultEnds() async throws {
        try await withWorker(.openAI) { server in
            for (fault, ending) in [
                (#"{"kind":"cut","after_tokens":1,"times":1}"#, "\"finish_reason\":null}]}\n\n\r\n"),
                (#"{"kind":"error_event","after_tokens":1,"times":1}"#, "\"code\":\"scripted\"}}\n\n\r\n0\r\n\r\n"),
                (#"{"kind":"silent_end","after_tokens":1,"times":1}"#, "\"finish_reason\":null}]}\n\n\r\n0\r\n\r\n"),
                (#"{"kind":"refuse","status":429,"times":1}"#, "\"code\":\"scripted\"}}"),
            ] {
                _ = try await control(server, "POST", "/_sim/faults", fault)
                let client = try await WireClient(server.port)
                try await client.post(chatPath, helloStream, fields: "Connection: close\r\n")
                let text = try await client.readToEnd()
                #expect(text.hasSuffix(ending), "\(fault)")
            }
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"reset","times":1}"#)
            let client = try await WireClient(server.port)
            try await client.post(chatPath, helloStream)
            #expect(try await client.readToEnd() == "")
        }
    }

    @Test("a worker that vanished closes nothing and writes nothing; what it computed comes when it is back")
    func vanished() async throws {
        try await withWorker(.openAI, manual: true) { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, helloStream)
            _ = try await client.read(until: "\"role\"")
            let id = try #require(
                try await control(server, "POST", "/_sim/faults", #"{"kind":"vanish"}"#)["id"]?.whole)
            _ = try await control(server, "POST", "/_sim/advance", #"{"ms":1000}"#)
            #expect(try await control(server, "GET", "/_sim/state")["running"] == .integer(0))
            #expect(try await !client.read(until: "\"role\"").contains("[DONE]"))
            _ = try await control(server, "DELETE", "/_sim/faults/\(id)")
            #expect(try await client.read(until: "\r\n0\r\n\r\n").contains("[DONE]"))
        }
    }

    @Test("a health page lies where it is told to, and an answer bears another model's name")
    func lies() async throws {
        func health(_ server: SimulatorServer) async throws -> String {
            let client = try await WireClient(server.port)
            try await client.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            return String(try await client.readToEnd().prefix { $0 != "\r\n" })
        }
        try await withWorker(.mlxLM) { server in
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"thread_dead"}"#)
            let client = try await WireClient(server.port)
            try await client.post(chatPath, hello)
            #expect(try await client.readToEnd().hasPrefix("HTTP/1.0 404 "))
            #expect(try await health(server).contains(" 503 "))
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"lie_health"}"#)
            #expect(try await health(server).contains(" 200 "))
        }
        try await withWorker(.llamaCpp) { server in
            _ = try await control(server, "POST", "/_sim/faults", #"{"kind":"wrong_model"}"#)
            let client = try await WireClient(server.port)
            try await client.post(chatPath, hello)
            let answer = try await client.read(until: "\"usage\"")
            #expect(answer.hasPrefix("HTTP/1.1 200 ") && !answer.contains("\"llama-7b\""))
        }
    }

    @Test("a key is asked for where the kind asks for one")
    func apiKey() async throws {
        try await withWorker(.openAI, apiKey: "secret") { server in
            let client = try await WireClient(server.port)
            try await client.post(chatPath, hello)
            #expect(try await client.read(until: "invalid_api_key").hasPrefix("HTTP/1.1 401 "))
            let known = try await WireClient(server.port)
            try await known.post(chatPath, hello, fields: "Authorization: Bearer secret\r\n")
            #expect(try await known.read(until: "\"usage\"").hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test("the control port explains what it does not understand")
    func controlErrors() async throws {
        try await withWorker(.openAI) { server in
            for (method, path, body, words) in [
                ("POST", "/_sim/faults", #"{"kind":"flood"}"#, "kind must be one of: refuse, close_listener"),
                ("POST", "/_sim/set", #"{"slots":0}"#, "slots must be from 1"),
                ("POST", "/_sim/advance", #"{"ms":1}"#, "--clock manual"),
                ("GET", "/elsewhere", "", "GET /_sim/state"),
                ("DELETE", "/_sim/faults/9", "", "no fault with this id"),
            ] {
                let error = try await control(server, method, path, body)["error"]?.text ?? ""
                #expect(error.contains(words))
            }
        }
    }
}
