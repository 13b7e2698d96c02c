import Determinism
import Testing

@testable import ClusterSimulator

@Suite struct NetworkTests {
    private func network(_ weather: LinkWeather, seed: UInt64 = 11, processes: Int = 3) -> Network {
        Network(processes: processes, weather: weather, world: WorldGenerator(seed: seed))
    }

    private func count(
        of packets: Int, _ network: inout Network, every gap: Nanoseconds = .milliseconds(1),
        where counts: (Network.Passage) -> Bool
    ) -> Int {
        (0..<packets).count { number in
            counts(network.carry(100, from: 0, to: 1, at: Instant(nanoseconds: gap.rawValue * Int64(number))))
        }
    }

    @Test("each fault comes as often as the weather says")
    func rates() {
        var weather = LinkWeather.lan
        weather.loss = 200_000
        var lossy = network(weather)
        #expect((19_600...20_400).contains(count(of: 100_000, &lossy) { $0.arrives == nil }))
        weather.loss = 0
        weather.duplication = 100_000
        weather.damage = 10_000
        weather.replay = 50_000
        var other = network(weather)
        #expect((9_600...10_400).contains(count(of: 100_000, &other) { $0.copyArrives != nil }))
        #expect((850...1_150).contains(count(of: 100_000, &other) { $0.isDamaged }))
        #expect((4_750...5_250).contains(count(of: 100_000, &other) { $0.replayedAt != nil }))
    }

    @Test("bursts lose packets in rows, at the rate that the chain settles at")
    func bursts() {
        var weather = LinkWeather.lan
        weather.bursts = LinkWeather.Bursts(goodToBad: 10_000, badToGood: 100_000, lossInBad: 1_000_000)
        var network = network(weather)
        var lost = 0
        var rows = 0
        var wasLost = false
        for number in 0..<200_000 {
            let isLost =
                network.carry(100, from: 0, to: 1, at: Instant(nanoseconds: Int64(number) * 1_000)).arrives == nil
            if isLost { lost += 1 }
            if isLost, !wasLost { rows += 1 }
            wasLost = isLost
        }
        // 0.01 ÷ (0.01 + 0.1) of the time in the bad state, ten packets at a time.
        #expect((17_200...19_200).contains(lost))
        #expect((9...11).contains(lost / rows))
    }

    @Test("a link of a certain rate delays, and drops what its queue does not hold")
    func rate() {
        var weather = LinkWeather.lan
        weather.delayTail = .zero
        weather.bytesPerSecond = 148_000
        weather.queueMax = .milliseconds(10)
        var network = network(weather)
        // Packets of 148 bytes with headers take a millisecond each; twenty at once are twelve too many for the queue.
        let passages = (0..<20).map { _ in network.carry(100, from: 0, to: 1, at: .zero) }
        let arrived = passages.compactMap(\.arrives)
        #expect(arrived.count == 11)
        #expect(arrived == (1...11).map { Instant(nanoseconds: Int64($0) * 1_000_000) + weather.delayMin })
        #expect(network.carry(100, from: 1, to: 0, at: .zero).arrives != nil)
    }

    @Test("a narrow link lets the small ones through, and the same links are narrow all the time")
    func narrow() {
        var weather = LinkWeather.lan
        weather.narrowBytes = 1_000
        var network = network(weather, processes: 20)
        var narrow = 0
        for from in 0..<20 {
            for to in 0..<20 where from != to {
                let large = (0..<3).map { _ in network.carry(1_200, from: from, to: to, at: .zero).arrives != nil }
                #expect(Set(large).count == 1)
                #expect(network.carry(1_000, from: from, to: to, at: .zero).arrives != nil)
                if !large[0] { narrow += 1 }
            }
        }
        #expect((60...130).contains(narrow))
    }

    @Test(
        "cuts are what they are called: by groups, one way, with a bridge, of single links, and healed by their owner")
    func cuts() {
        var cuts = Cuts()
        cuts.part([0, 0, 1, Cuts.bridge], isOneWay: false, by: 1)
        #expect(!cuts.isCut(0, 1, .datagram) && cuts.isCut(0, 2, .datagram) && cuts.isCut(2, 1, .stream))
        #expect(!cuts.isCut(0, 3, .datagram) && !cuts.isCut(3, 2, .stream))
        cuts.part([0, 0, 1, 1], isOneWay: true, by: 2)
        #expect(cuts.isCut(0, 2, .datagram) && !cuts.isCut(2, 0, .datagram))
        cuts.cut(Cuts.Link(from: 0, to: 1, cutsDatagrams: true, cutsStreams: false, owner: 3))
        #expect(cuts.isCut(0, 1, .datagram) && !cuts.isCut(0, 1, .stream) && !cuts.isCut(1, 0, .datagram))
        cuts.heal(1)
        #expect(cuts.isCut(0, 2, .datagram))
        cuts.heal(2)
        #expect(!cuts.isCut(0, 2, .datagram) && cuts.isCut(0, 1, .datagram))
        cuts.healAll()
        #expect(cuts.isEmpty)
    }

    @Test("the same seed is the same weather, and another concern's draws do not change it")
    func streams() {
        var weather = LinkWeather.lan
        weather.loss = 300_000
        var one = network(weather, seed: 5)
        var two = network(weather, seed: 5)
        var other = network(weather, seed: 6)
        let passages = (0..<1_000).map { _ in one.carry(100, from: 0, to: 1, at: .zero) }
        #expect(passages == (0..<1_000).map { _ in two.carry(100, from: 0, to: 1, at: .zero) })
        #expect(passages != (0..<1_000).map { _ in other.carry(100, from: 0, to: 1, at: .zero) })
        let world = WorldGenerator(seed: 5)
        #expect(world.stream("network") != world.stream("disk") && world.stream("disk") == world.stream("disk"))
    }
}
