import Balancing
import Testing

@testable import WorkerProbe

struct CanaryTests {
    @Test("a canary asks for one token, whatever the model's name has in it", arguments: ["llama-7b", "a\"b", "a\\b"])
    func body(name: String) {
        let body = String(decoding: ProbeService.canaryBody(name), as: UTF8.self)
        let escaped = name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        #expect(body.hasPrefix("{\"model\":\"\(escaped)\",\"max_tokens\":1,\"temperature\":0,\"messages\":["))
        #expect(body.hasSuffix("]}"))
    }

    @Test("what probes found is counted by worker and result")
    func counts() {
        let counts = ProbeCounts()
        let worker = WorkerIndex(rawValue: 3)
        counts.note(worker, .alive)
        counts.note(worker, .alive)
        counts.note(worker, .canaryFailed)
        #expect(counts.count(worker, .alive) == 2)
        #expect(counts.count(worker, .canaryFailed) == 1)
        #expect(counts.count(worker, .refused) == 0)
        #expect(counts.count(WorkerIndex(rawValue: 4), .alive) == 0)
    }
}
