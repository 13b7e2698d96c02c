import Determinism
import NIOEmbedded
import Testing

@testable import UpstreamLane

/// The wheel with a clock that stands until a test moves it. Its own timer lies on an embedded loop and never runs.
private final class WheelBench {
    final class Clock { var now = Instant(nanoseconds: 1_000_000_000_000) }

    let clock = Clock()
    let wheel: DeadlineWheel
    private(set) var rings: [String] = []

    init() {
        let clock = clock
        wheel = DeadlineWheel(eventLoop: EmbeddedEventLoop()) { clock.now }
    }

    /// Rings by its own deadline, as every user of the wheel does.
    final class Target: DeadlineTarget {
        let name: String
        var deadline = Instant.never
        var wheelPlace = WheelPlace.none
        unowned let bench: WheelBench
        var asked = 0
        var whenRung: (Target) -> Void = { _ in }

        init(_ name: String, _ bench: WheelBench) {
            self.name = name
            self.bench = bench
        }

        func deadlinePassed(at now: Instant) -> Instant {
            asked += 1
            guard now >= deadline else { return deadline }
            bench.rings.append(name)
            deadline = .never
            whenRung(self)
            return deadline
        }

        func arm(after seconds: Double) {
            deadline = bench.clock.now + .seconds(seconds)
            bench.wheel.arm(self, at: deadline)
        }
    }

    func target(_ name: String) -> Target { Target(name, self) }

    func pass(_ seconds: Double) {
        clock.now = clock.now + .seconds(seconds)
        wheel.advance(to: clock.now)
    }

    func takeRings() -> [String] {
        defer { rings = [] }
        return rings
    }
}

@Suite("DeadlineWheel")
struct DeadlineWheelTests {
    @Test("rings within a step after the deadline, never before it, and once")
    func onTime() {
        let bench = WheelBench()
        let target = bench.target("a")
        target.arm(after: 1)
        bench.pass(0.999)
        #expect(bench.takeRings() == [])
        bench.pass(0.051)
        #expect(bench.takeRings() == ["a"])
        #expect(!target.wheelPlace.isArmed && bench.wheel.armedCount == 0)
        bench.pass(20)
        #expect(bench.takeRings() == [])
    }

    @Test("a deadline in the past rings with the next step")
    func past() {
        let bench = WheelBench()
        let target = bench.target("a")
        target.arm(after: -5)
        bench.pass(0.05)
        #expect(bench.takeRings() == ["a"])
    }

    @Test("never is no deadline: nothing is armed, and an armed one stays")
    func never() {
        let bench = WheelBench()
        let target = bench.target("a")
        bench.wheel.arm(target, at: .never)
        #expect(!target.wheelPlace.isArmed && bench.wheel.armedCount == 0)
        target.arm(after: 1)
        bench.wheel.arm(target, at: .never)
        #expect(target.wheelPlace.isArmed && bench.wheel.armedCount == 1)
    }

    @Test("moved later, it only asks; moved earlier, it moves")
    func rearm() {
        let bench = WheelBench()
        let later = bench.target("later")
        later.arm(after: 1)
        later.arm(after: 3)
        bench.pass(1.05)
        #expect(bench.takeRings() == [] && later.asked == 1)
        bench.pass(2)
        #expect(bench.takeRings() == ["later"] && later.asked == 2)

        let sooner = bench.target("sooner")
        sooner.arm(after: 3)
        sooner.arm(after: 1)
        #expect(bench.wheel.armedCount == 1)
        bench.pass(1.05)
        #expect(bench.takeRings() == ["sooner"])
        bench.pass(3)
        #expect(bench.takeRings() == [] && bench.wheel.armedCount == 0)
    }

    @Test("disarmed, it does not ring, and its neighbours in the slot do")
    func disarm() {
        let bench = WheelBench()
        let targets = (0..<5).map { bench.target("\($0)") }
        for target in targets { target.arm(after: 1) }
        bench.wheel.disarm(targets[0])
        bench.wheel.disarm(targets[3])
        bench.wheel.disarm(targets[3])
        #expect(bench.wheel.armedCount == 3)
        bench.pass(2)
        #expect(bench.takeRings().sorted() == ["1", "2", "4"])
    }

    @Test("a target that another's ring disarms in the same slot does not ring")
    func disarmedWhileDue() {
        let bench = WheelBench()
        let first = bench.target("first")
        let second = bench.target("second")
        let third = bench.target("third")
        for target in [first, second, third] { target.arm(after: 1) }
        first.whenRung = { _ in
            bench.wheel.disarm(second)
            bench.wheel.disarm(third)
            third.arm(after: 1)
        }
        bench.pass(1.1)
        #expect(bench.takeRings() == ["first"])
        #expect(second.asked == 0 && !second.wheelPlace.isArmed)
        #expect(third.asked == 0 && bench.wheel.armedCount == 1)
        bench.pass(1.1)
        #expect(bench.takeRings() == ["third"])
    }

    @Test("one that is due and armed anew before its turn is asked once")
    func armedWhileDue() {
        let bench = WheelBench()
        let first = bench.target("first")
        let second = bench.target("second")
        for target in [first, second] { target.arm(after: 1) }
        first.whenRung = { _ in second.arm(after: 2) }
        bench.pass(1.1)
        #expect(bench.takeRings() == ["first"])
        #expect(second.asked == 1 && bench.wheel.armedCount == 1)
        bench.pass(2.06)
        #expect(bench.takeRings() == ["second"] && bench.wheel.armedCount == 0)
    }

    @Test("a ring may arm itself again, at once and for ever")
    func again() {
        let bench = WheelBench()
        let target = bench.target("a")
        target.whenRung = { $0.deadline = $0.bench.clock.now }
        target.arm(after: 0)
        for _ in 0..<10 { bench.pass(0.05) }
        #expect(bench.takeRings().count == 10)
        #expect(bench.wheel.armedCount == 1)
    }

    @Test("in order of their deadlines, as far as a step tells them apart")
    func order() {
        let bench = WheelBench()
        var random = SeededGenerator(seed: 7)
        var targets: [(Int, WheelBench.Target)] = []
        for place in 0..<200 {
            let steps = Int(random.next() % 250)
            let target = bench.target("\(steps)")
            target.arm(after: Double(steps) * 0.05 + Double(place % 5) * 0.01)
            targets.append((steps, target))
        }
        bench.pass(14)
        #expect(bench.takeRings().compactMap { Int($0) } == targets.map(\.0).sorted())
    }

    @Test(
        "further away than the wheel is long: asked on the way, rung in time", arguments: [12.7, 12.8, 13, 60, 3_600])
    func far(seconds: Double) {
        let bench = WheelBench()
        let target = bench.target("a")
        target.arm(after: seconds)
        var passed = 0.0
        while passed + 0.4 < seconds {
            bench.pass(0.4)
            passed += 0.4
            #expect(bench.takeRings() == [])
        }
        // Six hundredths: a step, and what adding up fractions loses.
        bench.pass(seconds - passed + 0.06)
        #expect(bench.takeRings() == ["a"])
    }

    @Test("a clock that jumps further than the wheel is long rings all that is due, once", arguments: [13.0, 1_000])
    func jump(seconds: Double) {
        let bench = WheelBench()
        let targets = (0..<300).map { bench.target("\($0)") }
        for (place, target) in targets.enumerated() { target.arm(after: Double(place) * 0.04) }
        let far = bench.target("far")
        far.arm(after: seconds + 5)
        bench.pass(seconds)
        #expect(bench.takeRings().count == 300)
        #expect(bench.wheel.armedCount == 1)
        bench.pass(5.1)
        #expect(bench.takeRings() == ["far"])
    }

    @Test("a clock that steps back rings nothing twice")
    func backwards() {
        let bench = WheelBench()
        let target = bench.target("a")
        target.arm(after: 1)
        bench.pass(1.1)
        bench.pass(-3)
        #expect(bench.takeRings() == ["a"])
        bench.pass(10)
        #expect(bench.takeRings() == [])
    }

    @Test("after hours without a target it starts from now")
    func longRest() {
        let bench = WheelBench()
        bench.clock.now = bench.clock.now + .seconds(7_200)
        let target = bench.target("a")
        target.arm(after: 1)
        bench.pass(0.9)
        #expect(bench.takeRings() == [])
        bench.pass(0.2)
        #expect(bench.takeRings() == ["a"])
    }

    @Test("thousands, armed and disarmed at random: each rings exactly when it should")
    func thousands() {
        let bench = WheelBench()
        var random = SeededGenerator(seed: 11)
        let targets = (0..<5_000).map { bench.target("\($0)") }
        for target in targets { target.arm(after: Double(random.next() % 20_000) / 1_000) }
        for step in 0..<500 {
            for _ in 0..<20 {
                let target = targets[Int(random.next() % 5_000)]
                if random.next() % 2 == 0 {
                    bench.wheel.disarm(target)
                    target.deadline = .never
                } else {
                    target.arm(after: Double(random.next() % 20_000) / 1_000)
                }
            }
            let expected = targets.filter { $0.deadline <= bench.clock.now + .milliseconds(50) }.map(\.name)
            bench.pass(0.1)
            let late = targets.filter { $0.deadline < bench.clock.now - .milliseconds(50) }
            #expect(late.isEmpty, "step \(step): \(late.count) were due and did not ring")
            let rung = Set(bench.takeRings())
            #expect(rung.isSuperset(of: expected), "step \(step)")
        }
        #expect(bench.wheel.armedCount == targets.count { $0.wheelPlace.isArmed })
    }
}

extension Instant {
    fileprivate static func - (left: Instant, right: Duration) -> Instant {
        left + Duration.zero - right.wholeNanoseconds
    }
    fileprivate static func - (left: Instant, right: Int64) -> Instant {
        Instant(nanoseconds: left.nanoseconds - right)
    }
}
