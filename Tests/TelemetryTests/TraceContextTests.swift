/// `traceparent` in and out, after the W3C recommendation.
import Determinism
import Telemetry
import Testing

@Suite("the trace context")
struct TraceContextTests {
    private let incoming = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test("keeps the trace and its flag, and is a span of its own")
    func continued() {
        var generator = SeededGenerator(seed: 1)
        let context = TraceContext(continuing: incoming, using: &generator)
        #expect(context.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(context.parentSpan == 0x00f0_67aa_0ba9_02b7)
        #expect(context.isSampled)
        let parts = context.header.split(separator: "-")
        #expect(parts.map(\.count) == [2, 32, 16, 2])
        #expect(parts[1] == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(parts[2] != "00f067aa0ba902b7")
        #expect(parts[3] == "01")
    }

    @Test("one seed, one header")
    func seeded() {
        var generator = SeededGenerator(seed: 7)
        let first = TraceContext(continuing: nil, using: &generator)
        let second = TraceContext(continuing: nil, using: &generator)
        var again = SeededGenerator(seed: 7)
        #expect(TraceContext(continuing: nil, using: &again).header == first.header)
        #expect(first.traceID != second.traceID)
        #expect(!first.isSampled)
        #expect(first.parentSpan == nil)
    }

    @Test("what we send, we can read")
    func roundTrip() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<100 {
            let first = TraceContext(continuing: nil, using: &generator)
            let second = TraceContext(continuing: first.header, using: &generator)
            #expect(second.traceID == first.traceID)
            #expect(second.parentSpan == first.span)
        }
    }

    @Test("a later version with more behind it is read", arguments: ["", "-more", "-"])
    func laterVersion(_ rest: String) {
        var generator = SeededGenerator(seed: 1)
        let header = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\(rest)"
        let context = TraceContext(continuing: header, using: &generator)
        #expect(context.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(context.header.hasPrefix("00-"))
    }

    @Test(
        "what is malformed starts a new trace",
        arguments: [
            "", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00x",
        ])
    func malformed(_ header: String) {
        var generator = SeededGenerator(seed: 1)
        let context = TraceContext(continuing: header, using: &generator)
        #expect(context.parentSpan == nil)
        #expect(context.traceID != "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(context.header.count == 55)
    }
}
