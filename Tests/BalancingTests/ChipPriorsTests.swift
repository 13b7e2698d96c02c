import Testing

@testable import Balancing

@Suite struct ChipPriorsTests {
    private let eight = WorkerModel(name: "llama-8b", upstreamName: "llama-8b", parametersBillions: 8, bits: 4)
    private let llama7 = WorkerModel(name: "llama-7b", upstreamName: "llama-7b", parametersBillions: 7)

    @Test(
        "the design's predictions for an 8B model in 4 bits",
        arguments: [
            ("M2 Ultra", 80.0, 1_083.0), ("M5 Pro", 56.6, 1_418.0),
        ])
    func predictions(_ name: String, _ decode: Double, _ prefill: Double) throws {
        let chip = try #require(Chip(name))
        let rates = ChipPriors.rates(chip, eight)
        #expect(abs(rates.decode - decode) < 0.5)
        #expect(abs(rates.prefill - prefill) < 1)
        #expect(rates.stepSlope == 0.15)
    }

    @Test(
        "prefill of a 7B model is what the table measured",
        arguments: [
            ("M1", 118.0), ("M1 Max", 530), ("M2", 180), ("M3 Max", 760), ("M4 Pro", 440), ("M4 Max", 886),
            ("M5 Max", 3_158),
        ])
    func prefill(_ name: String, _ measured: Double) throws {
        let chip = try #require(Chip(name))
        #expect(abs(ChipPriors.rates(chip, llama7).prefill - measured) < 1e-6)
    }

    @Test("a mixture of experts reads its active part, and its steps grow faster")
    func experts() {
        let model = WorkerModel(name: "m", upstreamName: "m", parametersBillions: 30, activeBillions: 3, bits: 4)
        let dense = WorkerModel(name: "d", upstreamName: "d", parametersBillions: 3, bits: 4)
        let chip = Chip(generation: 4, tier: .max)
        #expect(ChipPriors.rates(chip, model).decode == ChipPriors.rates(chip, dense).decode)
        #expect(ChipPriors.rates(chip, model).prefill == ChipPriors.rates(chip, dense).prefill)
        #expect(ChipPriors.rates(chip, model).stepSlope == 0.30)
    }

    @Test("bytes of a parameter", arguments: [(4, 0.5625), (8, 1.0625), (16, 2), (32, 4)])
    func bytes(_ bits: Int, _ bytes: Double) {
        #expect(ChipPriors.bytesPerParameter(bits: bits) == bytes)
    }

    @Test("every chip and tier has finite rates, and more of a tier is faster")
    func all() {
        for generation in 1...7 {
            let rates = Chip.Tier.allCases.map { ChipPriors.rates(Chip(generation: generation, tier: $0), eight) }
            #expect(rates.allSatisfy { $0.decode.isFinite && $0.decode > 1 && $0.prefill > 1 })
            #expect(zip(rates, rates.dropFirst()).allSatisfy { $0.decode < $1.decode && $0.prefill < $1.prefill })
        }
    }

    @Test("unknown chip and size have average rates")
    func unknown() {
        let rates = ChipPriors.rates(nil, WorkerModel(name: "x", upstreamName: "x"))
        #expect(rates == ChipPriors.rates(Chip(generation: 2, tier: .pro), eight))
    }
}

@Suite struct ChipTests {
    @Test(
        "names as people and systems write them",
        arguments: [
            ("M2 Ultra", 2, Chip.Tier.ultra), ("M1", 1, .base), ("Apple M4 Max", 4, .max), ("m5 pro", 5, .pro),
            ("M10", 10, .base),
        ])
    func names(_ name: String, _ generation: Int, _ tier: Chip.Tier) {
        #expect(Chip(name) == Chip(generation: generation, tier: tier))
    }

    @Test(
        "what is no such chip is none",
        arguments: ["", "M", "A17 Pro", "M2 Giga", "M2 Ultra 76", "Mx", "M0", "M100", "Apple", "M-1"])
    func strangers(_ name: String) {
        #expect(Chip(name) == nil)
    }
}
