import Determinism
import Membership
import ReplicaCore
import WireCoding

/// A flock in a world made of one seed: the machines are those of production, everything around them is pretended.
///
/// One loop takes the soonest event from the agenda and gives it to whom it happens; what that one asks for becomes other
/// events. Two phases: in the first the script does its worst and nothing unsafe may happen; in the second all faults end,
/// and within stated times everybody must know everybody, and be quiet.
///
/// A world is large, so what is asked of it at each event is inlined: a call that changes nothing would copy it.
///
/// Start reading at `run`, then `+Inputs` (what happens to a process), `+Effects` (what it asks for), `+Streams`, `+Script`,
/// `+Phases`.
struct World {
    let options: SimulationOptions
    let plan: Plan
    let world: WorldGenerator
    let timing: MembershipTiming
    let bounds: MembershipBounds
    private(set) var gateBounds: GateBounds
    /// How many keys were made.
    var keys = 1
    var now = Instant.zero
    var agenda = Agenda()
    var network: Network
    var arena = PacketArena()
    var pipes = Pipes()
    let processes: Processes
    /// Which process has which host.
    var owners: [Int] = []
    var orders: [ReplicaInput] = []
    var script: [ScriptLine]
    var observer: Observer
    var hash = StableHash64()
    /// Taken from the agenda: deliveries, ticks, completions.
    var events = 0

    // Used again for each input
    var outbox = DatagramOutbox()
    var effects: [ReplicaEffect] = []
    var frame: [UInt8] = []

    // Chance by concern
    var disks: SeededGenerator
    var lives: SeededGenerator

    // Phases
    var phase = Phase.faults
    /// Since when everybody should come to know everybody, and for which measure.
    var healsSince: Instant?
    var isInspecting = false
    /// The view and the member that were found to differ last.
    var lastDifference = (viewer: 0, process: 0)
    var hasReportedDivergence = false
    var settledAt = Instant.zero
    var quietBytes: [Int] = []
    var quietTicks: [Int] = []
    var quietDigest: UInt64?
    var quietBytesPerSecond: [Int] = []

    let tell: ((String) -> Void)?

    enum Phase: UInt32, Sendable { case faults, settling, calming, quiet, over }

    /// The causal depth of what is being sent.
    var depth: UInt8 = 0
    var hellos: UInt8 = 0
    /// The process whose packet is being answered.
    var cause = -1

    init(_ options: SimulationOptions, tell: ((String) -> Void)? = nil) {
        self.options = options
        self.tell = tell
        let plan = Plan(options)
        self.plan = plan
        script = plan.script
        world = WorldGenerator(seed: options.seed)
        timing = .lan
        var bounds = MembershipBounds()
        if plan.hasSmallBounds { bounds.makeSmall(replicas: options.replicas) }
        self.bounds = bounds
        gateBounds = GateBounds()
        if plan.hasSmallBounds {
            gateBounds.windowWidth = 64
            gateBounds.sources = 32
        }
        let count = options.replicas + (plan.hasStranger ? 1 : 0)
        network = Network(processes: count, weather: plan.weather, world: world)
        observer = Observer(processes: count, timing: timing, bounds: bounds)
        disks = world.stream("disk")
        lives = world.stream("lives")
        var clocks = world.stream("clocks")
        owners = Array(repeating: -1, count: count)
        var processes: [SimulatedProcess] = []
        for number in 0..<count {
            let drift = plan.hasBadClocks ? Int64(clocks.whole(-500...500)) : 0
            let offset = plan.hasBadClocks ? Int64(clocks.whole(-3_600...3_600)) : 0
            let uptime = Int64(clocks.below(1_000_000)) * 1_000_000_000
            let isStranger = number >= options.replicas
            processes.append(
                SimulatedProcess(
                    cluster: isStranger ? 1 : 0, host: number,
                    clock: SimulatedClock(
                        drift: drift, origin: uptime, unixSeconds: 1_900_000_000 + offset)))
            observer.truths[number].cluster = isStranger ? 1 : 0
            owners[number] = number
        }
        self.processes = Processes(processes)
    }

    var simulated: Nanoseconds { .nanoseconds(now.nanoseconds) }

    /// Tells the whole story.
    mutating func run() {
        begin()
        run(until: .never)
        finish()
    }

    /// Tells it up to that time.
    mutating func run(until end: Instant) {
        while phase != .over, let next = agenda.nextTime, next < end, let (time, event) = agenda.popFirst() {
            events += 1
            now = max(now, time)
            observer.reach(now)
            happen(event)
        }
    }

    mutating func begin() {
        var starts = world.stream("starts")
        for process in 0..<options.replicas where !plan.joinsLater.contains(process) {
            let at = process == 0 ? Nanoseconds.zero : starts.span(.zero, plan.startsWithin)
            agenda.add(WorldEvent(.start, target: process), at: .zero + at)
        }
        for (line, entry) in script.enumerated() {
            agenda.add(WorldEvent(.script, payload: UInt32(line)), at: .zero + entry.at)
        }
        agenda.add(WorldEvent(.phase, payload: Phase.settling.rawValue), at: .zero + options.duration)
        agenda.add(WorldEvent(.inspection), at: .zero + .seconds(1))
    }

    private mutating func happen(_ event: WorldEvent) {
        let target = Int(event.target)
        switch event.kind {
        case .packet, .persisted, .resolved, .opening, .dialled, .frame, .reset, .order: arrive(event)
        case .tick: timer(of: target, event)
        case .wake: if event.life == processes[target].life { wake(target) }
        case .transmit: transmit(event)
        case .dialTimeout: patienceEnds(event)
        case .start: start(target)
        case .resume: resume(target)
        case .script: begin(line: Int(event.payload))
        case .scriptEnds: end(line: Int(event.payload))
        case .inspection: inspect()
        case .phase: enter(Phase(rawValue: event.payload) ?? .over)
        }
    }

    // MARK: The story

    @inline(__always)
    func trace(_ process: Int, _ sentence: @autoclosure () -> String) {
        if tell != nil { tellStory(process, sentence()) }
    }

    private func tellStory(_ process: Int, _ sentence: @autoclosure () -> String) {
        guard let tell else { return }
        if let only = options.tracesOnly, only != process { return }
        if now.nanoseconds < options.tracesFrom.rawValue { return }
        tell("\(TraceTime(now)) r\(process) \(sentence())")
    }

    /// What replicas are called in a story.
    func name(_ short: ReplicaShortID) -> String {
        guard let identities = observer.shorts[short.rawValue], let identity = identities.first,
            let session = observer.sessions.last(where: { $0.identity == identity })
        else { return "\(short)" }
        return "r\(session.process)"
    }

    /// A machine is given this.
    mutating func note(_ event: WorldEvent) {
        hash.update(UInt64(bitPattern: now.nanoseconds))
        hash.update(UInt64(event.kind.rawValue) << 56 | UInt64(event.target))
    }
}

extension MembershipBounds {
    /// So tight that their edges are visited often, and wide enough that a flock of that size can live in them.
    mutating func makeSmall(replicas: Int) {
        members = max(8, replicas + 4)
        removed = 4
        rumours = max(4, replicas)
        rumourBytes = 2_048
        unreceiptedPerPeer = 4
        streamsAccepted = 2
        probeStreamsAccepted = 2
        streamsPerSource = 4
        seeds = 4
    }
}
