/// The one pass over each request body. It runs on the event loop of the connection, so its time is time in which no
/// stream of that loop moves.
import Benchmark
import InferenceDialect

enum RequestScanBenchmarks {
    static func register() {
        let chat = body(prompt: "Why do starlings fly in flocks?")
        Benchmark("scan: chat of \(chat.count) bytes", configuration: Measures.tiny) { benchmark in
            for _ in benchmark.scaledIterations { blackHole(scan(chat)) }
        }
        large("scan: 200 KiB of ASCII", "The quick brown fox jumps over the lazy dog. ", bytes: 200 << 10)
        large("scan: 1 MiB of ASCII", "The quick brown fox jumps over the lazy dog. ", bytes: 1 << 20)
        large("scan: 200 KiB of German", "Über den Dächern ziehen große Schwärme: schön. ", bytes: 200 << 10)
        large("scan: 200 KiB of Japanese", "むくどりは夕方に大きな群れをつくって飛ぶ。", bytes: 200 << 10)
        large("scan: 200 KiB of escapes", #"let text = \"line\"\n\tand \\ more\n"#, bytes: 200 << 10)
    }

    private static func large(_ name: String, _ text: String, bytes: Int) {
        let body = body(prompt: String(repeating: text, count: bytes / text.utf8.count))
        Benchmark(name, configuration: Measures.small) { benchmark in
            for _ in benchmark.scaledIterations { blackHole(scan(body)) }
        }
    }

    /// `prompt` as it stands between the quotes of the JSON string.
    static func body(prompt: String) -> [UInt8] {
        Array(
            (#"{"model":"llama-7b","messages":[{"role":"system","content":"You answer in one sentence."},"#
                + #"{"role":"user","content":"\#(prompt)"}],"max_tokens":256,"temperature":0.7,"stream":true,"#
                + #""user":"ada"}"#).utf8)
    }

    static func scan(_ body: [UInt8]) -> ScannedRequest {
        var scan = RequestScan(route: .chatCompletions)
        do {
            try body.withUnsafeBytes { try scan.feed($0) }
            return try scan.finish()
        } catch {
            // A refused body would be measured as a fast one.
            preconditionFailure("the benchmark's own body was refused: \(error)")
        }
    }
}
