/// Ways to run a scan in tests: whole, cut in two, byte by byte.
import Determinism
import Testing

@testable import InferenceDialect

typealias ScanResult = Result<ScannedRequest, ScanFailure>

/// Feeds the slices that end at these offsets, then the rest.
func scan(_ body: [UInt8], route: InferenceRoute = .chatCompletions, cuts: [Int] = []) -> ScanResult {
    var machine = RequestScan(route: route)
    do throws(ScanFailure) {
        var from = 0
        for end in cuts + [body.count] {
            try feed(body[from..<end], to: &machine)
            from = end
        }
        return .success(try machine.finish())
    } catch {
        return .failure(error)
    }
}

private func feed(_ slice: ArraySlice<UInt8>, to machine: inout RequestScan) throws(ScanFailure) {
    // A copy of its own, so that a read past the slice is a read past an allocation.
    let own = UnsafeMutableRawBufferPointer.allocate(byteCount: slice.count, alignment: 1)
    defer { own.deallocate() }
    own.copyBytes(from: slice)
    try machine.feed(UnsafeRawBufferPointer(own))
}

func scan(_ body: String, route: InferenceRoute = .chatCompletions) -> ScanResult {
    scan(Array(body.utf8), route: route)
}

/// The first place where a cut changes the result, if there is one; byte by byte is tried too.
func cutThatMatters(_ body: [UInt8], route: InferenceRoute = .chatCompletions) -> Int? {
    let whole = scan(body, route: route)
    for cut in 0...body.count where scan(body, route: route, cuts: [cut]) != whole { return cut }
    return scan(body, route: route, cuts: Array(0..<body.count)) == whole ? nil : -1
}

/// A chat request with `members` before its messages.
func chat(_ members: String, messages: String = #"[{"role":"user","content":"hi"}]"#) -> String {
    #"{"model":"m","# + (members.isEmpty ? "" : members + ",") + #""messages":"# + messages + "}"
}

/// A chat request with one message as given.
func chat(message: String) -> String { chat("", messages: "[\(message)]") }

/// A completion request with `members` before its prompt.
func completion(_ members: String, prompt: String = #""once""#) -> String {
    #"{"model":"m","# + (members.isEmpty ? "" : members + ",") + #""prompt":"# + prompt + "}"
}

func embedding(input: String) -> String { #"{"model":"e","input":"# + input + "}" }

/// A body that OpenAI would take, and its route.
struct ValidBody: Sendable, CustomTestStringConvertible {
    let route: InferenceRoute
    let body: String

    init(_ route: InferenceRoute, _ body: String) {
        self.route = route
        self.body = body
    }

    var testDescription: String { "\(route.path) \(body.prefix(160))" }
}

/// A body that is refused, and why.
struct RefusedBody: Sendable, CustomTestStringConvertible {
    let route: InferenceRoute
    let body: [UInt8]
    let code: String
    let param: String?

    init(_ body: String, _ param: String?, _ code: String = "invalid_value") {
        self.init(.chatCompletions, body, param, code)
    }

    init(_ route: InferenceRoute, _ body: String, _ param: String?, _ code: String = "invalid_value") {
        self.route = route
        self.body = Array(body.utf8)
        self.code = code
        self.param = param
    }

    var testDescription: String { "\(code) \(param ?? "–"): \(String(decoding: body.prefix(160), as: UTF8.self))" }
}
