import Balancing
import Determinism
import Testing

@Suite("Models in a worker's memory")
struct ModelsInMemoryTests {
    private let one = ModelIndex(rawValue: 1)
    private let two = ModelIndex(rawValue: 2)
    private func at(_ seconds: Double) -> Instant { .zero + .seconds(seconds) }

    @Test("a worker that says nothing has all its models at all times")
    func silent() {
        var memory = ModelsInMemory()
        #expect(!memory.isSelective && memory.state(of: one, at: .zero) == .resident)
        memory.emptied()
        #expect(memory.state(of: one, at: .zero) == .resident)
        memory.told([one], askedAt: .zero)
        #expect(memory.state(of: two, at: .zero) == .available && memory.state(of: one, at: .zero) == .resident)
        memory.toldAll()
        #expect(!memory.isSelective && memory.state(of: two, at: .zero) == .resident)
    }

    @Test("what a worker does not list is used by nobody, whatever it says of its memory, until it lists it")
    func absent() {
        var memory = ModelsInMemory()
        memory.toldAbsent([one])
        #expect(memory.tellsApart && memory.state(of: one, at: .zero) == .absent && !memory.begin(one, at: .zero))
        #expect(memory.state(of: two, at: .zero) == .resident && memory.begin(two, at: .zero))
        memory.told([one, two], askedAt: .zero)
        #expect(memory.state(of: one, at: .zero) == .absent && memory.state(of: two, at: .zero) == .resident)
        memory.toldAll()
        #expect(memory.tellsApart && memory.state(of: one, at: .zero) == .absent)
        memory.toldAbsent([])
        #expect(!memory.tellsApart && memory.state(of: one, at: .zero) == .resident)
    }

    @Test("no exchange begins with a model that is to go, and one that runs is counted until its end")
    func giveUp() {
        var memory = ModelsInMemory()
        memory.told([one], askedAt: .zero)
        #expect(memory.begin(one, at: at(1)) && !memory.begin(two, at: at(1)))
        memory.giveUp([one])
        #expect(
            memory.state(of: one, at: at(2)) == .evicting && !memory.begin(one, at: at(2)) && memory.running(one) == 1)
        // It is listed until it is gone.
        memory.told([one], askedAt: at(3))
        #expect(memory.state(of: one, at: at(3)) == .evicting)
        #expect(memory.end(one, at: at(4)) && memory.running(one) == 0 && !memory.end(one, at: at(4)))
        memory.keep([one])
        #expect(memory.begin(one, at: at(5)) && memory.lastUsed(one) == at(5))
    }

    @Test("a load that failed is told for a while, and may then be tried again")
    func failure() {
        var memory = ModelsInMemory()
        memory.told([], askedAt: .zero)
        memory.beginLoad(one)
        #expect(memory.state(of: one, at: at(1)) == .loading)
        memory.endLoad(one, evicted: [], succeeded: false, at: at(2))
        #expect(memory.state(of: one, at: at(31)) == .failed && memory.state(of: one, at: at(33)) == .available)
    }

    @Test("a list that was asked for before a load ended does not take its model away")
    func lateList() {
        var memory = ModelsInMemory()
        memory.told([two], askedAt: .zero)
        memory.giveUp([two])
        memory.beginLoad(one)
        memory.told([two], askedAt: at(1))
        #expect(memory.state(of: one, at: at(1)) == .loading && memory.state(of: two, at: at(1)) == .evicting)
        memory.endLoad(one, evicted: [two], succeeded: true, at: at(3))
        memory.told([], askedAt: at(2))
        #expect(memory.state(of: one, at: at(4)) == .resident && memory.residentSince(one) == at(3))
        #expect(memory.state(of: two, at: at(4)) == .available)
        memory.told([], askedAt: at(5))
        #expect(memory.state(of: one, at: at(6)) == .available)
    }

    @Test("a token proves the model that it is of, and where one fits no other; not while a load says more")
    func proof() {
        var memory = ModelsInMemory()
        memory.proved(one, only: true)
        #expect(memory.state(of: one, at: .zero) == .resident && memory.state(of: two, at: .zero) == .available)
        memory.proved(two, only: true)
        #expect(memory.resident == [two])
        memory.giveUp([two])
        memory.proved(two, only: true)
        #expect(memory.state(of: two, at: .zero) == .evicting)
        memory.beginLoad(one)
        memory.proved(two, only: true)
        #expect(memory.state(of: one, at: .zero) == .loading)
    }

    @Test("a worker that came back has nothing, except what is being loaded")
    func emptied() {
        var memory = ModelsInMemory()
        memory.told([one], askedAt: .zero)
        memory.beginLoad(two)
        memory.emptied()
        #expect(memory.state(of: one, at: .zero) == .available && memory.state(of: two, at: .zero) == .loading)
        #expect(
            ModelState.allCases.map(\.word) == ["absent", "available", "loading", "resident", "evicting", "failed"])
    }
}
