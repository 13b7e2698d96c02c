/// Paths are compared exactly: a worker never sees one that was not understood here.
import Testing

@testable import InferenceDialect

@Suite("Inference routes")
struct InferenceRouteTests {
    @Test("A path is its route, and the route is its path")
    func known() {
        let paths: [(String, InferenceRoute)] = [
            ("/v1/chat/completions", .chatCompletions), ("/v1/completions", .completions),
            ("/v1/embeddings", .embeddings),
            ("/v1/responses", .other("responses")), ("/v1/audio/transcriptions", .other("audio/transcriptions")),
            ("/v1/re-rank_2", .other("re-rank_2")),
        ]
        for (path, route) in paths {
            #expect(InferenceRoute(path: path) == route)
            #expect(route.path == path)
        }
    }

    @Test(
        "Anything else is no route",
        arguments: [
            "", "/", "/v1", "/v1/", "/v1//", "/v1/x/", "/v1//x", "v1/completions", "/v2/completions", "/V1/completions",
            "/v1/chat/completions/", "/v1/Completions", "/v1/../admin", "/v1/a.b", "/v1/a b", "/v1/a%2fb", "/v1/é",
            "/v1/completions?x=1", "/v1/completions#x", "/v1/a\n", "/v1/a\u{0}",
        ])
    func unknown(path: String) { #expect(InferenceRoute(path: path) == nil) }

    @Test("A name ends at its bound")
    func bound() {
        let name = String(repeating: "a", count: InferenceRoute.nameBytesMax)
        #expect(InferenceRoute(path: "/v1/" + name) == .other(name))
        #expect(InferenceRoute(path: "/v1/" + name + "a") == nil)
    }
}
