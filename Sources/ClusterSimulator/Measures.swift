import Determinism
import Membership
import WireCoding

/// What is counted besides what is checked. Times are nanoseconds of the world.
struct Measures: Sendable {
    /// From the end of a process to the first verdict, and to the last.
    var firstDetections: [Int64] = []
    var allDetections: [Int64] = []
    /// From a start, a goodbye, the end of the faults, until all know.
    var joins: [Int64] = []
    var leaves: [Int64] = []
    var heals: [Int64] = []
    /// Verdicts over those that were up, and reachable for as long as it took.
    var falseDeaths = 0
    /// Nanoseconds that processes were up, all together, since all had met.
    var upTime: Int64 = 0
    var marks = [Int](repeating: 0, count: Mark.allCases.count)
    var drops = [Int](repeating: 0, count: DropReason.allCases.count)
    var applied = 0
    var packets = 0
    /// With the headers of IPv4 and UDP, as bars count them.
    var bytes: [Int]
    var ticks: [Int]
    var streams = 0
    static let ipHeaderBytes = 28

    init(processes: Int) {
        bytes = Array(repeating: 0, count: processes)
        ticks = Array(repeating: 0, count: processes)
    }

    mutating func sent(_ process: Int, _ count: Int) {
        packets += 1
        bytes[process] += count + Self.ipHeaderBytes
    }
}

/// Something that all should come to know, and since when it is so.
struct Watch: Sendable, Equatable {
    enum Kind: Sendable { case death, join, leave }

    let kind: Kind
    let identity: Int
    /// Of the life that is meant.
    let session: Int
    let began: Instant
    /// Somebody knows.
    var isSeen = false
    /// Everybody below this number is known to know.
    var knownBelow = 0
    static let countMax = 64
}

extension Observer {
    mutating func watch(_ kind: Watch.Kind, _ session: Int) {
        guard session >= 0, watches.count < Watch.countMax else { return }
        let identity = sessions[session].identity
        watches.removeAll { $0.identity == identity }
        watches.append(Watch(kind: kind, identity: identity, session: session, began: now))
    }

    /// The identity is back, or the run goes another way: nobody will ever know.
    mutating func endWatches(of identity: Int) { watches.removeAll { $0.identity == identity } }
    mutating func endWatches() { watches.removeAll() }

    /// A view's row changed: does everybody know now?
    mutating func noteProgress(_ viewer: Int, _ identity: Int, _ row: Row) {
        guard let place = watches.firstIndex(where: { $0.identity == identity }), knows(watches[place], row) else {
            return
        }
        if !watches[place].isSeen {
            watches[place].isSeen = true
            if watches[place].kind == .death {
                measures.firstDetections.append(now.nanoseconds - watches[place].began.nanoseconds)
            }
        }
        finish(place)
    }

    private mutating func finish(_ place: Int) {
        let watch = watches[place]
        while watches[place].knownBelow < truths.count {
            let viewer = watches[place].knownBelow
            let isAsked =
                truths[viewer].isUp && truths[viewer].cluster == 0
                && sessions[truths[viewer].session].identity != watch.identity
            guard !isAsked || knows(watch, self.row(viewer, watch.identity)) else { return }
            watches[place].knownBelow += 1
        }
        let took = now.nanoseconds - watch.began.nanoseconds
        switch watch.kind {
        case .death: measures.allDetections.append(took)
        case .join: measures.joins.append(took)
        case .leave: measures.leaves.append(took)
        }
        watches.remove(at: place)
    }

    private func knows(_ watch: Watch, _ row: Row) -> Bool {
        switch watch.kind {
        case .death: row.session == Int32(watch.session) && row.isHeld && row.status >= MemberStatus.dead.rawValue
        case .leave: row.session == Int32(watch.session) && row.status == MemberStatus.left.rawValue
        case .join: row.session == Int32(watch.session) && row.status == MemberStatus.alive.rawValue && !row.isRemoved
        }
    }

    /// A verdict: was it just?
    mutating func noteVerdict(_ viewer: Int, _ identity: Int, _ row: Row, waited: Nanoseconds) {
        guard truths[viewer].cluster == 0, let process = liveProcess(of: Int(row.session)) else { return }
        // From the first unanswered ping to the verdict.
        let began = now + Nanoseconds(rawValue: -waited.rawValue - 4 * timing.period.rawValue)
        guard truths[process].undisturbedSince < began, truths[viewer].undisturbedSince < began else { return }
        let name = UInt64(UInt32(row.session)) << 32 | UInt64(row.incarnation)
        guard !falselyDead.contains(name) else { return }
        falselyDead.insert(name)
        measures.falseDeaths += 1
    }
}
