import Balancing
import Testing

@testable import ReplicaCore

struct RoutingViewTests {
    private func entry(_ name: String, _ index: Int, contexts: [Int?] = [nil]) -> RoutingView.ModelEntry {
        RoutingView.ModelEntry(
            name: name, index: ModelIndex(rawValue: index),
            placements: contexts.enumerated().map { position, context in
                RoutingView.Placement(
                    position: position, upstreamName: name, contextTokens: context, vocabulary: nil, prefillRate: 1,
                    decodeRate: 1, stepSlope: 0)
            })
    }

    private func view(_ aliases: [(name: String, target: String)]) -> RoutingView {
        RoutingView(workers: [], models: [entry("b", 0), entry("a", 1)], aliases: aliases, strategy: .roundRobin)
    }

    @Test("names and aliases lead to the same entry, everything else nowhere")
    func resolves() {
        let view = view([("gpt", "a"), ("ghost", "nobody")])
        #expect(view.resolve("a") == 1)
        #expect(view.resolve("gpt") == 1)
        #expect(view.resolve("b") == 0)
        #expect(view.resolve("ghost") == nil)
        #expect(view.resolve("") == nil)
        #expect(view.modelNames == ["a", "b", "gpt"])
    }

    @Test("an alias hides a model of its own name, and the name is listed once")
    func hides() {
        let view = view([("b", "a")])
        #expect(view.resolve("b") == 1)
        #expect(view.modelNames == ["a", "b"])
    }

    @Test("the context of a model is known only when every worker told its own")
    func context() {
        #expect(entry("m", 0, contexts: [4_096, 8_192]).contextTokensMax == 8_192)
        #expect(entry("m", 0, contexts: [4_096, nil]).contextTokensMax == nil)
        #expect(RoutingView.empty.modelNames.isEmpty)
    }
}
