import Determinism
import SimulatedWorker
import Testing

@Suite("How long a worker takes")
struct TimingTests {
    @Test("one stream decodes at the chip's published rate, scaled by the weights that a token reads")
    func decodeRate() {
        let timing = Timing(chip: ChipFigures.named("M2 Ultra")!)
        let rate = timing.decodeRate(.seven)
        #expect(abs(rate - 94.3 * 3.82 / (7 * 0.5625)) < 0.01)
        #expect(abs(timing.decodeRate(SimulatedModel(name: "x", parametersBillions: 14)) - rate / 2) < 0.01)
    }

    @Test("a batch of four takes 1.45 times as long per step as one stream, and gives 2.76 times the tokens")
    func batch() {
        let timing = Timing(chip: ChipFigures.named("M4 Max")!)
        let one = timing.decodeStep(.seven, streams: 1, contextTokens: 0, prefilling: false).wholeSeconds
        let four = timing.decodeStep(.seven, streams: 4, contextTokens: 0, prefilling: false).wholeSeconds
        #expect(abs(four / one - 1.45) < 0.001)
    }

    @Test("a prefill beside decoding takes twice as long, and decoding beside a prefill too")
    func sharing() {
        let timing = Timing(chip: ChipFigures.named("M1 Max")!)
        let alone = timing.prefill(.seven, tokens: 530, after: 0, decoding: false).wholeSeconds
        #expect(abs(alone - 1) < 0.001, "the table's chip prefills 530 tokens a second")
        #expect(timing.prefill(.seven, tokens: 530, after: 0, decoding: true).wholeSeconds == 2 * alone)
    }

    @Test(
        "chips are found under the names that people write",
        arguments: [
            ("m4 max", "M4 Max"), ("Apple M2 Ultra", "M2 Ultra"), ("M4 Max (40)", "M4 Max"), ("M4 Max 32", "M4 Max 32"),
        ])
    func names(text: String, name: String) { #expect(ChipFigures.named(text)?.name == name) }

    @Test("a chip that does not exist is not guessed", arguments: ["M9", "", "M4 Mega", "Apple"])
    func unknownChip(text: String) { #expect(ChipFigures.named(text) == nil) }

    @Test(
        "models are read from the command line",
        arguments: [
            ("m", "m", 8.0, 4), ("llama-7b", "llama-7b", 7, 4), ("qwen-14b=14:4bit", "qwen-14b", 14, 4),
            ("tiny=0.5:8bit", "tiny", 0.5, 8), ("a=3", "a", 3, 4),
        ])
    func models(argument: String, name: String, size: Double, bits: Int) throws {
        #expect(
            try SimulatedModel(argument: argument) == SimulatedModel(name: name, parametersBillions: size, bits: bits))
    }

    @Test("what is no model is refused", arguments: ["", "=7", "a=", "a=x", "a=7:", "a=7:9bit", "a=7:4bits", "a=-1"])
    func unreadableModels(argument: String) {
        #expect(throws: SimulatedModel.Unreadable.self) { try SimulatedModel(argument: argument) }
    }
}
