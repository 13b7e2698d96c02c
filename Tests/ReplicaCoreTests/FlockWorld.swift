import Balancing
import Determinism
import Membership
import WireCoding

@testable import ReplicaCore

func at(seconds: Double) -> Instant { .zero + .nanoseconds(Int64(seconds * 1e9)) }

/// Machines of what the flock knows, and nothing between them: a message arrives at once, or never.
struct FlockWorld {
    private(set) var flocks: [WorkerFlock] = []
    private(set) var records: [MemberRecord] = []
    private(set) var now = at(seconds: 100)
    private(set) var probes: [[WorkerShortID]]
    private(set) var views: [FlockView]
    private var counter: UInt64 = 0
    /// Whether a message of one arrives at another.
    var passes: (_ from: Int, _ to: Int) -> Bool = { _, _ in true }

    init(replicas: Int, workers: [RingedWorker] = [], seed: UInt64 = 1) {
        var random = SeededGenerator(seed: seed)
        probes = Array(repeating: [], count: replicas)
        views = Array(repeating: .empty, count: replicas)
        for number in 0..<replicas {
            records.append(
                MemberRecord(
                    id: ReplicaID(high: random.next() | 1 << 40, low: random.next()),
                    session: SessionID(rawValue: random.next()), incarnation: Incarnation(rawValue: 1),
                    flags: [.ready, .settled],
                    address: PeerAddress(ipv4: UInt32(truncatingIfNeeded: number), port: 1)))
            flocks.append(WorkerFlock(me: records[number].id.short, epoch: 1_000))
            flocks[number].setWall(milliseconds: 1_800_000_000_000, at: now)
            flocks[number].configure(workers, at: now)
        }
        for number in records.indices { change(number) }
        pass(seconds: 2)
    }

    func id(_ number: Int) -> ReplicaShortID { records[number].id.short }

    /// All, or some, are told what `change` makes of a member.
    mutating func change(_ number: Int, seenBy seers: [Int]? = nil, _ change: (inout MemberRecord) -> Void = { _ in }) {
        change(&records[number])
        for seer in seers ?? Array(flocks.indices) {
            flocks[seer].memberChanged(Member(record: records[number], since: now), at: now)
        }
        settle()
    }

    mutating func tell(_ number: Int, _ body: (inout WorkerFlock, Instant) -> Void) {
        body(&flocks[number], now)
        settle()
    }

    /// A message of one replica to all others, as if it had said it.
    mutating func say(_ message: Message, by number: Int) {
        counter += 1
        for other in flocks.indices where other != number && passes(number, other) {
            flocks[other].merge(
                message, from: id(number), session: records[number].session, counter: counter, at: now)
        }
        settle()
    }

    mutating func pass(seconds: Double) {
        let end = now + .nanoseconds(Int64(seconds * 1e9))
        while true {
            let next = flocks.map(\.nextDeadline).min() ?? .never
            guard next <= end else { break }
            precondition(next > now, "a deadline that does not move on")
            now = next
            settle()
        }
        now = end
        settle()
    }

    mutating func sync(_ one: Int, _ other: Int) {
        for (from, to) in [(one, other), (other, one)] {
            for message in flocks[from].recordsForSync(at: now) {
                flocks[to].merge(message, from: id(from), session: records[from].session, counter: 0, at: now)
            }
        }
        settle()
    }

    /// Lets all conclude, and delivers what they say, until nobody says anything.
    private mutating func settle() {
        for number in flocks.indices { flocks[number].advance(at: now) }
        while true {
            var isQuiet = true
            for number in flocks.indices {
                probes[number] += flocks[number].takeProbes()
                if let view = flocks[number].takeView() { views[number] = view }
                for news in flocks[number].takeOutgoing() {
                    isQuiet = false
                    counter += 1
                    for other in flocks.indices where other != number && passes(number, other) {
                        flocks[other].merge(
                            news.message, from: id(number), session: records[number].session, counter: counter, at: now)
                    }
                }
            }
            if isQuiet { return }
            for number in flocks.indices { flocks[number].advance(at: now) }
        }
    }

    mutating func takeProbes(_ number: Int) -> [WorkerShortID] {
        defer { probes[number] = [] }
        return probes[number]
    }

    func verdict(_ replica: Int, on worker: Int) -> WorkerVerdict { views[replica].workers[worker].verdict }
    func monitors(of worker: Int) -> [Int] {
        flocks.indices.filter { views[$0].workers[worker].isMonitoredHere }
    }
}

/// All serve the same model.
func macs(_ count: Int, model: UInt64 = 7) -> [RingedWorker] {
    (0..<count).map {
        RingedWorker(
            short: WorkerShortID(rawValue: UInt32($0 + 1)), ringKey: UInt64($0 + 1) &* 0x9e37_79b9_7f4a_7c15,
            weight: 1, models: [model])
    }
}

func mac(_ number: Int) -> WorkerShortID { WorkerShortID(rawValue: UInt32(number + 1)) }

func gauge(_ worker: Int, running: UInt16) -> WorkerLoadNews {
    WorkerLoadNews(worker: mac(worker), running: running, queued: 1, promptTokens: 10, outputTokens: 20)
}

func block(_ host: UInt64, cleared: Bool = false, seconds: UInt32 = 600) -> AddressBlockNews {
    AddressBlockNews(
        prefixLength: 128, isCleared: cleared, reason: 1, high: 0, low: 0xffff_0a00_0000 + host, stamp: 0,
        origin: ReplicaShortID(rawValue: 0), durationSeconds: seconds, ageSeconds: 0)
}
