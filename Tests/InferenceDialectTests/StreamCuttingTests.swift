/// Frames end where the standard says they end, whatever the line ends, wherever the bytes are cut.
import Determinism
import Testing

@testable import InferenceDialect

@Suite("Cutting event streams")
struct EventStreamCutterTests {
    private static let story =
        ": keepalive 0/9\n\n: keepalive 9/9\n\n" + event(chunk(#"{"role":"assistant","content":""}"#))
        + event(chunk(#"{"content":"Grüße"}"#)) + "event: message\nid: 7\n" + event(chunk(#"{"content":"b\n\"c\""}"#))
        + "data: {\"choices\":\ndata: [{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n: note\n\n\n"
        + event(chunk("{}", finish: "stop"))
        + event(#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#)
        + event("[DONE]")
    private static let kinds: [EventStreamCutter.Kind] = [
        .comment(progress: true), .comment(progress: true), .role, .content, .content, .content,
        .comment(progress: false),
        .comment(progress: false), .finish, .usage, .done,
    ]

    @Test("Line ends of each sort, and mixed, mean the same", arguments: ["\n", "\r\n", "\r", "mixed"])
    func lineEnds(ending: String) {
        var bytes: [UInt8] = []
        var random = SeededGenerator(seed: 5)
        let endings = ["\n", "\r\n", "\r"]
        for byte in Self.story.utf8 {
            guard byte == 0x0a else {
                bytes.append(byte)
                continue
            }
            // A CR right before an LF would be one line end with it.
            var own = ending == "mixed" ? endings[Int(random.below(3))] : ending
            if own == "\n", bytes.last == 0x0d { own = "\r\n" }
            bytes += Array(own.utf8)
        }
        let whole = run(bytes)
        #expect(whole.kinds == Self.kinds)
        #expect(whole.facts.usage == TokenUsage(prompt: 9, completion: 3, cached: 0))
        #expect(whole.facts.events == 6)
        #expect(whole.facts.contentEvents == 3)
        #expect(whole.facts.isComplete)
        #expect(whole.facts.doneSeen)
        #expect(!whole.facts.errorSeen)
        #expect(whole.ends.last == bytes.count)
        #expect(whole.wasAtBoundary)
        #expect(cutThatMatters(stream: bytes) == nil)
    }

    @Test("A frame ends just past its blank line")
    func ends() {
        let frames = [event(chunk(#"{"content":"a"}"#)), ": c\r\n\r\n", "data: null\r\r", event("[DONE]")]
        var ends: [Int] = []
        for frame in frames { ends.append((ends.last ?? 0) + frame.utf8.count) }
        #expect(run(frames.joined()).ends == ends)
    }

    @Test("An LF that belongs to the CR of the chunk before ends no frame of its own")
    func partedLineEnd() {
        var cutter = EventStreamCutter(route: .chatCompletions, commentProgress: false)
        var frames: [EventStreamCutter.Frame] = []
        Array("data: [DONE]\r\n\r".utf8).withUnsafeBytes { cutter.feed($0, into: &frames) }
        #expect(frames == [EventStreamCutter.Frame(end: 15, kind: .done)])
        #expect(cutter.isAtBoundary)
        frames.removeAll()
        Array("\n".utf8).withUnsafeBytes { cutter.feed($0, into: &frames) }
        Array(": x\n\n".utf8).withUnsafeBytes { cutter.feed($0, into: &frames) }
        #expect(frames == [EventStreamCutter.Frame(end: 5, kind: .comment(progress: false))])
        #expect(cutter.isAtBoundary)
    }

    @Test("A mark of byte order before the first line is no part of it")
    func byteOrderMark() {
        #expect(run("\u{feff}data: [DONE]\n\n").kinds == [.done])
        #expect(cutThatMatters(stream: Array("\u{feff}data: [DONE]\n\n".utf8)) == nil)
    }

    @Test(
        "An unfinished last frame is judged at the end",
        arguments: ["data: [DONE]", "data: [DONE]\n", "data: [DONE]\r"])
    func unfinished(text: String) {
        let story = run(text)
        #expect(story.kinds == [.done])
        #expect(story.ends.isEmpty)
        #expect(!story.wasAtBoundary)
        #expect(story.facts.doneSeen)
    }

    @Test("A truncated frame proves nothing")
    func truncated() {
        let whole = Array(event(chunk(#"{"content":"a"}"#, finish: "stop")).utf8)
        for count in 1..<(whole.count - 6) {
            let story = run(Array(whole[..<count]))
            #expect(!story.facts.isComplete || count > whole.count - 10)
            #expect(story.facts.usage == nil)
            #expect(!story.facts.doneSeen)
        }
    }

    @Test("The end of an ended stream adds nothing")
    func endTwice() {
        var cutter = EventStreamCutter(route: .chatCompletions, commentProgress: false)
        var frames: [EventStreamCutter.Frame] = []
        cutter.finish(into: &frames)
        Array("data: [DONE]".utf8).withUnsafeBytes { cutter.feed($0, into: &frames) }
        cutter.finish(into: &frames)
        cutter.finish(into: &frames)
        #expect(frames == [EventStreamCutter.Frame(end: 0, kind: .done)])
    }

    @Test("A frame at its bound is read and one past it is not, whole or cut")
    func frameBound() {
        let shell = chunk(#"{"content":""}"#)
        // The last line's own end counts, the blank line does not.
        let room = EventStreamCutter.frameBytesMax - "data: \n".utf8.count - shell.utf8.count
        for (count, kind) in [(room, EventStreamCutter.Kind.content), (room + 1, .oversized)] {
            let text = chunk(#"{"content":"\#(String(repeating: "x", count: count))"}"#)
            let bytes = Array((event(text) + event("[DONE]")).utf8)
            for cuts in [
                [], [9], [bytes.count - 20], [bytes.count - 16], [100, 200_000, 1_000_000], [bytes.count - 15],
            ] {
                let story = run(bytes, cuts: cuts)
                #expect(story.kinds == [kind, .done])
                #expect(story.ends == [bytes.count - 14, bytes.count])
                #expect(story.facts.contentEvents == 1)
            }
        }
    }

    @Test("An oversized frame that never ends is still one frame")
    func oversizedTail() {
        let bytes = Array(repeating: UInt8(ascii: "x"), count: EventStreamCutter.frameBytesMax + 1)
        #expect(run(bytes).kinds == [.oversized])
        #expect(run(bytes, cuts: [EventStreamCutter.frameBytesMax]).kinds == [.oversized])
    }

    @Test("Mutated streams give the same whole and cut at random", arguments: [1, 2, 3] as [UInt64])
    func fuzz(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let base = Array(Self.story.utf8)
        let pieces: [[UInt8]] = ["\r", "\n", "\r\n", "\n\n", "data:", "[DONE]", "\"", "\\", "{", "]", "null", ":"].map {
            Array($0.utf8)
        }
        let routes: [InferenceRoute] = [.chatCompletions, .completions, .embeddings, .other("responses")]
        for _ in 0..<3_000 {
            var bytes = base
            for _ in 0...random.below(4) {
                let place = Int(random.below(UInt64(bytes.count + 1)))
                let end = min(bytes.count, place + Int(random.below(30)))
                switch random.below(4) {
                case 0: bytes.removeSubrange(place..<end)
                case 1: bytes.insert(contentsOf: pieces[Int(random.below(UInt64(pieces.count)))], at: place)
                case 2: if place < bytes.count { bytes[place] = UInt8(truncatingIfNeeded: random.next()) }
                default: bytes.insert(contentsOf: bytes[place..<end], at: place)
                }
            }
            let route = routes[Int(random.below(4))]
            let cuts = (0..<random.below(6)).map { _ in Int(random.below(UInt64(bytes.count + 1))) }.sorted()
            let whole = run(bytes, route: route)
            var cut = run(bytes, cuts: cuts, route: route)
            cut.ends = cut.ends.map { $0 < bytes.count && bytes[$0] == 0x0a && bytes[$0 - 1] == 0x0d ? $0 + 1 : $0 }
            #expect(cut == whole)
            #expect(whole.ends == whole.ends.sorted())
        }
    }
}
