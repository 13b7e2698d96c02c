import Testing

@testable import Balancing

@Suite("Memory and heat of a Mac")
struct MemoryTests {
    private func watch(_ shares: [Double?], swap: [Double?] = []) -> [Bool] {
        var watch = MemoryWatch()
        return shares.indices.map { place in
            watch.observe(
                share: shares[place], swapUsed: place < swap.count ? swap[place] : nil, at: .at(Double(place) * 2))
            return watch.isPressed
        }
    }

    @Test("nearly full is entered at its bound and left below a smaller one")
    func hysteresis() {
        #expect(watch([0.919, 0.92, 0.9, 0.88, 0.879, 0.9, 1]) == [false, true, true, true, false, false, true])
        #expect(watch([nil, 0.95, nil]) == [false, true, false], "what is not known any more is no pressure")
    }

    @Test("swap that grows is pressure, swap that is there is none, and what was freed is no growth")
    func swap() {
        let shares = [Double?](repeating: 0.5, count: 20)
        let old = watch(shares, swap: [Double?](repeating: 20e9, count: 20))
        #expect(!old.contains(true))
        let brink = watch([0.5, 0.5, 0.5], swap: [1e9, 1e9 + 127e6, 1e9 + 128e6])
        #expect(brink == [false, false, true])
        // It stays: half a minute after it grew it is as good as old.
        let grown = watch(shares, swap: [0] + [Double?](repeating: 1e9, count: 19))
        #expect(
            Array(grown.prefix(16)) == [false] + [Bool](repeating: true, count: 15)
                && !grown.dropFirst(16).contains(true))
        let freed = watch([0.5, 0.5, 0.5, 0.5], swap: [0, 1e9, 0, 1e6])
        #expect(freed == [false, true, false, false])
    }

    @Test("readings of swap are bounded, however often it is asked")
    func bound() {
        var watch = MemoryWatch()
        for step in 0..<1_000 { watch.observe(share: 0.1, swapUsed: Double(step), at: .at(Double(step) / 100)) }
        #expect(watch.readings == MemoryWatch.readingsMax && !watch.isPressed)
    }

    @Test(
        "the GPU may have two thirds of a small Mac and three quarters of a large one, or what the operator says",
        arguments: [
            (Optional(64), nil, Optional(48.0)), (36, nil, 24.12), (128, 120, 120), (nil, 20, 20), (nil, nil, nil),
        ])
    func limits(memory: Int?, configured: Int?, limit: Double?) {
        #expect(MemoryForecast.limit(memoryGB: memory, configured: configured) == limit)
    }

    @Test("weights, keys and values, and the system's two gigabytes")
    func forecast() throws {
        let llama = WorkerModel(
            name: "m", upstreamName: "m", parametersBillions: 8, bits: 4, layers: 32, kvHeads: 8, headDim: 128)
        #expect(llama.cacheBytesPerToken == 131_072, "128 KiB a token")
        // Four streams of 8 k are 4.3 GB.
        let share = try #require(MemoryForecast.share(resident: [llama], tokens: 32_768, limit: 48))
        #expect(abs(share * 48 - (4.5 + 4.295 + 2)) < 0.01)
        let declared = WorkerModel(name: "m", upstreamName: "m", bytes: 40_000_000_000)
        #expect(MemoryForecast.share(resident: [declared], tokens: 1_000, limit: 48) == 42.0 / 48)
        let unknown = WorkerModel(name: "m", upstreamName: "m")
        #expect(MemoryForecast.share(resident: [llama, unknown], tokens: 0, limit: 48) == nil)
        #expect(MemoryForecast.share(resident: [llama], tokens: 0, limit: nil) == nil)
        #expect(MemoryForecast.share(resident: [], tokens: 0, limit: 48) == nil)
    }

    @Test(
        "degrees are the system's words, at their bounds",
        arguments: [
            (0.0, MacHeat.nominal), (87.9, .nominal), (88, .fair), (97.9, .fair), (98, .serious), (105, .critical),
        ])
    func heat(degrees: Double, heat: MacHeat) {
        #expect(MacHeat(degrees: degrees) == heat)
        #expect(MacHeat.allCases.map(\.factor) == [1, 0.9, 0.6, 0.4])
    }

    @Test("a Mac whose memory is nearly full costs seconds: a tenth of one at 0.4, seven at the most")
    func price() {
        func seconds(_ pressure: Double) -> Double {
            ResourceAware.score(candidate(0, pressure: pressure), prompt: 300, output: 200)
                - ResourceAware.score(candidate(0), prompt: 300, output: 200)
        }
        #expect(abs(seconds(0.4) - 0.1) < 1e-9 && abs(seconds(0.98) - 7.35) < 1e-9 && seconds(5) == seconds(0.98))
    }
}
