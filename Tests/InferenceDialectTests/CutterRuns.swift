/// Ways to run a cutter in tests: whole, cut at given places, byte by byte.
import Determinism
import Testing

@testable import InferenceDialect

/// What a stream looked like to a cutter, in offsets of the whole stream.
struct CutterRun: Equatable {
    var frames: [EventStreamCutter.Frame] = []
    var facts = StreamFacts()
    var endsAtBoundary = true

    var kinds: [EventStreamCutter.Kind] { frames.map(\.kind) }
}

/// Feeds the slices that end at these offsets, then the rest, then the end.
func cut(
    _ stream: [UInt8], route: InferenceRoute = .chatCompletions, commentProgress: Bool = true,
    eventProgress: Bool = false, at cuts: [Int] = []
) -> CutterRun {
    var cutter = EventStreamCutter(route: route, commentProgress: commentProgress, eventProgress: eventProgress)
    var run = CutterRun()
    var frames: [EventStreamCutter.Frame] = []
    var from = 0
    for end in cuts + [stream.count] {
        frames.removeAll()
        // A copy of its own, so that a read past the slice is a read past an allocation.
        let own = UnsafeMutableRawBufferPointer.allocate(byteCount: end - from, alignment: 1)
        defer { own.deallocate() }
        own.copyBytes(from: stream[from..<end])
        cutter.feed(UnsafeRawBufferPointer(own), into: &frames)
        for frame in frames {
            var place = from + frame.end
            // A line end cut between CR and LF ends its frame at the CR; the LF belongs to the same line end.
            if place < stream.count, stream[place - 1] == 0x0d, stream[place] == 0x0a { place += 1 }
            run.frames.append(EventStreamCutter.Frame(end: place, kind: frame.kind))
        }
        from = end
    }
    run.endsAtBoundary = cutter.isAtBoundary
    frames.removeAll()
    cutter.finish(into: &frames)
    run.frames += frames
    run.facts = cutter.facts
    return run
}

func cut(
    _ stream: String, route: InferenceRoute = .chatCompletions, commentProgress: Bool = true,
    eventProgress: Bool = false
) -> CutterRun {
    cut(Array(stream.utf8), route: route, commentProgress: commentProgress, eventProgress: eventProgress)
}

/// The kind of one event with this data.
func kind(_ data: String, route: InferenceRoute = .chatCompletions) -> EventStreamCutter.Kind? {
    let run = cut("data: \(data)\n\n", route: route)
    return run.frames.count == 1 ? run.kinds[0] : nil
}

/// A chunk of a chat whose only choice has this delta.
func chatChunk(_ delta: String, finish: String = "null", index: Int = 0) -> String {
    #"{"id":"c","object":"chat.completion.chunk","choices":[{"index":\#(index),"delta":\#(delta),"#
        + #""logprobs":null,"finish_reason":\#(finish)}]}"#
}
