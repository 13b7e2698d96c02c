package import Determinism

/// Every duration and count of the protocol in one value, so that a wide area only scales it. Sources: [memberlist] read
/// in its code, [SWIM] and [Lifeguard] the papers, [ours] attacked by the simulator.
package struct MembershipTiming: Hashable, Sendable {
    /// T, from one probe to the next [ours]: `WhatTheSimulatorChanged.md` says why it is not the usual second.
    package var period = Nanoseconds.milliseconds(430)
    package var timeoutMin = Nanoseconds.milliseconds(50)
    package var timeoutMax = Nanoseconds.milliseconds(200)
    /// Helpers of an indirect probe [memberlist].
    package var helpers = 3
    /// Pings of one probe, a third of the timeout apart [ours]: at 20 % loss a live target is suspected eight times less.
    package var attempts = 3
    /// Shortest suspicion = this · T, above direct mode this · log10 N · T [memberlist, for any N: its log is log10
    /// although its comment says log].
    package var suspicionMultiplier = 4
    package var suspicionMultiplierLossy = 8
    /// Longest suspicion = this · shortest [memberlist].
    package var suspicionRatio = 6
    package var confirmationsMax = 2
    package var confirmationsMaxLossy = 6
    /// 0 … 7; period and timeout · (score + 1) [memberlist].
    package var awarenessMax = 7
    /// A machine told later than this judges nobody for it [ours].
    package var lagNoticed = Nanoseconds.milliseconds(100)
    package var lagRejoins = Nanoseconds.seconds(60)
    package var lagForgets = Nanoseconds.seconds(6 * 3_600)
    /// Members up to which news goes to everyone at once, and below which it does so again [ours].
    package var directMax = 64
    package var directAgainBelow = 56
    package var epidemicEvery = Nanoseconds.milliseconds(100)
    package var epidemicPeers = 3
    /// A digest that differs for this long causes a sync [ours].
    package var digestPatience = Nanoseconds.seconds(1)
    package var syncEvery = Nanoseconds.seconds(15)
    package var reachOutEvery = Nanoseconds.seconds(1)
    package var aloneAfter = Nanoseconds.seconds(3)
    package var settledAfter = Nanoseconds.seconds(5)
    /// Gone members and tombstones are kept [serf].
    package var retention = Nanoseconds.seconds(24 * 3_600)
    package var leaveWait = Nanoseconds.seconds(1)
    /// Raises of the own incarnation a second [ours].
    package var raisesPerSecond = 4
    /// A lossy or a clear climate stays at least this long [ours].
    package var climateHolds = Nanoseconds.seconds(60)

    package init() {}

    /// N replicas, this one included: what a suspicion waits at least, 4 · T; where news travels from one to some, and so
    /// in rounds whose number grows with the flock, 4 · log10 N · T.
    package func shortestSuspicion(replicas: Int, isLossy: Bool) -> Nanoseconds {
        let multiplier = isLossy ? suspicionMultiplierLossy : suspicionMultiplier
        guard replicas > directMax else { return period * multiplier }
        // log10 N = log2 N ÷ log2 10, and log2 10 is 217,706 in 65,536ths.
        let scaled = BinaryLogarithm.q16(UInt64(replicas)) * 65_536 / 217_706
        return Nanoseconds(rawValue: period.rawValue * Int64(multiplier) * scaled / 65_536)
    }

    /// K: other accusers that earn the shortest wait.
    package func confirmationsWanted(replicas: Int, isLossy: Bool) -> Int {
        max(0, min(isLossy ? confirmationsMaxLossy : confirmationsMax, replicas - 2))
    }

    /// Sends of one rumour with which it reaches everybody: min(N − 1, 3 · ⌈log2(N + 1)⌉).
    package func sends(replicas: Int) -> Int {
        max(1, min(replicas - 1, 3 * BinaryLogarithm.ceiling(UInt64(replicas + 1))))
    }

    /// 15 s · (1 + log2(max(N, 32) ÷ 32)) [memberlist's shape]: 50 replicas 25 s, 1,000 89 s.
    package func syncEvery(replicas: Int) -> Nanoseconds {
        let doublings = BinaryLogarithm.q16(UInt64(max(replicas, 32))) - 5 * 65_536
        return Nanoseconds(rawValue: syncEvery.rawValue * (65_536 + doublings) / 65_536)
    }

    package static let lan = MembershipTiming()
    /// Between sites: T 2 s, timeout 200 … 800 ms, all else scaled. Unproven.
    package static let wan: MembershipTiming = {
        var timing = MembershipTiming()
        timing.period = .seconds(2)
        timing.timeoutMin = .milliseconds(200)
        timing.timeoutMax = .milliseconds(800)
        return timing
    }()
}

/// How much a machine may hold. A third of the simulator's seeds run with tiny ones.
package struct MembershipBounds: Hashable, Sendable {
    /// Records of members, the gone included.
    package var members = 4_096
    package var removed = 4_096
    package var rumours = 4_096
    package var rumourBytes = 1 << 20
    package var unreceiptedPerPeer = 64
    package var streamsAccepted = 16
    package var probeStreamsAccepted = 16
    package var streamsPerSource = 8
    package var seeds = 64
    /// Bytes of UDP a second, headers of IP included; lanes 0 and 1 may overdraw a quarter.
    package var bytesPerSecond = 125_000
    package var burstBytes = 64_000

    package init() {}
}
