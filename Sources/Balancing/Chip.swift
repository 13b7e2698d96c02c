/// An Apple chip as the operator names it: generation and tier, which is all that decides speed before it is measured.

package struct Chip: Hashable, Sendable {
    package enum Tier: String, CaseIterable, Sendable {
        case base = ""
        case pro = "Pro"
        case max = "Max"
        case ultra = "Ultra"
    }

    /// 2 of "M2 Ultra".
    package let generation: Int
    package let tier: Tier

    package init(generation: Int, tier: Tier) {
        self.generation = generation
        self.tier = tier
    }

    /// Nil for what is not `M` and a number, alone or with `Pro`, `Max` or `Ultra`; a leading "Apple" is allowed, since
    /// that is how the system prints it.
    package init?(_ name: String) {
        var words = name.split(separator: " ")
        if words.first?.lowercased() == "apple" { words.removeFirst() }
        guard let first = words.first, first.first == "M" || first.first == "m",
            let generation = Int(first.dropFirst()),
            (1...99).contains(generation), words.count <= 2
        else { return nil }
        let word = words.count == 2 ? words[1].lowercased() : ""
        guard let tier = Tier.allCases.first(where: { $0.rawValue.lowercased() == word }) else { return nil }
        self.init(generation: generation, tier: tier)
    }
}
