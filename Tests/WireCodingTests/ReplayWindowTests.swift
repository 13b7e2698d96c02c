import Determinism
import Testing
import WireCoding

/// The window as one would write it on paper.
private struct PaperWindow {
    let width: UInt64
    var seen: Set<UInt64>
    var highest: UInt64

    func hasSeen(_ counter: UInt64) -> Bool {
        counter == 0 || (counter <= highest && (highest - counter >= width || seen.contains(counter)))
    }

    mutating func mark(_ counter: UInt64) {
        guard counter > 0, counter > highest || highest - counter < width else { return }
        seen.insert(counter)
        highest = max(highest, counter)
    }
}

@Test("a replay window answers as a set of all counters would", arguments: [1, 16, 63, 1_023, 1_024])
func replayWindowModel(width: Int) {
    for seed in 0..<8 as Range<UInt64> {
        var chance = SeededGenerator(seed: seed)
        let first = seed % 2 == 0 ? 0 : chance.below(5_000)
        var window = ReplayWindow(width: width, after: first)
        var paper = PaperWindow(width: UInt64(width), seen: Set(0...first), highest: first)
        var differences = 0
        for _ in 0..<2_000 {
            let counter: UInt64
            switch chance.below(8) {
            case 0: counter = paper.highest &+ chance.below(3_000)
            case 1: counter = chance.below(paper.highest + 2)
            case 2: counter = paper.highest + 1
            default:
                let back = chance.below(UInt64(width) + 8)
                counter = (paper.highest + 4) > back ? paper.highest + 4 - back : 0
            }
            if window.hasSeen(counter) != paper.hasSeen(counter) { differences += 1 }
            if chance.below(3) > 0 {
                window.mark(counter)
                paper.mark(counter)
                if !window.hasSeen(counter) { differences += 1 }
            }
        }
        #expect(differences == 0)
        #expect(window.highest == paper.highest)
    }
}

@Test("a replay window takes the last counters that there are")
func replayWindowEnd() {
    var window = ReplayWindow()
    window.mark(.max - 1)
    #expect(!window.hasSeen(.max))
    window.mark(.max)
    #expect(window.hasSeen(.max) && window.hasSeen(.max - 1) && !window.hasSeen(.max - 2))
    #expect(window.hasSeen(0) && window.hasSeen(.max - 1_024))
}
