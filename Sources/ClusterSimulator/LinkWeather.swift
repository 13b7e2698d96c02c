import Determinism

/// What links do to packets, in one seed. Ranges and sources are in `Nemesis`.
struct LinkWeather: Sendable, Hashable {
    var delayMin = Nanoseconds.microseconds(100)
    /// Mean of the exponential tail on top.
    var delayTail = Nanoseconds.microseconds(200)
    /// How much more the shortest delay of some links is, at most: each link has its own share.
    var delaySpread = Nanoseconds.zero
    var loss: UInt32 = 0
    /// Gilbert and Elliott: a good state and a bad one, and loss only in the bad one. Nil: none.
    var bursts: Bursts?
    var duplication: UInt32 = 0
    /// A copy comes again after up to ten minutes, perhaps to another replica.
    var replay: UInt32 = 0
    /// Held back for 1 to 500 ms.
    var held: UInt32 = 0
    /// A bit flipped or the end cut off.
    var damage: UInt32 = 0
    /// What a quarter of the links let through at most. Nil: all let everything through.
    var narrowBytes: Int?
    /// Of each link. Nil: no bound.
    var bytesPerSecond: Int64?
    /// What waits for a busy link, in time; the rest is dropped.
    var queueMax = Nanoseconds.milliseconds(50)

    /// All in millionths a packet.
    struct Bursts: Sendable, Hashable {
        var goodToBad: UInt32
        var badToGood: UInt32
        var lossInBad: UInt32
    }

    /// 0.1 to about 1 ms, nothing lost.
    static let lan = LinkWeather()
}
