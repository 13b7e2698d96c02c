import Determinism
import Testing

@testable import WireCoding

@Test("a table by recency answers as a sorted list would")
func recencyModel() {
    for seed in 0..<20 as Range<UInt64> {
        var chance = SeededGenerator(seed: seed)
        let bound = 1 + Int(chance.below(6))
        var table = RecencyTable<UInt64, UInt64>(bound: bound)
        // Oldest first.
        var paper: [(key: UInt64, value: UInt64)] = []
        var differences = 0
        for step in 0..<1_000 as Range<UInt64> {
            let key = chance.below(10)
            let known = paper.firstIndex { $0.key == key }
            switch chance.below(4) {
            case 0, 1:
                if let known { paper.remove(at: known) } else if paper.count == bound { paper.removeFirst() }
                paper.append((key, step))
                let place = table.insert(step, for: key)
                if table[place] != step { differences += 1 }
            case 2:
                if let place = table.place(of: key) { table.touch(place) }
                if let known { paper.append(paper.remove(at: known)) }
            default:
                if table.remove(key) != known.map({ paper[$0].value }) { differences += 1 }
                if let known { paper.remove(at: known) }
            }
            for key in 0..<10 as Range<UInt64> {
                let value = paper.first { $0.key == key }?.value
                if table.place(of: key).map({ table[$0] }) != value { differences += 1 }
            }
            if table.count != paper.count || table.oldest?.key != paper.first?.key { differences += 1 }
        }
        #expect(differences == 0)
    }
}

@Test("a full table of sessions gives up the silent strangers first, then the silent members")
func sessionsBound() {
    var table = SessionTable(bound: 3, kept: .seconds(600), windowWidth: 16)
    func session(_ number: UInt64) -> SessionID { SessionID(rawValue: number) }
    for number in 1...3 as ClosedRange<UInt64> {
        _ = table.insert(session(number), at: Instant(nanoseconds: Int64(number)))
    }
    table.mark(session(1), isMember: true)
    _ = table.insert(session(4), at: Instant(nanoseconds: 4))
    #expect(table.contains(session(1)) && !table.contains(session(2)))
    #expect(table.contains(session(3)) && table.contains(session(4)) && table.count == 3)
    // The stranger that spoke last stays.
    if let place = table.place(of: session(3)) { table.hear(place, at: Instant(nanoseconds: 5)) }
    _ = table.insert(session(5), at: Instant(nanoseconds: 6))
    #expect(table.contains(session(3)) && !table.contains(session(4)))
    for number in [3, 5] as [UInt64] { table.mark(session(number), isMember: true) }
    _ = table.insert(session(6), at: Instant(nanoseconds: 7))
    #expect(!table.contains(session(1)) && table.contains(session(6)) && table.count == 3)
    table.mark(session(5), isMember: false)
    _ = table.insert(session(7), at: Instant(nanoseconds: 8))
    #expect(table.contains(session(3)) && !table.contains(session(6)) && table.count == 3)
}

@Test("a session is forgotten ten minutes after its last packet, when another comes")
func sessionsExpire() {
    var table = SessionTable(bound: 100, kept: .seconds(600), windowWidth: 16)
    _ = table.insert(SessionID(rawValue: 1), at: .zero)
    _ = table.insert(SessionID(rawValue: 2), at: .zero)
    if let place = table.place(of: SessionID(rawValue: 1)) { table.hear(place, at: .zero + Nanoseconds.seconds(1)) }
    _ = table.insert(SessionID(rawValue: 3), at: .zero + Nanoseconds.milliseconds(600_500))
    #expect(table.contains(SessionID(rawValue: 1)) && !table.contains(SessionID(rawValue: 2)))
    _ = table.insert(SessionID(rawValue: 4), at: .zero + Nanoseconds.seconds(602))
    #expect(!table.contains(SessionID(rawValue: 1)) && table.count == 2)
}

@Test("a rate lets through what a second allows, and not one more")
func packetRate() {
    var rate = PacketRate()
    let start = Instant(nanoseconds: 77)
    let moments = [0, 0, 500, 999, 1_000, 1_001, 1_002, 1_003].map { start + Nanoseconds.milliseconds($0) }
    #expect(moments.map { rate.allows(3, at: $0) } == [true, true, true, false, true, true, true, false])
}
