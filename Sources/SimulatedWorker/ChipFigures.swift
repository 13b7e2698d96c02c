/// What an Apple chip computes: bandwidth, decode and prefill rates of LLaMA-7B Q4_0 in the public llama.cpp table.
///
/// It is a table of its own and not `Balancing`'s: the simulator must not agree with the gateway's guesses by
/// construction, or wrong priors could never be tested.
package struct ChipFigures: Sendable, Equatable {
    package let name: String
    package let gigabytesPerSecond: Double
    /// Tokens per second of prefill, LLaMA-7B Q4_0, prompt of 512.
    package let prefill7B: Double
    /// Tokens per second of one decode stream, LLaMA-7B Q4_0 (3.82 GB).
    package let decode7B: Double

    /// The gigabytes that one token of the table's model reads.
    static let tableWeights = 3.82

    /// `eff · bandwidth`: the gigabytes of weights that decoding really reads per second.
    package var decodeGigabytesPerSecond: Double { decode7B * Self.tableWeights }

    /// Fully configured chips stand without cores; a smaller GPU is named with its core count.
    package static let table: [ChipFigures] = [
        row("M1", 68, 118, 14.2), row("M1 Pro", 200, 266, 36.4), row("M1 Max", 400, 530, 61.2),
        row("M1 Ultra", 800, 1030, 83.7),
        row("M2", 100, 180, 21.9), row("M2 Pro", 200, 341, 38.9), row("M2 Max", 400, 671, 66.0),
        row("M2 Ultra", 800, 1238, 94.3),
        row("M3", 100, 187, 21.3), row("M3 Pro", 150, 342, 30.7), row("M3 Max 30", 300, 568, 56.6),
        row("M3 Max", 400, 760, 66.3), row("M3 Ultra 60", 800, 1073, 88.4), row("M3 Ultra", 800, 1471, 92.1),
        row("M4", 120, 221, 24.1), row("M4 Pro 16", 273, 364, 49.6), row("M4 Pro", 273, 440, 50.7),
        row("M4 Max 32", 410, 714, 70.0), row("M4 Max", 546, 886, 83.1),
        // The base M5 has no published figure: assumed.
        row("M5", 153, 800, 32), row("M5 Pro", 307, 1621, 66.3), row("M5 Max", 614, 3158, 119.9),
    ]

    private static func row(_ name: String, _ bandwidth: Double, _ prefill: Double, _ decode: Double) -> ChipFigures {
        ChipFigures(name: name, gigabytesPerSecond: bandwidth, prefill7B: prefill, decode7B: decode)
    }

    /// "M4 Max", "Apple M4 Max" and "M4 Max 32" are found; a core count without a row of its own means the full chip.
    package static func named(_ text: String) -> ChipFigures? {
        var words = text.split(whereSeparator: { " ()/".contains($0) }).map { $0.lowercased() }
        if words.first == "apple" { words.removeFirst() }
        words.removeAll { ["gpu", "cores", "core"].contains($0) }
        while !words.isEmpty {
            let wanted = words.joined(separator: " ")
            if let row = table.first(where: { $0.name.lowercased() == wanted }) { return row }
            guard let last = words.last, Int(last) != nil else { return nil }
            words.removeLast()
        }
        return nil
    }
}
