/// Ways to run an event stream through the cutter in tests.
@testable import InferenceDialect

/// What a cutter said about a whole stream.
struct StreamRun: Equatable {
    var kinds: [EventStreamCutter.Kind] = []
    /// Offsets in the whole stream; the unfinished last frame has none.
    var ends: [Int] = []
    var facts = StreamFacts()
    /// Before the end was told.
    var wasAtBoundary = true
}

func run(
    _ bytes: [UInt8], cuts: [Int] = [], route: InferenceRoute = .chatCompletions, commentProgress: Bool = true
) -> StreamRun {
    var cutter = EventStreamCutter(route: route, commentProgress: commentProgress)
    var result = StreamRun()
    var frames: [EventStreamCutter.Frame] = []
    var from = 0
    for end in cuts + [bytes.count] {
        frames.removeAll()
        Array(bytes[from..<end]).withUnsafeBytes { cutter.feed($0, into: &frames) }
        result.kinds += frames.map(\.kind)
        result.ends += frames.map { from + $0.end }
        from = end
    }
    result.wasAtBoundary = cutter.isAtBoundary
    frames.removeAll()
    cutter.finish(into: &frames)
    result.kinds += frames.map(\.kind)
    result.facts = cutter.facts
    return result
}

func run(_ text: String, route: InferenceRoute = .chatCompletions, commentProgress: Bool = true) -> StreamRun {
    run(Array(text.utf8), route: route, commentProgress: commentProgress)
}

/// The first cut that changes what is said about a stream. Where a cut parts CR from LF, the frame ends at the CR: the LF
/// has not come yet.
func cutThatMatters(stream bytes: [UInt8], route: InferenceRoute = .chatCompletions) -> [Int]? {
    let whole = run(bytes, route: route)
    func differs(_ cuts: [Int]) -> Bool {
        var other = run(bytes, cuts: cuts, route: route)
        other.ends = other.ends.map { $0 < bytes.count && bytes[$0] == 0x0a && bytes[$0 - 1] == 0x0d ? $0 + 1 : $0 }
        return other != whole
    }
    for cut in 0...bytes.count where differs([cut]) { return [cut] }
    let everywhere = Array(0..<bytes.count)
    return differs(everywhere) ? everywhere : nil
}

/// A chat chunk with one choice.
func chunk(_ delta: String, index: Int = 0, finish: String? = nil, more: String = "") -> String {
    let reason = finish.map { "\"\($0)\"" } ?? "null"
    return #"{"id":"c","object":"chat.completion.chunk","choices":[{"index":\#(index),"delta":\#(delta),"#
        + #""finish_reason":\#(reason)}]\#(more)}"#
}

func event(_ data: String) -> String { "data: \(data)\n\n" }
