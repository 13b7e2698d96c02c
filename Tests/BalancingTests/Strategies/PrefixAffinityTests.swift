import Placement
import Testing

@testable import Balancing

@Suite struct PrefixAffinityTests {
    private let fleet = (0..<6).map { candidate($0) }

    @Test("turns of a conversation go to one worker, conversations are spread")
    func home() {
        var chooser = PlacementChooser(strategy: .prefixAffinity, seed: 4)
        var homes = Set<Int>()
        for conversation in 1...200 as ClosedRange<UInt64> {
            let workers = Set(
                (1...4).flatMap { turn in
                    chooser.workers(1, among: fleet, for: query(prompt: 400 * turn, prefix: conversation))
                })
            #expect(workers.count == 1)
            homes.formUnion(workers)
        }
        #expect(homes == Set(0..<6))
    }

    @Test("a popular prompt stays within the cap while nothing is believed cached elsewhere")
    func bounded() {
        var fleet = fleet
        for running in 0..<24 {
            // A new chooser each time believes nothing.
            var chooser = PlacementChooser(strategy: .prefixAffinity, seed: 4)
            let caps = fleet.map { BoundedLoad.cap(running: running, slots: $0.slots, slotsOfAll: 24) }
            let chosen = chooser.choose(among: fleet, for: query(prefix: 9))!
            #expect(fleet[chosen].running < caps[chosen])
            fleet[chosen].running += 1
        }
        #expect(fleet.map(\.running).reduce(0, +) == 24)
    }

    @Test("above its cap the home keeps a conversation only while waiting there costs less than a cold prefill")
    func waiting() {
        var chooser = PlacementChooser(strategy: .prefixAffinity, seed: 4)
        let long = query(prompt: 20_000, output: 100, prefix: 9)
        let home = chooser.choose(among: fleet, for: long)!
        var busy = fleet
        busy[home].running = 3
        busy[home].outputTokensAhead = 300
        busy[home].cachedTokens = 20_000
        // 40 s of prefill are believed saved, some seconds of decoding are ahead.
        #expect(chooser.choose(among: busy, for: long) == home)
        // Now 80 s of other prompts stand before it.
        busy[home].promptTokensAhead = 40_000
        let away = chooser.choose(among: busy, for: long)!
        #expect(away != home)
        // Where it went its prompt is believed cached, so it stays there although others are as free.
        busy[away].cachedTokens = 20_000
        for _ in 0..<5 {
            let again = chooser.choose(among: busy, for: long)
            #expect(again == away)
        }
    }

    @Test("a prompt without a beginning goes where it is done soonest")
    func noPrefix() {
        var chooser = PlacementChooser(strategy: .prefixAffinity, seed: 4)
        var busy = (0..<6).map { candidate($0, running: 3, output: 3_000) }
        busy[2] = candidate(2)
        #expect(chooser.workers(5, among: busy, for: query(prefix: 0)) == [2, 2, 2, 2, 2])
    }
}
