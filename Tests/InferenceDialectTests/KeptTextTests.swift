/// Numbers are read without a string; the standard library's own reading is the judge.
import Determinism
import Testing

@testable import InferenceDialect

@Suite("Kept texts")
struct KeptTextTests {
    private func kept(_ text: String) -> KeptText {
        var kept = KeptText()
        for byte in text.utf8 { kept.append(byte) }
        return kept
    }

    @Test(
        "Whole numbers are read to the last of 64 bits, and nothing else is one",
        arguments: [
            "0", "-0", "7", "-7", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
            "-9223372036854775809", "99999999999999999999", "1.0", "1e3", "-", "", "12345678901234567890123456789012",
        ])
    func integers(text: String) { #expect(kept(text).integer == Int64(text)) }

    @Test("Numbers are read as the standard library reads them", arguments: [1, 2] as [UInt64])
    func numbers(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        func digits(_ most: UInt64) -> String {
            (0...random.below(most)).map { _ in String(random.below(10)) }.joined()
        }
        for _ in 0..<5_000 {
            var text = random.chance(0.3) ? "-" : ""
            text += digits(12)
            if random.chance(0.6) { text += "." + digits(12) }
            if random.chance(0.2) { text += "e" + (random.chance(0.5) ? "-" : "+") + digits(2) }
            #expect(kept(text).number == Double(text), "\(text)")
        }
    }

    @Test("The room grows and is used again")
    func room() {
        var text = KeptText()
        let long = Array(repeating: UInt8(ascii: "a"), count: 1_000)
        long.withUnsafeBytes { text.append($0) }
        text.append(UInt8(ascii: "b"))
        #expect(text.text == String(repeating: "a", count: 1_000) + "b")
        #expect(text.count == 1_001)
        text.clear()
        #expect(text.text.isEmpty)
        #expect(!text.begins(with: "a"))
        Array("text".utf8).withUnsafeBytes { text.append($0) }
        #expect(text.says("text"))
        #expect(!text.says("tex"))
        #expect(!text.says("texta"))
        #expect(text.begins(with: "te"))
        #expect(text.withBytes { $0.elementsEqual("text".utf8) })
    }
}

@Suite("Runs of text")
struct TextRunTests {
    @Test(
        "A run stops where a reader of single bytes has work, and counts what escapes mean",
        arguments: [3, 4] as [UInt64])
    func runs(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let known: [(text: String, meant: Int)] = [
            ("a", 1), ("hello, you", 10), ("é", 2), ("€", 3), ("😀", 4), ("\\n", 1), ("\\\\", 1), ("\\\"", 1),
            ("\\/", 1),
            ("\\u0041", 1), ("\\u00e9", 2), ("\\u20AC", 3), ("\\uffff", 3), ("\u{7f}", 1), ("\\u07FF", 2),
            ("\\u0800", 3),
        ]
        let stops: [[UInt8]] =
            ["\"", "\n", "\\ud83d\\ude00", "\\udc00", "\\x", "\\u12g4", "\\", "\\u12", "\u{0}"].map { Array($0.utf8) }
            + [
                [0x80], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xc0, 0x80], [0xed, 0xa0, 0x80],
                [0xf4, 0x90, 0x80, 0x80],
            ]
        for _ in 0..<3_000 {
            var bytes: [UInt8] = []
            var meant = 0
            for _ in 0..<random.below(12) {
                let piece = known[Int(random.below(UInt64(known.count)))]
                bytes += Array(piece.text.utf8)
                meant += piece.meant
            }
            let end = bytes.count
            // What stops the run may itself be stopped by the end of the slice.
            bytes += stops[Int(random.below(UInt64(stops.count)))]
            bytes.withUnsafeBytes { raw in
                var run = TextRun(at: 0)
                run.pass(raw)
                #expect(run.end == end)
                #expect(run.end - run.escaped == meant)
            }
        }
    }

    @Test("An empty slice is passed")
    func empty() {
        var run = TextRun(at: 0)
        run.pass(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(run.end == 0)
    }
}
