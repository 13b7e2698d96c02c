/// The edits of a request: deciding them, and walking the pieces of the new body.
import Benchmark
import InferenceDialect

enum SpliceListBenchmarks {
    static func register() {
        let body = RequestScanBenchmarks.body(prompt: "Why do starlings fly in flocks?")
        let scanned = RequestScanBenchmarks.scan(body)
        let model = ModelOnWorker(
            name: "llama-7b", upstreamName: "mlx-community/Llama-7B-4bit", contextTokens: nil, vocabulary: nil)
        let splices = WorkerDialect.mlxLM.prepare(scanned, model, askUsage: true)
        precondition(splices.edits.count == 2, "the model's name and the wish for usage are two edits")

        Benchmark("splice: decide two edits", configuration: Measures.tiny) { benchmark in
            for _ in benchmark.scaledIterations {
                blackHole(WorkerDialect.mlxLM.prepare(scanned, model, askUsage: true))
            }
        }
        Benchmark("splice: walk two edits", configuration: Measures.tiny) { benchmark in
            for _ in benchmark.scaledIterations {
                var bytes = 0
                splices.forEachPiece(bodyBytes: body.count) { piece in
                    switch piece {
                    case .original(let range): bytes += range.count
                    case .replacement(let replacement): bytes += replacement.count
                    }
                }
                blackHole(bytes)
            }
        }
        Benchmark("splice: 24 edits, then walk", configuration: Measures.tiny) { benchmark in
            for _ in benchmark.scaledIterations {
                var many = SpliceList()
                for edit in 0..<SpliceList.editsMax { many.replace(edit * 8..<edit * 8 + 2, with: [32]) }
                var bytes = many.outputBytes(bodyBytes: 1_024)
                many.forEachPiece(bodyBytes: 1_024) { if case .original(let range) = $0 { bytes -= range.count } }
                blackHole(bytes)
            }
        }
    }
}
