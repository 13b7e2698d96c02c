/// Bodies that nobody wrote: valid ones, mutated. Nothing crashes, and how a body is cut never decides about it.
import Determinism
import Testing

@testable import InferenceDialect

@Suite("Mutated requests")
struct RequestFuzzTests {
    private static let pieces: [[UInt8]] =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "\\udc00", "null", "true", "false", "1e5", "-",
            "0",
            "9999999999", "\"role\"", "\"model\":", "\"messages\":", "\"stop\":[", "\"n\":", " ", "\n", "é", "😀",
            #""tools":[{"function":{"#, #""stream_options":{"#, #"{"type":"image_url","image_url":"#,
        ].map { Array($0.utf8) } + [[0x80], [0xff], [0xed, 0xa0, 0x80], [0]]

    static func mutate(_ body: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var body = body
        for _ in 0...random.below(3) {
            let place = Int(random.below(UInt64(body.count + 1)))
            let end = min(body.count, place + Int(random.below(12)))
            switch random.below(5) {
            case 0: body.removeSubrange(place..<end)
            case 1: body.insert(contentsOf: pieces[Int(random.below(UInt64(pieces.count)))], at: place)
            case 2: if place < body.count { body[place] = UInt8(truncatingIfNeeded: random.next()) }
            case 3: body.insert(contentsOf: body[place..<end], at: place)
            default: body.replaceSubrange(place..<end, with: pieces[Int(random.below(UInt64(pieces.count)))])
            }
            if body.isEmpty { body = [UInt8(ascii: "{")] }
        }
        return body
    }

    @Test("A mutated body gives the same result whole and cut at random", arguments: [1, 2, 3, 4] as [UInt64])
    func mutations(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var passed = 0
        var refused = 0
        for _ in 0..<4_000 {
            let origin = ValidRequestTests.all[Int(random.below(UInt64(ValidRequestTests.all.count)))]
            let body = Self.mutate(Array(origin.body.utf8), &random)
            let cuts = (0..<random.below(5)).map { _ in Int(random.below(UInt64(body.count + 1))) }.sorted()
            let whole = scan(body, route: origin.route)
            #expect(scan(body, route: origin.route, cuts: cuts) == whole)
            guard case .success(let found) = whole else {
                refused += 1
                continue
            }
            passed += 1
            Self.expectRanges(of: found, in: body)
        }
        // Mutations that never break, or always do, would try nothing.
        #expect(passed > 100)
        #expect(refused > 1_000)
    }

    private static func expectRanges(of found: ScannedRequest, in body: [UInt8]) {
        #expect(found.bodyBytes == body.count)
        #expect(body[found.objectStart - 1] == UInt8(ascii: "{"))
        if let range = found.modelRange {
            #expect(body[range.lowerBound] == UInt8(ascii: "\""))
            #expect(body[range.upperBound - 1] == UInt8(ascii: "\""))
        }
        if let range = found.streamOptionsRange {
            let text = String(decoding: body[range], as: UTF8.self)
            #expect(text == "null" || (text.hasPrefix("{") && text.hasSuffix("}")))
        }
        if let range = found.includeUsageRange {
            #expect(["true", "false", "null"].contains(String(decoding: body[range], as: UTF8.self)))
        }
    }

    @Test("Noise of single bytes is survived", arguments: [7, 8] as [UInt64])
    func noise(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let alphabet = Array(#"{}[],:"\untrefalse0123456789.eE+- "#.utf8)
        for _ in 0..<20_000 {
            let body =
                [UInt8(ascii: "{")]
                + (0..<random.below(24)).map { _ in alphabet[Int(random.below(UInt64(alphabet.count)))] }
            if case .success = scan(body) { Issue.record("\(String(decoding: body, as: UTF8.self)) passed") }
        }
    }
}
