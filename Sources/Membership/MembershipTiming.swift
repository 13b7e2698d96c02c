/// Every duration and count of the protocol in one value, so that a wide area only scales it. Sources: [memberlist] read
/// in its code, [SWIM] and [Lifeguard] the papers, [ours] attacked by the simulator.
package struct MembershipTiming: Hashable, Sendable {
    /// T, from one probe to the next [ours]: `WhatTheSimulatorChanged.md` says why it is not the usual second.
    package var period = Duration.milliseconds(430)
    package var timeoutMin = Duration.milliseconds(50)
    package var timeoutMax = Duration.milliseconds(200)
    /// Helpers of an indirect probe [memberlist].
    package var helpers = 3
    /// Pings of one probe, a third of the timeout apart [ours]: at 20 % loss a live target is suspected eight times less.
    package var attempts = 3
    /// Shortest suspicion = this · max(1, log10 N) · T [memberlist: its log is log10 although its comment says log].
    package var suspicionMultiplier = 4
    package var suspicionMultiplierLossy = 8
    /// Longest suspicion = this · shortest [memberlist].
    package var suspicionRatio = 6
    package var confirmationsMax = 2
    package var confirmationsMaxLossy = 6
    /// 0 … 7; period and timeout · (score + 1) [memberlist].
    package var awarenessMax = 7
    /// A machine told later than this judges nobody for it [ours].
    package var lagNoticed = Duration.milliseconds(100)
    package var lagRejoins = Duration.seconds(60)
    package var lagForgets = Duration.seconds(6 * 3_600)
    /// Members up to which news goes to everyone at once, and below which it does so again [ours].
    package var directMax = 64
    package var directAgainBelow = 56
    package var epidemicEvery = Duration.milliseconds(100)
    package var epidemicPeers = 3
    /// A digest that differs for this long causes a sync [ours].
    package var digestPatience = Duration.seconds(1)
    package var syncEvery = Duration.seconds(15)
    package var reachOutEvery = Duration.seconds(1)
    package var aloneAfter = Duration.seconds(3)
    package var settledAfter = Duration.seconds(5)
    /// Gone members and tombstones are kept [serf].
    package var retention = Duration.seconds(24 * 3_600)
    package var leaveWait = Duration.seconds(1)
    /// Raises of the own incarnation a second [ours].
    package var raisesPerSecond = 4
    /// 300 s ≤ a lossy or clear climate stays at least this long [ours].
    package var climateHolds = Duration.seconds(60)

    package init() {}

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
