import Determinism
import Membership
import WireCoding

/// Sees everything and holds it against what is promised: the only part of the world that knows the protocol.
///
/// It keeps its own picture of each view, made of the changes that machines report, and the truth about processes, which
/// no machine can see. It looks only at what an event touched.
struct Observer: Sendable {
    /// A session that really exists or existed.
    struct Session: Sendable {
        let id: SessionID
        let identity: Int
        let process: Int
        let life: UInt32
        let address: PeerAddress
        /// The highest that its owner has taken.
        var announced: Incarnation
        let first: Incarnation
        /// The first incarnation is on disk.
        var isDurable = false
        var counter: UInt64 = 0
    }

    /// What a view holds of an identity. Never seen: status 255.
    struct Row: Sendable, Equatable {
        static let unseen: UInt8 = 255
        /// It was held as gone and forgotten for its age.
        static let forgotten: UInt8 = 254

        var incarnation: UInt32 = 0
        var session: Int32 = -1
        var status = unseen
        var isRemoved = false

        var isHeld: Bool { status < 4 }
    }

    struct Truth: Sendable {
        var cluster: UInt8 = 0
        var isUp = false
        var session = -1
        var began = Instant.zero
        /// Since when nothing disturbs it: no pause, cut, slowness; it may be judged by others only before.
        var undisturbedSince = Instant.zero
        /// Bytes that it may still send, under the cap, and when that was so.
        var budget: Int64 = 0
        var budgetAt = Instant.zero
        /// Its latest streams of the purpose peer: to whom, when on its own clock.
        var dialled: [(to: PeerAddress, at: Instant)] = []
        /// When it was late, on its own clock, and by how much: the latest.
        var lags: [(at: Instant, lag: Nanoseconds)] = []
        /// Identities that the last input made known.
        var adopted: [Int] = []
        /// Before the last input.
        var isCalled = ReplicaShortID(rawValue: 0)
        var wasCalled = ReplicaShortID(rawValue: 0)
        /// As it was after the last input.
        var incarnation = Incarnation(rawValue: 0)
        var saidSession = SessionID(rawValue: 0)
        /// Its raises in the last second, on its own clock.
        var raises: [Instant] = []
        /// An accusation that it heard and has not answered.
        var accusation: (incarnation: Incarnation, session: SessionID, at: Instant)?
        var wasLossy = false
    }

    let timing: MembershipTiming
    let bounds: MembershipBounds
    private(set) var now = Instant.zero

    /// Time comes to `time`.
    mutating func reach(_ time: Instant) { now = time }

    private(set) var violations: [SimulationViolation] = []
    private(set) var violationCount = 0
    static let violationsMax = 20

    private(set) var identities: [ReplicaID: Int] = [:]
    private(set) var identityClusters: [UInt8] = []
    private(set) var shorts: [UInt32: [Int]] = [:]
    private(set) var sessionPlaces: [SessionID: Int] = [:]
    private(set) var sessions: [Session] = []
    /// Deaths that matured somewhere: session place << 32 | incarnation.
    private(set) var deaths: Set<UInt64> = []
    var rows: [[Row]]
    var truths: [Truth]
    var measures: Measures
    /// Versions of rings by a hash of who is in them.
    var rings: [UInt64: UInt64] = [:]
    var watches: [Watch] = []
    /// Lives that were called dead although nothing was wrong with them, as `deaths`.
    var falselyDead: Set<UInt64> = []
    /// Used again for each packet that is read.
    var said: [Message] = []

    init(processes: Int, timing: MembershipTiming, bounds: MembershipBounds) {
        self.timing = timing
        self.bounds = bounds
        rows = Array(repeating: [], count: processes)
        truths = Array(repeating: Truth(), count: processes)
        measures = Measures(processes: processes)
    }

    mutating func report(_ promise: Promise, _ replica: Int, _ sentence: String) {
        violationCount += 1
        guard violations.count < Self.violationsMax else { return }
        violations.append(
            SimulationViolation(
                promise: promise, at: .nanoseconds(now.nanoseconds), replica: replica, sentence: sentence))
    }

    // MARK: Who there is

    mutating func identity(of id: ReplicaID, cluster: UInt8) -> Int {
        if let known = identities[id] { return known }
        let place = identityClusters.count
        identities[id] = place
        identityClusters.append(cluster)
        shorts[id.short.rawValue, default: []].append(place)
        return place
    }

    /// A process has a new life, or a new session within it.
    mutating func began(_ process: Int, life: UInt32, own: MemberRecord, isNewProcess: Bool) {
        let identity = identity(of: own.id, cluster: truths[process].cluster)
        if sessionPlaces[own.session] != nil { report(.w1, process, "session \(own.session) exists already") }
        let place = sessions.count
        sessionPlaces[own.session] = place
        sessions.append(
            Session(
                id: own.session, identity: identity, process: process, life: life, address: own.address,
                announced: own.incarnation, first: own.incarnation))
        truths[process].session = place
        truths[process].accusation = nil
        guard isNewProcess else { return }
        rows[process].removeAll()
        truths[process].isUp = true
        truths[process].began = now
        truths[process].dialled.removeAll()
        truths[process].lags.removeAll()
        truths[process].raises.removeAll()
        truths[process].wasLossy = false
        truths[process].budget = Int64(bounds.burstBytes)
        truths[process].budgetAt = now
    }

    mutating func ended(_ process: Int) {
        guard truths[process].isUp else { return }
        truths[process].isUp = false
        if truths[process].cluster == 0 { measures.upTime += now.nanoseconds - truths[process].began.nanoseconds }
    }

    mutating func durable(_ process: Int, _ identity: PersistedIdentity) {
        let place = truths[process].session
        guard place >= 0, identities[identity.id] == sessions[place].identity,
            identity.incarnation >= sessions[place].first
        else { return }
        sessions[place].isDurable = true
    }

    /// What disturbs a process makes it fair to suspect it.
    mutating func disturbed(_ process: Int, until end: Instant) {
        truths[process].undisturbedSince = max(truths[process].undisturbedSince, end)
    }

    mutating func noteDeath(_ session: Int, _ incarnation: Incarnation) {
        deaths.insert(UInt64(session) << 32 | UInt64(incarnation.rawValue))
    }

    func isKnownDeath(_ session: Int, _ incarnation: Incarnation) -> Bool {
        deaths.contains(UInt64(session) << 32 | UInt64(incarnation.rawValue))
    }

    func row(_ viewer: Int, _ identity: Int) -> Row {
        identity < rows[viewer].count ? rows[viewer][identity] : Row()
    }

    mutating func setRow(_ viewer: Int, _ identity: Int, _ row: Row) {
        while rows[viewer].count <= identity { rows[viewer].append(Row()) }
        rows[viewer][identity] = row
    }

    /// The identity that a viewer means by a short id.
    func identity(meant short: ReplicaShortID, by viewer: Int) -> Int? {
        guard let candidates = shorts[short.rawValue] else { return nil }
        return candidates.count == 1 ? candidates[0] : candidates.first { row(viewer, $0).isHeld }
    }

    /// Of the process that is this session now; nil when it is over.
    func liveProcess(of session: Int) -> Int? {
        guard session >= 0 else { return nil }
        let process = sessions[session].process
        return truths[process].isUp && truths[process].session == session ? process : nil
    }

    @inline(__always)
    func note(_ process: Int) -> Session { sessions[truths[process].session] }

    mutating func announce(_ process: Int, _ incarnation: Incarnation) {
        sessions[truths[process].session].announced = incarnation
    }

    /// It has asked for this to be kept: it is what it will say.
    mutating func raised(_ process: Int, _ identity: PersistedIdentity) {
        let place = truths[process].session
        guard identities[identity.id] == sessions[place].identity else { return }
        sessions[place].announced = max(sessions[place].announced, identity.incarnation)
    }

    mutating func count(_ counter: UInt64, of session: Int) { sessions[session].counter = counter }
}
