import Determinism
import Testing

@testable import Balancing

@Suite("Measured rates")
struct MeasuredRatesTests {
    private static func at(_ seconds: Double) -> Instant { Instant.zero + .nanoseconds(Int64(seconds * 1e9)) }

    @Test(
        "priors wrong by two, in either direction, are within a tenth of the truth after twenty exchanges",
        arguments: [0.5, 2])
    func convergence(factor: Double) {
        var rates = MeasuredRates()
        var generator = SeededGenerator(seed: 3)
        #expect(rates.decodeRate(prior: 50 * factor, at: .zero) == 50 * factor && rates.decodeConfidence == 0)
        for exchange in 0..<20 {
            let now = Self.at(Double(exchange) * 5)
            let batch = 1 + Double(generator.below(4))
            let tokens = 100 + Int(generator.below(100))
            let prompt = 1_000 + Int(generator.below(2_000))
            rates.noteDecode(
                tokens: tokens, seconds: Double(tokens) * (1 + 0.15 * (batch - 1)) / 50, batch: batch, slope: 0.15,
                at: now)
            rates.notePrefill(tokens: prompt, seconds: Double(prompt) / 800, at: now)
        }
        #expect(abs(rates.decodeRate(prior: 50 * factor, at: Self.at(100)) / 50 - 1) < 0.1)
        #expect(abs(rates.prefillRate(prior: 800 * factor) / 800 - 1) < 0.1)
        #expect(rates.decodeConfidence > 0.8 && rates.prefillConfidence > 0.8)
    }

    @Test("heat is noticed within a minute, taken at its word, and over when it is over")
    func heat() {
        var rates = MeasuredRates()
        func decode(_ rate: Double, from: Int, to: Int) {
            for second in stride(from: from, to: to, by: 4) {
                rates.noteDecode(
                    tokens: 100, seconds: 100 / rate, batch: 1, slope: 0.15, at: Self.at(Double(second)))
            }
        }
        decode(50, from: 0, to: 600)
        #expect(!rates.isSlow(at: Self.at(600)))
        decode(20, from: 600, to: 660)
        #expect(rates.isSlow(at: Self.at(660)))
        #expect(rates.decodeRate(prior: 50, at: Self.at(660)) < 28)
        #expect(rates.decodeRate(prior: 50, at: Self.at(656 + 60)) > 28, "without an answer nobody knows")
        decode(50, from: 660, to: 720)
        #expect(!rates.isSlow(at: Self.at(720)))
        #expect(rates.decodeRate(prior: 50, at: Self.at(720)) > 40)
    }

    @Test(
        "heat is believed within a minute, however long the worker was known before", arguments: [30, 60, 90, 180, 900])
    func heatAtAnyMoment(before: Int) {
        var rates = MeasuredRates()
        func decode(_ rate: Double, from: Int, to: Int) {
            for second in stride(from: from, to: to, by: 4) {
                rates.noteDecode(
                    tokens: 100, seconds: 100 / rate, batch: 1, slope: 0.15, at: Self.at(Double(second)))
            }
        }
        decode(50, from: 0, to: before)
        let known = rates.decodeRate(prior: 50, at: Self.at(Double(before)))
        decode(20, from: before, to: before + 60)
        #expect(rates.decodeRate(prior: 50, at: Self.at(Double(before + 60))) < 0.6 * known)
    }

    @Test("what is too short to say anything says nothing, at the bound it does")
    func bounds() {
        var rates = MeasuredRates()
        rates.noteDecode(tokens: 15, seconds: 1, batch: 1, slope: 0, at: .zero)
        rates.notePrefill(tokens: 255, seconds: 1, at: .zero)
        rates.noteDecode(tokens: 100, seconds: 0, batch: 1, slope: 0, at: .zero)
        #expect(rates.decodeConfidence == 0 && rates.prefillConfidence == 0)
        rates.noteDecode(tokens: 16, seconds: 1, batch: 1, slope: 0, at: .zero)
        rates.notePrefill(tokens: 256, seconds: 1, at: .zero)
        #expect(rates.decodeConfidence > 0 && rates.prefillConfidence > 0)
    }

    @Test("a measurement counts half after ten minutes")
    func halfLife() {
        for power in [0, 0.1, 0.5, 0.999, 1, 1.5, 3, 20] {
            var exact = 1.0
            // Halves of halves: √ is exact enough to check six digits.
            let whole = Int(power)
            for _ in 0..<whole { exact /= 2 }
            var rest = power - Double(whole)
            var root = 0.5
            for _ in 0..<50 {
                root = root.squareRoot()
                rest *= 2
                if rest >= 1 {
                    exact *= root
                    rest -= 1
                }
            }
            #expect(abs(MeasuredRates.Sum.half(toThe: power) / exact - 1) < 1e-5, "2^-\(power)")
        }
        #expect(MeasuredRates.Sum.half(toThe: 1e9) == 0 && MeasuredRates.Sum.half(toThe: -1) == 1)
    }

    @Test("clocks follow the forecast, within their bounds, and trust priors less than measurements")
    func forecast() {
        func made(_ ahead: Int, _ uncached: Int, confidence: Double, prefill: Double = 1_000, decode: Double = 50)
            -> WaitForecast
        {
            WaitForecast(
                ahead: ahead, uncached: uncached, ceiling: 100, batch: 1, prefillRate: prefill, decodeRate: decode,
                slope: 0.15, confidence: confidence)
        }
        #expect(made(0, 100, confidence: 1).firstEvent == 15)
        #expect(made(10_000, 20_000, confidence: 1).firstEvent == 100)
        #expect(made(10_000, 20_000, confidence: 0).firstEvent == 310)
        #expect(made(0, 1_000_000, confidence: 0).firstEvent == 600)
        #expect(made(0, 1_000, confidence: 1).betweenEvents == 10)
        #expect(made(0, 1_000, confidence: 1, decode: 1).betweenEvents == 20)
        #expect(made(0, 0, confidence: 1, prefill: 100).progress == 102.4)
        #expect(made(0, 0, confidence: 1).progress == 20)
        #expect(abs(made(0, 5_000, confidence: 1).wholeAnswer - 51) < 1e-9)
        #expect(made(1_000, 5_000, confidence: 1).prefill == 5)
        #expect(made(0, 0, confidence: 1, prefill: 0, decode: 0).firstEvent == 15, "no rate is no division by zero")
    }

    @Test("a load may take what its bytes take at a gigabyte a second and half a minute, and one minute at least")
    func loads() {
        func seconds(_ billions: Double?..., bits: Int = 4) -> Double {
            LoadForecast.seconds(
                of: billions.map { WorkerModel(name: "m", upstreamName: "m", parametersBillions: $0, bits: bits) })
        }
        #expect(seconds() == 60 && seconds(nil) == 60 && seconds(8) == 60)
        #expect(abs(seconds(8, 120) - 97.5) < 1e-6)
        #expect(seconds(4_000) == 900)
    }

    @Test("an ordered load of unknown size may be as large as its Mac's memory, or the largest there is")
    func orderedLoads() {
        func seconds(_ billions: Double?, bytes: Int? = nil, active: Double? = nil, memoryGB: Int?) -> Double {
            LoadForecast.seconds(
                of: WorkerModel(
                    name: "m", upstreamName: "m", parametersBillions: billions, activeBillions: active, bits: 4,
                    bytes: bytes),
                memoryGB: memoryGB)
        }
        #expect(seconds(8, memoryGB: 192) == 60 && seconds(nil, bytes: 70_000_000_000, memoryGB: 8) == 100)
        #expect(seconds(nil, memoryGB: 192) == 222 && seconds(nil, memoryGB: 8) == 60)
        #expect(seconds(nil, memoryGB: nil) == 542 && seconds(nil, active: 3, memoryGB: nil) == 542)
        #expect(seconds(4_000, memoryGB: nil) == 900)
    }
}
