/// W3C Trace Context: which trace a request belongs to, and which span of it we are.
///
/// A header we can read keeps its trace id and sampling flag and gets our span id; one we cannot read is as good as
/// none and starts a new trace, as the specification asks (W3C Trace Context, section 4.3).
package struct TraceContext: Hashable, Sendable {
    package let traceHigh: UInt64
    package let traceLow: UInt64
    /// The span that asked us; nil when the trace begins here.
    package let parentSpan: UInt64?
    /// Ours, and what the next one is told as its parent.
    package let span: UInt64
    package let isSampled: Bool

    /// Continues the trace of an incoming `traceparent`, or begins one.
    package init(continuing header: String?, using generator: inout some RandomNumberGenerator) {
        if let header, let incoming = TraceParent(header) {
            traceHigh = incoming.traceHigh
            traceLow = incoming.traceLow
            parentSpan = incoming.span
            isSampled = incoming.isSampled
        } else {
            traceHigh = generator.next()
            // An id of zeros means "none", so chance must not give one.
            traceLow = max(1, generator.next())
            parentSpan = nil
            isSampled = false
        }
        span = max(1, generator.next())
    }

    /// The `traceparent` to send on, 55 bytes.
    package var header: String {
        String(unsafeUninitializedCapacity: 55) { room in
            room[0] = 48
            room[1] = 48
            room[2] = 45
            Self.write(traceHigh, to: room, at: 3)
            Self.write(traceLow, to: room, at: 19)
            room[35] = 45
            Self.write(span, to: room, at: 36)
            room[52] = 45
            room[53] = 48
            room[54] = isSampled ? 49 : 48
            return 55
        }
    }

    /// 32 hexadecimal digits, for logs.
    package var traceID: String {
        String(unsafeUninitializedCapacity: 32) { room in
            Self.write(traceHigh, to: room, at: 0)
            Self.write(traceLow, to: room, at: 16)
            return 32
        }
    }

    private static func write(_ value: UInt64, to room: UnsafeMutableBufferPointer<UInt8>, at offset: Int) {
        for digit in 0..<16 {
            let nibble = UInt8(truncatingIfNeeded: value >> UInt64(60 - 4 * digit)) & 15
            room[offset + digit] = nibble < 10 ? 48 + nibble : 87 + nibble
        }
    }
}

/// An incoming `traceparent`, strictly: lower-case digits, no zero ids, a version we may read.
struct TraceParent: Equatable {
    let traceHigh: UInt64
    let traceLow: UInt64
    let span: UInt64
    let isSampled: Bool

    init?(_ header: String) {
        var header = header
        let parsed = header.withUTF8 { Self.parse(UnsafeRawBufferPointer($0)) }
        guard let parsed else { return nil }
        self = parsed
    }

    private init(traceHigh: UInt64, traceLow: UInt64, span: UInt64, isSampled: Bool) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.span = span
        self.isSampled = isSampled
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer) -> TraceParent? {
        guard bytes.count >= 55, bytes[2] == 45, bytes[35] == 45, bytes[52] == 45 else { return nil }
        guard let version = number(bytes, 0, 2), version != 255 else { return nil }
        // Version 0 ends here; a later one may have more behind another dash, which we do not need to understand.
        guard bytes.count == 55 || (version > 0 && bytes[55] == 45) else { return nil }
        guard let high = number(bytes, 3, 16), let low = number(bytes, 19, 16), let span = number(bytes, 36, 16),
            let flags = number(bytes, 53, 2), high | low != 0, span != 0
        else { return nil }
        return TraceParent(traceHigh: high, traceLow: low, span: span, isSampled: flags & 1 == 1)
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ count: Int) -> UInt64? {
        var value: UInt64 = 0
        for offset in start..<start + count {
            switch bytes[offset] {
            case let byte where (48...57).contains(byte): value = value << 4 | UInt64(byte - 48)
            case let byte where (97...102).contains(byte): value = value << 4 | UInt64(byte - 87)
            default: return nil
            }
        }
        return value
    }
}
