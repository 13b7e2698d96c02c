import Balancing
import Determinism
import Testing

private let a = ModelIndex(rawValue: 0)
private let b = ModelIndex(rawValue: 1)
private let mac = WorkerIndex(rawValue: 0)
private let other = WorkerIndex(rawValue: 1)
private func at(_ seconds: Double) -> Instant { .zero + .seconds(seconds) }

private func place(
    _ model: ModelIndex, _ state: ModelState, running: Int = 0, since: Double = -1_000, used: Double = 0,
    gigabytes: Double = 5, load: Double = 10
) -> LoadPlanner.Place {
    LoadPlanner.Place(
        model: model, state: state, running: running, residentSince: at(since), lastUsed: at(used),
        bytes: gigabytes * 1e9, loadSeconds: load)
}

private func host(
    on worker: WorkerIndex = mac, keepsOne: Bool = true, gigabytes: Double? = nil, running: Int = 0,
    _ places: LoadPlanner.Place...
) -> LoadPlanner.Host {
    LoadPlanner.Host(
        worker: worker, keepsOne: keepsOne, bytesMax: gigabytes.map { $0 * 1e9 }, running: running, places: places)
}

private func want(
    _ model: ModelIndex, since: Double, wait: Double = .infinity, _ workers: Set<WorkerIndex> = [mac]
) -> LoadPlanner.Want {
    LoadPlanner.Want(model: model, since: at(since), expectedWait: wait, workers: workers)
}

@Suite("Loads are planned once for all who wait")
struct LoadPlannerTests {
    @Test("a model that nobody has is loaded on one worker, however many wait, and not twice")
    func singleFlight() {
        var planner = LoadPlanner()
        let hosts = [
            host(on: mac, keepsOne: false, place(a, .available), place(b, .resident)),
            host(on: other, keepsOne: false, place(a, .available), place(b, .resident)),
        ]
        let wants = [want(a, since: 0, [mac, other])]
        #expect(planner.plan(wants, hosts, waiting: [a: 30], at: at(0)) == [.load(a, mac, evicting: [])])
        var loading = hosts
        loading[0].places[0].state = .loading
        #expect(planner.plan(wants, loading, waiting: [a: 30], at: at(50)) == [])
    }

    @Test("where others have it, it is loaded once more only if waiting for them takes longer than the load")
    func worthIt() {
        var planner = LoadPlanner()
        let hosts = [host(on: other, keepsOne: false, place(a, .available, load: 10))]
        #expect(planner.plan([want(a, since: 0, wait: 9, [other])], hosts, waiting: [a: 3], at: at(0)) == [])
        #expect(planner.plan([want(a, since: 0, wait: 11, [other])], hosts, waiting: [a: 3], at: at(0)).count == 1)
    }

    @Test("one that could not be loaded a moment ago is left alone, and so is a worker that loads another")
    func failed() {
        var planner = LoadPlanner()
        #expect(planner.plan([want(a, since: 0)], [host(place(a, .failed))], waiting: [a: 1], at: at(0)) == [])
        let busy = host(keepsOne: false, place(a, .available), place(b, .loading))
        #expect(planner.plan([want(a, since: 0)], [busy], waiting: [a: 1], at: at(0)) == [])
    }

    @Test("an idle model goes at once, unless it was loaded for somebody a moment ago")
    func idle() {
        var planner = LoadPlanner()
        let wants = [want(b, since: 100)]
        func now(_ since: Double) -> [LoadPlanner.Host] {
            [host(place(a, .resident, since: since), place(b, .available))]
        }
        #expect(planner.plan(wants, now(0), waiting: [b: 1], at: at(101)) == [])
        #expect(planner.plan(wants, now(-20), waiting: [b: 1], at: at(101)) == [.giveUp(mac, evicting: [a])])
        #expect(planner.hasSwaps)
        let given = [host(place(a, .evicting), place(b, .available))]
        #expect(planner.plan(wants, given, waiting: [b: 1], at: at(102)) == [.load(b, mac, evicting: [a])])
        #expect(!planner.hasSwaps)
    }

    @Test("those who wait for the model that is there go first, until another's patience ends; what runs, ends first")
    func patience() {
        var planner = LoadPlanner()
        let wants = [want(b, since: 100)]
        let used = [host(running: 2, place(a, .resident, running: 2), place(b, .available))]
        #expect(planner.plan(wants, used, waiting: [a: 4, b: 1], at: at(129)) == [])
        #expect(planner.plan(wants, used, waiting: [a: 4, b: 1], at: at(130)) == [.giveUp(mac, evicting: [a])])
        let ending = [host(running: 1, place(a, .evicting, running: 1), place(b, .available))]
        #expect(planner.plan(wants, ending, waiting: [a: 4, b: 1], at: at(140)) == [])
        let ended = [host(place(a, .evicting), place(b, .available))]
        #expect(planner.plan(wants, ended, waiting: [a: 4, b: 1], at: at(141)) == [.load(b, mac, evicting: [a])])
    }

    @Test("whoever wanted it left while the last exchange ended: the model that is there stays")
    func left() {
        var planner = LoadPlanner()
        let used = [host(place(a, .resident, running: 1), place(b, .available))]
        #expect(planner.plan([want(b, since: 0)], used, waiting: [b: 1], at: at(31)) == [.giveUp(mac, evicting: [a])])
        #expect(planner.plan([], used, waiting: [:], at: at(32)) == [.keep(mac, [a])])
        #expect(planner.plan([], used, waiting: [:], at: at(33)) == [] && !planner.hasSwaps)
    }

    @Test("memory: only as much goes as has to, the longest unused first; a model too large for all is tried alone")
    func memory() {
        var planner = LoadPlanner()
        let c = ModelIndex(rawValue: 2)
        func hosts(_ limit: Double?, _ size: Double) -> [LoadPlanner.Host] {
            [
                host(
                    keepsOne: false, gigabytes: limit, place(a, .resident, used: 50), place(b, .resident, used: 20),
                    place(c, .available, gigabytes: size))
            ]
        }
        func first(_ hosts: [LoadPlanner.Host]) -> [LoadPlanner.Action] {
            planner = LoadPlanner()
            return planner.plan([want(c, since: 0)], hosts, waiting: [c: 1], at: at(60))
        }
        #expect(first(hosts(15, 5)) == [.load(c, mac, evicting: [])])
        #expect(first(hosts(14, 5)) == [.giveUp(mac, evicting: [b])])
        #expect(first(hosts(14, 9.5)) == [.giveUp(mac, evicting: [b, a])])
        #expect(first(hosts(14, 90)) == [.giveUp(mac, evicting: [b, a])])
        // Nobody knows how much it has: it makes room itself.
        #expect(first(hosts(nil, 90)) == [.load(c, mac, evicting: [])])
    }

    @Test(
        "W12: two models on Macs that hold one: few swaps, bounded waits, all served, nothing that runs is pushed out",
        arguments: 0..<40 as Range<UInt64>)
    func collation(seed: UInt64) {
        var world = SwapWorld(seed: seed)
        world.run(seconds: 900)
        #expect(world.faults == [])
        #expect(world.served > 50 && world.waiting == 0)
        let patience = LoadPlanner.Policy().swapPatience
        for swaps in world.swaps {
            for (before, after) in zip(swaps, swaps.dropFirst()) {
                #expect(after - before >= patience, "a worker swapped twice within one patience")
            }
        }
        // Patience, what ran when it ended, the load, and a step of this world for each of the three.
        let bound = 30 + SwapWorld.exchangeSecondsMax + SwapWorld.loadSeconds + 0.3
        #expect(world.longestWait <= bound, "\(world.longestWait) s")
    }
}

/// Macs that hold one model each, requests for two, a planner: time passes in steps of a tenth of a second.
private struct SwapWorld {
    /// With an exchange and the least service they make less than the patience; longer loads make longer waits.
    static let loadSeconds = 12.0
    static let exchangeSecondsMax = 6.0

    private struct Mac {
        var memory = ModelsInMemory()
        var running: [(model: ModelIndex, until: Instant)] = []
        var load: (model: ModelIndex, evicting: [ModelIndex], until: Instant)?
    }

    private var random: SeededGenerator
    private var macs: [Mac]
    /// `since`: without the model in any memory.
    private var queue: [(model: ModelIndex, since: Instant)] = []
    private var planner = LoadPlanner()
    private var now = Instant.zero
    /// When each Mac was told to give up what it has.
    private(set) var swaps: [[Instant]]
    private(set) var served = 0
    private(set) var longestWait = 0.0
    private(set) var faults: [String] = []

    var waiting: Int { queue.count }

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        // One Mac for both, or two.
        let count = Int(seed % 2) + 1
        macs = (0..<count).map { _ in
            var mac = Mac()
            mac.memory.proved(a, only: true)
            return mac
        }
        swaps = Array(repeating: [], count: count)
    }

    mutating func run(seconds: Double) {
        let slots = 4
        while now < at(seconds + 300) {
            now = now + .milliseconds(100)
            // It comes in waves: now mostly one model, now mostly the other, and at times both at once.
            if now < at(seconds), random.below(30) == 0 {
                let wave = Int(now.seconds(since: .zero) / 45) % 3
                let share: UInt64 = [9, 1, 5][wave]
                queue.append((random.below(10) < share ? a : b, now))
            }
            for position in macs.indices { step(position) }
            var kept: [(model: ModelIndex, since: Instant)] = []
            for var ticket in queue {
                let free = macs.indices.first {
                    macs[$0].running.count < slots && macs[$0].memory.begin(ticket.model, at: now)
                }
                guard let free else {
                    if macs.contains(where: { $0.memory.state(of: ticket.model, at: now) == .resident }) {
                        ticket.since = now
                    }
                    kept.append(ticket)
                    continue
                }
                longestWait = max(longestWait, now.seconds(since: ticket.since))
                let length = 0.5 + random.fraction() * (Self.exchangeSecondsMax - 0.5)
                macs[free].running.append((ticket.model, now + .seconds(length)))
            }
            queue = kept
            plan()
        }
    }

    private mutating func step(_ position: Int) {
        for exchange in macs[position].running where exchange.until <= now {
            if !macs[position].memory.end(exchange.model, at: now) { faults.append("an end without a beginning") }
            served += 1
        }
        macs[position].running.removeAll { $0.until <= now }
        if let load = macs[position].load, load.until <= now {
            macs[position].memory.endLoad(load.model, evicted: load.evicting, succeeded: true, at: now)
            macs[position].load = nil
        }
    }

    private mutating func plan() {
        var wants: [LoadPlanner.Want] = []
        var waiting: [ModelIndex: Int] = [:]
        for model in [a, b] {
            let tickets = queue.filter { $0.model == model }
            guard let first = tickets.first else { continue }
            waiting[model] = tickets.count
            let cold = macs.indices.filter {
                ![.resident, .loading].contains(macs[$0].memory.state(of: model, at: now))
            }
            let slots = (macs.count - cold.count) * 4
            guard !cold.isEmpty else { continue }
            wants.append(
                LoadPlanner.Want(
                    model: model, since: first.since,
                    expectedWait: slots == 0 ? .infinity : Double(tickets.count) * 4 / Double(slots),
                    workers: Set(cold.map { WorkerIndex(rawValue: $0) })))
        }
        let hosts = macs.indices.map { position in
            let memory = macs[position].memory
            return LoadPlanner.Host(
                worker: WorkerIndex(rawValue: position), keepsOne: true, bytesMax: nil,
                running: macs[position].running.count,
                places: [a, b].map { model in
                    LoadPlanner.Place(
                        model: model, state: memory.state(of: model, at: now), running: memory.running(model),
                        residentSince: memory.residentSince(model), lastUsed: memory.lastUsed(model), bytes: 5e9,
                        loadSeconds: Self.loadSeconds)
                })
        }
        for action in planner.plan(wants, hosts, waiting: waiting, at: now) {
            switch action {
            case .giveUp(let worker, let models):
                macs[worker.rawValue].memory.giveUp(models)
                swaps[worker.rawValue].append(now)
            case .keep(let worker, let models): macs[worker.rawValue].memory.keep(models)
            case .load(let model, let worker, let evicting):
                let position = worker.rawValue
                if macs[position].load != nil { faults.append("two loads at a time") }
                if !macs[position].running.isEmpty { faults.append("a model that generates was pushed out") }
                if macs.contains(where: { $0.load?.model == model }) { faults.append("a model was loaded twice") }
                macs[position].memory.beginLoad(model)
                macs[position].load = (model, evicting, now + .seconds(Self.loadSeconds))
            }
        }
    }
}
