/// How fast a model should run on a chip before anybody measured it: two rates from memory bandwidth and GPU cores.
///
/// Figures are llama.cpp's public table for Apple chips (LLaMA 7B, Q4_0, its discussion 4167). Decoding is bound by
/// bandwidth, of which a large chip reaches a smaller part; prefill by cores. Where a tier was sold with fewer cores,
/// the full one is meant: all of a fleet's estimates are then wrong in the same direction.

package enum ChipPriors {
    package struct Rates: Equatable, Sendable {
        /// Tokens a second of one prompt.
        package let prefill: Double
        /// Tokens a second of one stream alone.
        package let decode: Double
        /// Each further stream makes a step longer by this share.
        package let stepSlope: Double
    }

    struct Figures: Sendable {
        let bandwidth: Double
        /// The part of the bandwidth that decoding reaches.
        let efficiency: Double
        let cores: Double
        /// Prompt tokens a second of one core on a model of 7·10⁹ parameters.
        let prefillPerCore: Double
    }

    /// A model of unknown size counts as 8·10⁹ parameters in 4 bits: what most fleets serve.
    static let usualBillions = 8.0
    static let usualBits = 4
    /// A worker of unknown chip counts as this one, in the middle of the table.
    static let usualChip = Chip(generation: 2, tier: .pro)
    static let denseSlope = 0.15
    static let expertsSlope = 0.30

    package static func rates(_ chip: Chip?, _ model: WorkerModel) -> Rates {
        let figures = figures(of: chip ?? usualChip)
        let whole = model.parametersBillions ?? model.activeBillions ?? usualBillions
        let active = min(model.activeBillions ?? whole, whole)
        let gigabytes = active * bytesPerParameter(bits: model.bits ?? usualBits)
        return Rates(
            prefill: figures.cores * figures.prefillPerCore * 7 / active,
            decode: figures.efficiency * figures.bandwidth / gigabytes,
            stepSlope: active < whole ? expertsSlope : denseSlope)
    }

    /// Quantized weights come in groups of 64 with a scale and a bias of 16 bits each: half a bit more per parameter.
    static func bytesPerParameter(bits: Int) -> Double {
        bits >= 16 ? Double(bits) / 8 : (Double(bits) + 0.5) / 8
    }

    static func figures(of chip: Chip) -> Figures {
        func row(_ bandwidth: Double, _ efficiency: Double, _ cores: Double, _ prefill: Double) -> Figures {
            Figures(bandwidth: bandwidth, efficiency: efficiency, cores: cores, prefillPerCore: prefill / cores)
        }
        switch (chip.generation, chip.tier) {
        case (...1, .base): return row(68, 0.80, 8, 118)
        case (...1, .pro): return row(200, 0.70, 16, 266)
        case (...1, .max): return row(400, 0.58, 32, 530)
        case (...1, .ultra): return row(800, 0.40, 64, 1030)
        case (2, .base): return row(100, 0.84, 10, 180)
        case (2, .pro): return row(200, 0.74, 19, 341)
        case (2, .max): return row(400, 0.63, 38, 671)
        case (2, .ultra): return row(800, 0.45, 76, 1238)
        case (3, .base): return row(100, 0.82, 10, 187)
        case (3, .pro): return row(150, 0.78, 18, 342)
        case (3, .max): return row(400, 0.63, 40, 760)
        // The M4 never had an Ultra; the M3's is the nearest there is.
        case (3, .ultra), (4, .ultra): return row(800, 0.44, 80, 1471)
        case (4, .base): return row(120, 0.77, 10, 221)
        case (4, .pro): return row(273, 0.71, 20, 440)
        case (4, .max): return row(546, 0.58, 40, 886)
        // A chip newer than this table is at least as fast as the newest in it.
        case (_, .base): return row(153, 0.80, 10, 800)
        case (_, .pro): return row(307, 0.83, 20, 1621)
        case (_, .max): return row(614, 0.75, 40, 3158)
        // Two of the Max, which by the older generations decode a third faster than one and prefill twice as fast.
        case (_, .ultra): return row(1228, 0.50, 80, 6316)
        }
    }
}
