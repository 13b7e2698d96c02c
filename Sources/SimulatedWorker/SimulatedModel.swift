/// A model that a simulated worker pretends to have: a name, and the sizes from which its speed follows.
package struct SimulatedModel: Sendable, Equatable {
    package let name: String
    package let parametersBillions: Double
    package let bits: Int

    package init(name: String, parametersBillions: Double, bits: Int = 4) {
        self.name = name
        self.parametersBillions = parametersBillions
        self.bits = bits
    }

    /// Why `--model` could not be read.
    package struct Unreadable: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// `NAME`, `NAME=14` or `NAME=14:8bit`. Without a size, "…-7b" in the name tells it, else eight billion are assumed.
    package init(argument: String) throws(Unreadable) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard !name.isEmpty else {
            throw Unreadable(description: "\"\(argument)\": a model needs a name, as in llama-8b=8:4bit")
        }
        guard parts.count == 2 else {
            self.init(name: name, parametersBillions: Self.sizeInName(name) ?? 8)
            return
        }
        let figures = parts[1].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let size = Double(figures[0]), size > 0, size <= 10_000 else {
            throw Unreadable(
                description: "\"\(argument)\": \"\(figures[0])\" is not a size in billions of parameters, as 8 or 0.5")
        }
        var bits = 4
        if figures.count == 2 {
            let digits = figures[1].prefix(while: \.isNumber)
            guard let given = Int(digits), [2, 3, 4, 5, 6, 8, 16, 32].contains(given),
                ["", "bit"].contains(figures[1].dropFirst(digits.count))
            else {
                throw Unreadable(
                    description: "\"\(argument)\": \"\(figures[1])\" is not a width, as 4bit, 8bit or 16bit")
            }
            bits = given
        }
        self.init(name: name, parametersBillions: size, bits: bits)
    }

    /// Groups of 64 carry a scale and a bias of 16 bits each, which is half a bit per parameter.
    package var bytesPerParameter: Double { bits >= 16 ? Double(bits) / 8 : (Double(bits) + 0.5) / 8 }
    package var gigabytes: Double { parametersBillions * bytesPerParameter }
    /// Bytes of key and value per token: 128 KiB for a Llama of 8 billion, others in proportion (assumed).
    package var cacheBytesPerToken: Double { 131_072 * parametersBillions / 8 }

    private static func sizeInName(_ name: String) -> Double? {
        for word in name.lowercased().split(whereSeparator: { "-_: /".contains($0) }) where word.last == "b" {
            if let size = Double(word.dropLast()), size > 0 { return size }
        }
        return nil
    }
}
