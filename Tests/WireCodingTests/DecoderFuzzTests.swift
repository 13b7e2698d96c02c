/// Every decoder against bytes that nobody meant: one outcome with a name, never a trap, and what is accepted is written
/// again as it came.
///
/// `FUZZ_INPUTS` says how many inputs, `FUZZ_SEED` where to start.
import Determinism
import Testing
import WireCoding

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

struct FuzzedDecoder: Sendable, CustomTestStringConvertible {
    enum Outcome: Equatable {
        case refused
        /// What the value is written as.
        case accepted([UInt8])
        /// It read what it was not given.
        case overran
    }

    let name: String
    let corpus: [[UInt8]]
    let decode: @Sendable ([UInt8]) -> Outcome

    var testDescription: String { name }

    struct Run {
        /// Inputs on which the decoder breaks its promise.
        var findings: [[UInt8]] = []
        var accepted = 0
        var refused = 0
    }

    /// Each bit of the corpus flipped, then mutations from a seed.
    func run(inputs: Int, seed: UInt64) -> Run {
        var run = Run()
        for row in corpus {
            for bit in 0..<(8 * row.count) {
                var input = row
                input[bit / 8] ^= 1 << (bit % 8)
                judge(input, &run)
            }
        }
        var random = SeededGenerator(seed: seed)
        for _ in 0..<inputs { judge(Mutation.mutated(corpus, &random), &run) }
        return run
    }

    private func judge(_ input: [UInt8], _ run: inout Run) {
        switch decode(input) {
        case .refused: run.refused += 1
        case .overran: run.findings.append(input)
        case .accepted(let written):
            run.accepted += 1
            // What was left out is unknown to this release; what is kept is shorter, and stable.
            let isKept = written == input || written.count < input.count && decode(written) == .accepted(written)
            if !isKept { run.findings.append(input) }
        }
    }
}

@Suite("Mutated bytes")
struct DecoderFuzzTests {
    static let inputs = number("FUZZ_INPUTS") ?? 20_000
    static let seed = UInt64(number("FUZZ_SEED") ?? 1)

    @Test("no decoder traps, overruns or invents", arguments: FuzzedDecoder.all)
    func decoders(_ decoder: FuzzedDecoder) {
        let run = decoder.run(inputs: Self.inputs / FuzzedDecoder.all.count, seed: Self.seed)
        for finding in run.findings.prefix(3) {
            Issue.record("\(decoder.name), FUZZ_SEED=\(Self.seed): \(finding)")
        }
        // Mutations that never break, or always do, would try nothing.
        #expect(run.accepted > run.refused / 200)
        #expect(run.refused > run.accepted / 200)
        for input in decoder.corpus { #expect(decoder.decode(input) == .accepted(input)) }
    }

    @Test("a planted bug is found, or this fuzzer finds none", arguments: FuzzedDecoder.canaries)
    func canaries(_ decoder: FuzzedDecoder) {
        let run = decoder.run(inputs: 2_000, seed: Self.seed)
        #expect(!run.findings.isEmpty)
    }

    private static func number(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }
}

extension FuzzedDecoder {
    static let all = [messages, clearHeader, innerHeader, frame, keyringFrame, keyringFile]

    static let messages = FuzzedDecoder(
        name: "messages", corpus: GoldenPackets.messages.map { GoldenPackets.bytes($0.bytes) }
    ) { input in
        switch decoded(input) {
        case .failure: return .refused
        case .success(let messages): return .accepted(encoded(messages))
        }
    }

    static let clearHeader = FuzzedDecoder(
        name: "clear header", corpus: GoldenPackets.clearHeaders.map { GoldenPackets.bytes($0.bytes) + sealed }
    ) { input in
        guard case .success(let header) = HeaderCodingTests.read(input) else { return .refused }
        guard input.count >= header.encodedCount else { return .overran }
        return .accepted(HeaderCodingTests.written(header) + input[header.encodedCount...])
    }

    static let innerHeader = FuzzedDecoder(
        name: "inner header", corpus: [GoldenPackets.bytes(GoldenPackets.innerHeaderBytes)]
    ) { input in
        guard let header = HeaderCodingTests.inner(input) else { return .refused }
        guard input.count >= Datagram.innerHeaderBytes else { return .overran }
        var room = input
        room.withUnsafeMutableBytes { header.encode(into: $0) }
        return .accepted(room)
    }

    static let frame = FuzzedDecoder(
        name: "frame", corpus: GoldenPackets.frames.map { GoldenPackets.bytes($0.bytes) }
    ) { input in
        guard case .success(let frame) = FrameCodingTests.read(input) else { return .refused }
        return .accepted(FrameCodingTests.written(frame))
    }

    static let keyringFrame = FuzzedDecoder(
        name: "keyring frame", corpus: [GoldenPackets.bytes(GoldenPackets.keyringFrame), []]
    ) { input in
        guard let ring = try? KeyringCodingTests.frame(input) else { return .refused }
        return .accepted(KeyringCodingTests.frame(ring))
    }

    /// A checksum refuses every other mutation, so half of the inputs get a right one.
    static let keyringFile = FuzzedDecoder(
        name: "keyring file", corpus: [GoldenPackets.bytes(GoldenPackets.keyringFile)]
    ) { input in
        var file = input
        if file.count > 20, file[file.count / 2] & 1 == 0 {
            file.removeLast(8)
            let checksum = file.withUnsafeBytes { StableHash64.hash($0) }
            file.append(count: 8) { $0.u64(checksum) }
        }
        guard let ring = try? KeyringCodingTests.file(file) else { return .refused }
        return KeyringCodingTests.file(ring) == file ? .accepted(input) : .overran
    }

    /// Decoders with one mistake each, of the kinds that decoders have.
    static let canaries = [
        FuzzedDecoder(name: "a length that is one too long", corpus: messages.corpus) { input in
            var place = 0
            while place + 3 <= input.count {
                let length = Int(input[place + 1]) << 8 + Int(input[place + 2])
                place += 3 + length
                guard place <= input.count + 1 else { return .refused }
            }
            return place > input.count ? .overran : .refused
        },
        FuzzedDecoder(name: "a reserved bit that is forgotten", corpus: messages.corpus) { input in
            guard case .success(let messages) = decoded(input) else { return .refused }
            var written = encoded(messages)
            if written.count >= 8, written.count == input.count, written[0] == 1 { written[7] &= 0x7f }
            return .accepted(written)
        },
        FuzzedDecoder(name: "a last byte that is not looked at", corpus: innerHeader.corpus) { input in
            guard input.count >= Datagram.innerHeaderBytes - 1 else { return .refused }
            return input.count < Datagram.innerHeaderBytes ? .overran : .accepted(input)
        },
    ]

    private static let sealed = Array(repeating: 0xee, count: 60) as [UInt8]
}
