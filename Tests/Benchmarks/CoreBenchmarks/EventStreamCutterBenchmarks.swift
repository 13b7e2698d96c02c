/// What the lane pays for every frame of a stream beyond moving its bytes.
import Benchmark
import InferenceDialect

enum EventStreamCutterBenchmarks {
    static func register() {
        one("role", chunk(#"{"role":"assistant","content":""}"#), .role)
        one("content", chunk(#"{"content":" flocks"}"#), .content)
        one("content of 4 KiB", chunk(#"{"content":"\#(String(repeating: "starling ", count: 455))"}"#), .content)
        one("tool call", chunk(#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}"#), .content)
        one("finish", chunk("{}", finish: #""stop""#), .finish)
        one(
            "usage",
            "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[],"
                + "\"usage\":{\"prompt_tokens\":32,\"completion_tokens\":128,\"total_tokens\":160}}\n\n", .usage)
        one("comment", ": keepalive 2048/8192\n\n", .comment(progress: true))
        one("done", "data: [DONE]\n\n", .done)

        let content = Array(chunk(#"{"content":" flocks"}"#).utf8)
        let burst = Array(repeatElement(content, count: 16).joined())
        Benchmark("cut: 16 content frames in one read", configuration: Measures.small) { benchmark in
            var reader = Reader()
            for _ in benchmark.scaledIterations { blackHole(reader.read(burst)) }
        }
        let middle = content.count / 2
        let halves = [Array(content[..<middle]), Array(content[middle...])]
        Benchmark("cut: content in two reads", configuration: Measures.tiny) { benchmark in
            var reader = Reader()
            for _ in benchmark.scaledIterations { for half in halves { blackHole(reader.read(half)) } }
        }
    }

    private static func one(_ name: String, _ frame: String, _ kind: EventStreamCutter.Kind) {
        let bytes = Array(frame.utf8)
        var trial = Reader()
        precondition(trial.read(bytes) == 1 && trial.frames[0].kind == kind, "\(name) is cut as \(trial.frames)")
        Benchmark("cut: \(name)", configuration: Measures.tiny) { benchmark in
            var reader = Reader()
            for _ in benchmark.scaledIterations { blackHole(reader.read(bytes)) }
        }
    }

    private static func chunk(_ delta: String, finish: String = "null") -> String {
        "data: {\"id\":\"chatcmpl-8f2\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"llama-7b\","
            + "\"choices\":[{\"index\":0,\"delta\":\(delta),\"finish_reason\":\(finish)}]}\n\n"
    }

    /// A stream as the lane reads it: one cutter, one list of frames that is reused.
    private struct Reader {
        var cutter = EventStreamCutter(route: .chatCompletions, commentProgress: true)
        var frames: [EventStreamCutter.Frame] = []

        mutating func read(_ bytes: [UInt8]) -> Int {
            frames.removeAll(keepingCapacity: true)
            bytes.withUnsafeBytes { cutter.feed($0, into: &frames) }
            return frames.count
        }
    }
}
