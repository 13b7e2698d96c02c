import Testing

@testable import Balancing

@Suite struct WorkerTests {
    private func worker(_ id: String, key: String? = nil) -> Worker {
        Worker(
            id: WorkerID(rawValue: id), index: WorkerIndex(rawValue: 0), kind: .mlxLM, host: "10.0.1.10", port: 8080,
            useTLS: false, apiKey: key, hostHeader: "10.0.1.10:8080", weight: 2, slots: 4, chip: nil, memoryGB: nil,
            models: [])
    }

    @Test("its place on rings depends on its id alone")
    func ringKey() {
        #expect(worker("mac-1").ringKey == worker("mac-1", key: "k").ringKey)
        #expect(worker("mac-1").ringKey != worker("mac-2").ringKey)
    }

    @Test("told models are all that changes")
    func told() {
        let model = WorkerModel(name: "llama-7b", upstreamName: "llama")
        let after = worker("mac-1", key: "k").with(models: [model])
        #expect(after.models == [model])
        #expect(after.id == WorkerID(rawValue: "mac-1") && after.apiKey == "k" && after.slots == 4 && after.weight == 2)
    }

    @Test("its description names it and never its key")
    func description() {
        let text = "\(worker("mac-1", key: "sk-secret"))"
        #expect(text.contains("mac-1") && text.contains("10.0.1.10:8080") && !text.contains("secret"))
    }
}
