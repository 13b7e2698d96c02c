import Balancing
import InferenceDialect
import ReplicaCore
import Settings
import Testing

@testable import GatewayAssembly

/// Settings from a piece of a file, as the loader reads it.
func settings(_ text: String) throws -> GatewaySettings {
    try SettingsLoader.load(text: text, path: "test.yaml").settings
}

/// A worker's entry of `cluster_nodes`.
func node(_ id: String, models: String = "[]", _ more: String = "") -> String {
    "  - {node_id: \"\(id)\", host: \"10.0.0.1\", port: \(8_000 + abs(id.utf8.reduce(0) { $0 &* 31 &+ Int($1) }) % 50_000), "
        + "models: \(models)\(more)}\n"
}

@Suite("RoutingTable")
struct RoutingTableTests {
    private let board = WorkerBoard()
    private let table: RoutingTable

    init() { table = RoutingTable(board: board) }

    private var view: RoutingView { table.view.value }

    private func workers(of model: String) -> [String] {
        guard let position = view.resolve(model) else { return [] }
        return view.models[position].placements.map { view.workers[$0.position].id.rawValue }
    }

    @Test("declared models are served where they are declared; aliases name them; order is stable")
    func declared() throws {
        try table.configure(
            settings(
                """
                cluster_nodes:
                \(node("a", models: "[\"m\", \"n\"]"))\(node("b", models: "[{name: \"m\", upstream_name: \"theirs\"}]"))
                models: {aliases: {gpt-4: m, ghost: nobody}}
                """))
        #expect(view.modelNames == ["m", "n", "gpt-4"])
        #expect(workers(of: "m") == ["a", "b"] && workers(of: "n") == ["a"] && workers(of: "gpt-4") == ["a", "b"])
        #expect(view.resolve("ghost") == nil && view.resolve("M") == nil)
        let placements = view.models[try #require(view.resolve("m"))].placements
        #expect(placements.map(\.upstreamName) == ["m", "theirs"])
        #expect(placements.allSatisfy { $0.prefillRate > 0 && $0.decodeRate > 0 })
        #expect(table.unasked.isEmpty)
    }

    @Test("a worker without a list serves what it tells; one with a list is not asked to know better")
    func told() throws {
        try table.configure(settings("cluster_nodes:\n\(node("a"))\(node("b", models: "[\"m\"]"))"))
        #expect(table.unasked == ["a"] && workers(of: "x") == [])
        table.told(["x", "m"], by: WorkerID(rawValue: "a"))
        table.told(["y"], by: WorkerID(rawValue: "b"))
        table.told(["z"], by: WorkerID(rawValue: "nobody"))
        #expect(table.unasked.isEmpty && view.modelNames == ["m", "x"])
        #expect(workers(of: "m") == ["a", "b"])
        #expect(view.workers[0].models.map(\.name) == ["x", "m"], "wake-ups go by the worker's models")
        table.told([], by: WorkerID(rawValue: "a"))
        #expect(view.modelNames == ["m"] && table.unasked.isEmpty, "it told that it has none")
    }

    @Test("what a worker tells of its model fills in what the operator left out, on this worker alone")
    func limits() throws {
        let declared = #"[{name: "m", upstream_name: "m.gguf", context_tokens: 100}, "x"]"#
        try table.configure(
            settings("cluster_nodes:\n\(node("a"))\(node("b", models: declared))\(node("c", models: #"["m"]"#))"))
        let told = [
            "m": ModelLimits(vocabulary: 7, contextTokens: 70), "m.gguf": ModelLimits(vocabulary: 9, contextTokens: 90),
        ]
        func placements() throws -> [[Int?]] {
            view.models[try #require(view.resolve("m"))].placements.map { [$0.vocabulary, $0.contextTokens] }
        }
        table.told(["m"], limits: told, by: WorkerID(rawValue: "a"))
        table.told(["m.gguf"], limits: told, by: WorkerID(rawValue: "b"))
        #expect(try placements() == [[7, 70], [9, 100], [nil, nil]])
        #expect(view.models.first { $0.name == "m" }?.contextTokensMax == nil, "the third does not tell")
        table.told(["m"], limits: ["m": ModelLimits(contextTokens: 80)], by: WorkerID(rawValue: "a"))
        #expect(try placements()[0] == [nil, 80], "it came back as another")
        table.told(["m"], by: WorkerID(rawValue: "a"))
        #expect(try placements()[0] == [nil, nil])
    }

    @Test("a name told twice is one place")
    func toldTwice() throws {
        try table.configure(settings("cluster_nodes:\n\(node("a"))"))
        table.told(["x", "y", "x"], by: WorkerID(rawValue: "a"))
        #expect(workers(of: "x") == ["a"] && view.modelNames == ["x", "y"])
    }

    @Test("models told up to the bound, no more; and telling the same again publishes nothing new (L8)")
    func toldBound() throws {
        try table.configure(settings("cluster_nodes:\n\(node("a"))"))
        let many = (0...NodeModelSettings.countMax).map { "m\($0)" }
        table.told(many, by: WorkerID(rawValue: "a"))
        #expect(view.models.count == NodeModelSettings.countMax)
        var copy = RoutingView.empty
        var seen = UInt64.max
        table.view.refresh(&copy, seen: &seen)
        let before = seen
        table.told(many, by: WorkerID(rawValue: "a"))
        table.told(many, limits: ["not-listed": ModelLimits(vocabulary: 1)], by: WorkerID(rawValue: "a"))
        table.view.refresh(&copy, seen: &seen)
        #expect(seen == before)
    }

    @Test("the allowlist hides declared and told models alike, and aliases of what it hides")
    func allowlist() throws {
        try table.configure(
            settings(
                """
                cluster_nodes:
                \(node("a"))\(node("b", models: "[\"m\", \"n\"]"))
                models: {allowlist: ["n", "x"], aliases: {"to-m": m, "to-n": n}}
                """))
        table.told(["x", "y"], by: WorkerID(rawValue: "a"))
        #expect(view.modelNames == ["n", "x", "to-n"])
        #expect(view.resolve("m") == nil && view.resolve("y") == nil && view.resolve("to-m") == nil)
    }

    @Test("an alias hides a model of its own name, and is listed once")
    func aliasHides() throws {
        try table.configure(
            settings("cluster_nodes:\n\(node("a", models: "[\"m\", \"n\"]"))\nmodels: {aliases: {m: n}}"))
        #expect(view.models[try #require(view.resolve("m"))].name == "n" && view.modelNames == ["m", "n"])
    }

    @Test("a reload keeps the indexes of what stays, and gives back what returns")
    func indexes() throws {
        try table.configure(settings("cluster_nodes:\n\(node("a", models: "[\"m\"]"))\(node("b", models: "[\"n\"]"))"))
        let first = view
        try table.configure(settings("cluster_nodes:\n\(node("c", models: "[\"o\"]"))\(node("b", models: "[\"n\"]"))"))
        let second = view
        #expect(second.workers.map(\.id.rawValue) == ["c", "b"])
        #expect(second.workers[1].index == first.workers[1].index)
        #expect(second.models.first { $0.name == "n" }?.index == first.models.first { $0.name == "n" }?.index)
        #expect(!first.workers.map(\.index).contains(second.workers[0].index), "an index is never given to another")
        try table.configure(settings("cluster_nodes:\n\(node("a", models: "[\"m\"]"))"))
        #expect(view.workers[0].index == first.workers[0].index)
        #expect(view.models[0].index == first.models[0].index)
    }

    @Test("what a removed worker told is forgotten; what a staying one told stays")
    func toldAcrossReload() throws {
        try table.configure(settings("cluster_nodes:\n\(node("a"))\(node("b"))"))
        table.told(["x"], by: WorkerID(rawValue: "a"))
        table.told(["y"], by: WorkerID(rawValue: "b"))
        try table.configure(settings("cluster_nodes:\n\(node("a"))"))
        #expect(view.modelNames == ["x"])
        try table.configure(settings("cluster_nodes:\n\(node("a"))\(node("b"))"))
        #expect(view.modelNames == ["x"] && table.unasked == ["b"])
    }

    @Test("the board holds 256 workers in a life; one more is refused, and the view in use stays")
    func boardFull() throws {
        for place in 0..<WorkerBoard.workersMax - 1 { _ = board.index(for: WorkerID(rawValue: "old\(place)")) }
        try table.configure(settings("cluster_nodes:\n\(node("last", models: "[\"m\"]"))"))
        #expect(view.modelNames == ["m"])
        let failure = #expect(throws: GatewayFailure.self) {
            try table.configure(settings("cluster_nodes:\n\(node("more", models: "[\"n\"]"))"))
        }
        #expect(failure?.description.contains("\"more\"") == true && failure?.exitCode == 78)
        #expect(view.modelNames == ["m"])
    }

    @Test("models get 1,024 indexes in a life; a name that comes later is not served and is told as such")
    func modelIndexes() throws {
        try table.configure(settings("cluster_nodes:\n\(node("a"))"))
        let each = NodeModelSettings.countMax
        for round in 0..<RoutingTable.modelsMax / each {
            table.told((0..<each).map { "m\(round)-\($0)" }, by: WorkerID(rawValue: "a"))
            #expect(view.models.count == each && table.unserved.isEmpty)
        }
        table.told(["one-more", "m0-0"], by: WorkerID(rawValue: "a"))
        #expect(view.modelNames == ["m0-0"] && table.unserved == ["one-more"])
        table.told(["m0-0"], by: WorkerID(rawValue: "a"))
        #expect(table.unserved.isEmpty, "of what is asked for now")
    }

    @Test("balancing switched off is round robin")
    func disabled() throws {
        try table.configure(settings("load_balancing: {enabled: false, strategy: \"prefix_affinity\"}"))
        #expect(view.strategy == .roundRobin)
    }

    @Test(
        "an address of IPv6 stands in brackets in Host; a usual port is left out; ollama wants a local name; the operator's word wins"
    )
    func hostHeaders() throws {
        try table.configure(
            settings(
                """
                cluster_nodes:
                  - {node_id: "six", host: "fd00::1", port: 8080, models: ["m"]}
                  - {node_id: "http", host: "w", port: 80, models: ["m"]}
                  - {node_id: "https", host: "w", port: 443, tls: true, models: ["m"]}
                  - {node_id: "own", host: "w", port: 8080, host_header: "mac.local", models: ["m"]}
                  - {node_id: "shy", host: "w", port: 11434, kind: "ollama", models: ["m"]}
                """))
        #expect(view.workers.map(\.hostHeader) == ["[fd00::1]:8080", "w", "w", "mac.local", "localhost:11434"])
        #expect(view.workers.map(\.useTLS) == [false, false, true, false, false])
    }
}
