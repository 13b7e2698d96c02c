package import Determinism

/// What links do to packets, in one seed. Ranges and sources are in `Nemesis`.
package struct LinkWeather: Sendable, Hashable {
    package var delayMin = Nanoseconds.microseconds(100)
    /// Mean of the exponential tail on top.
    package var delayTail = Nanoseconds.microseconds(200)
    /// How much more the shortest delay of some links is, at most: each link has its own share.
    package var delaySpread = Nanoseconds.zero
    package var loss: UInt32 = 0
    /// Gilbert and Elliott: a good state and a bad one, and loss only in the bad one. Nil: none.
    package var bursts: Bursts?
    package var duplication: UInt32 = 0
    /// A copy comes again after up to ten minutes, perhaps to another replica.
    package var replay: UInt32 = 0
    /// Held back for 1 to 500 ms.
    package var held: UInt32 = 0
    /// A bit flipped or the end cut off.
    package var damage: UInt32 = 0
    /// What a quarter of the links let through at most. Nil: all let everything through.
    package var narrowBytes: Int?
    /// Of each link. Nil: no bound.
    package var bytesPerSecond: Int64?
    /// What waits for a busy link, in time; the rest is dropped.
    package var queueMax = Nanoseconds.milliseconds(50)

    /// All in millionths a packet.
    package struct Bursts: Sendable, Hashable {
        package var goodToBad: UInt32
        package var badToGood: UInt32
        package var lossInBad: UInt32

        package init(goodToBad: UInt32, badToGood: UInt32, lossInBad: UInt32) {
            self.goodToBad = goodToBad
            self.badToGood = badToGood
            self.lossInBad = lossInBad
        }
    }

    package init() {}

    /// 0.1 to about 1 ms, nothing lost.
    package static let lan = LinkWeather()

    /// A quiet network that loses so many of a million.
    package static func lossy(_ perMillion: UInt32) -> LinkWeather {
        var weather = LinkWeather.lan
        weather.loss = perMillion
        return weather
    }

    /// As it is written in a test: what differs from `lan`.
    package var code: String {
        let lan = Self.lan
        var changes: [String] = []
        func span(_ name: String, _ value: Nanoseconds, _ usual: Nanoseconds) {
            if value != usual { changes.append("$0.\(name) = .microseconds(\(value.rawValue / 1_000))") }
        }
        func share(_ name: String, _ value: UInt32) { if value > 0 { changes.append("$0.\(name) = \(value)") } }
        span("delayMin", delayMin, lan.delayMin)
        span("delayTail", delayTail, lan.delayTail)
        span("delaySpread", delaySpread, lan.delaySpread)
        share("loss", loss)
        if let bursts {
            changes.append(
                "$0.bursts = .init(goodToBad: \(bursts.goodToBad), badToGood: \(bursts.badToGood), "
                    + "lossInBad: \(bursts.lossInBad))")
        }
        share("duplication", duplication)
        share("replay", replay)
        share("held", held)
        share("damage", damage)
        if let narrowBytes { changes.append("$0.narrowBytes = \(narrowBytes)") }
        if let bytesPerSecond { changes.append("$0.bytesPerSecond = \(bytesPerSecond)") }
        span("queueMax", queueMax, lan.queueMax)
        return changes.isEmpty ? ".lan" : ".lan(with: { \(changes.joined(separator: "; ")) })"
    }

    package static func lan(with changes: (inout LinkWeather) -> Void) -> LinkWeather {
        var weather = LinkWeather.lan
        changes(&weather)
        return weather
    }
}
