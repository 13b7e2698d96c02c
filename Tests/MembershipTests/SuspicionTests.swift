import Determinism
import Testing
import WireCoding

@testable import Membership

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

struct SuspicionTests {
    private static func suspicion() -> Suspicion {
        Suspicion(
            subject: ReplicaShortID(rawValue: 9), incarnation: Incarnation(rawValue: 1),
            session: SessionID(rawValue: 1),
            raisedAt: .zero, by: ReplicaShortID(rawValue: 100))
    }

    private static func terms(wanted: Int, refusers: Int = 2) -> Suspicion.Terms {
        var terms = Suspicion.Terms(timing: .lan, replicas: 10, isLossy: false)
        terms.shortest = .seconds(2)
        terms.longest = .seconds(12)
        terms.refusedWait = .milliseconds(750)
        terms.wanted = wanted
        terms.refusersWanted = refusers
        return terms
    }

    private static func accuser(_ index: Int) -> ReplicaShortID { ReplicaShortID(rawValue: 101 + UInt32(index)) }

    @Test("each confirmation shortens the wait as Lifeguard's formula does", arguments: 0...6)
    func waits(wanted: Int) {
        let terms = Self.terms(wanted: wanted)
        var suspicion = Self.suspicion()
        for confirmations in 0...wanted {
            if confirmations > 0 {
                #expect(isTrue(suspicion.confirm(by: Self.accuser(confirmations), wanted: wanted) == .counted))
            }
            let share = wanted == 0 ? 1 : log(Double(confirmations + 1)) / log(Double(wanted + 1))
            let formula = 12 - 10 * share
            let wait = Double(suspicion.deadline(under: terms).nanoseconds) / 1e9
            #expect(abs(wait - formula) <= 0.01)
        }
        #expect(suspicion.deadline(under: terms) == .zero + .seconds(2))
    }

    @Test("M4: K + 1 different accusers are held, and none twice", arguments: [0, 2, 6])
    func accusers(wanted: Int) {
        var suspicion = Self.suspicion()
        var counted = 0
        for round in 0..<2 {
            for index in 0..<20 {
                switch suspicion.confirm(by: Self.accuser(index), wanted: wanted) {
                case .counted:
                    counted += 1
                    #expect(round == 0)
                case .repeated: #expect(round == 1 && index < wanted)
                case .saturated: #expect(index >= wanted)
                }
            }
        }
        #expect(counted == wanted && suspicion.accusers.count == wanted + 1)
        #expect(isTrue(suspicion.confirm(by: ReplicaShortID(rawValue: 100), wanted: wanted) == .repeated))
    }

    @Test("where another answers at its address the shortest wait holds at once")
    func elsewhere() {
        var suspicion = Self.suspicion()
        suspicion.isElsewhere = true
        #expect(suspicion.deadline(under: Self.terms(wanted: 2)) == .zero + .seconds(2))
    }

    @Test("two different refusers end the wait 1.5 T after the first; of two replicas one is enough")
    func refusals() {
        let first = Instant.zero + .milliseconds(400)
        let terms = Self.terms(wanted: 2)
        var suspicion = Self.suspicion()
        let (one, two, three) = (Self.accuser(1), Self.accuser(2), Self.accuser(3))
        #expect(isTrue(suspicion.refuse(by: one, at: first)))
        #expect(isTrue(!suspicion.refuse(by: one, at: first + .milliseconds(50))))
        #expect(suspicion.deadline(under: terms) == .zero + .seconds(12) && !suspicion.isRefused(under: terms))
        #expect(suspicion.deadline(under: Self.terms(wanted: 0, refusers: 1)) == first + .milliseconds(750))
        #expect(isTrue(suspicion.refuse(by: two, at: first + .milliseconds(90))))
        #expect(suspicion.deadline(under: terms) == first + .milliseconds(750) && suspicion.isRefused(under: terms))
        #expect(isTrue(!suspicion.refuse(by: three, at: first + .milliseconds(91))))
        // Never later than without.
        var late = Self.suspicion()
        _ = late.refuse(by: one, at: .zero + .seconds(11))
        _ = late.refuse(by: two, at: .zero + .seconds(12))
        #expect(late.deadline(under: Self.terms(wanted: 0)) == .zero + .seconds(2))
    }

    @Test("M4: under unchanged terms only this machine's own lateness moves a deadline back", arguments: 0..<20)
    func onlyLagDelays(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let terms = Self.terms(wanted: [0, 2, 6][Int(random.below(3))])
        var suspicion = Self.suspicion()
        var deadline = suspicion.deadline(under: terms)
        for step in 0..<30 {
            let at = Instant.zero + .milliseconds(Int64(step) * 100)
            switch random.below(4) {
            case 0:
                suspicion.wait(longerBy: .milliseconds(150))
                #expect(suspicion.deadline(under: terms) == deadline + .milliseconds(150))
            case 1: _ = suspicion.refuse(by: Self.accuser(Int(random.below(5))), at: at)
            case 2: suspicion.isElsewhere = suspicion.isElsewhere || random.below(8) == 0
            default: _ = suspicion.confirm(by: Self.accuser(Int(random.below(9))), wanted: terms.wanted)
            }
            if random.below(4) != 0 { #expect(suspicion.deadline(under: terms) <= deadline + .milliseconds(150)) }
            deadline = suspicion.deadline(under: terms)
        }
    }
}
