/// Which upstream connection serves the next attempt on a worker: one kept from before, or a fresh one. One pool per
/// event loop, so nothing is shared and a connection never changes threads.
///
/// Kept connections save a handshake and risk two things. A worker may be closing one at the moment it is taken (the
/// exchange retries that on a fresh one), which is why idle time stays below the worker's own and the latest returned
/// is taken first. And a connection whose framing is in doubt would hand one client another's bytes, so *any* doubt
/// closes it (L11). The pool never queues: slots are counted for the whole replica elsewhere.
package import Balancing
package import Determinism

package struct UpstreamPoolMachine: Sendable {
    /// A connection's name while it lives; the number is used again, the generation is not.
    package struct ConnectionID: Hashable, Sendable {
        let position: Int32
        let generation: UInt32
    }

    package enum Lease: Equatable, Sendable { case reuse(ConnectionID), dial }

    /// What the driver saw of the exchange that used the connection.
    package struct Evidence: Equatable, Sendable {
        package var endedByFraming: Bool
        package var requestFullyWritten: Bool
        package var bothKeepAlive: Bool
        package var nothingAfterEnd: Bool

        package init(endedByFraming: Bool, requestFullyWritten: Bool, bothKeepAlive: Bool, nothingAfterEnd: Bool) {
            self.endedByFraming = endedByFraming
            self.requestFullyWritten = requestFullyWritten
            self.bothKeepAlive = bothKeepAlive
            self.nothingAfterEnd = nothingAfterEnd
        }

        package static let clean = Evidence(
            endedByFraming: true, requestFullyWritten: true, bothKeepAlive: true, nothingAfterEnd: true)
        var isBeyondDoubt: Bool { endedByFraming && requestFullyWritten && bothKeepAlive && nothingAfterEnd }
    }

    package enum Return: Equatable, Sendable { case keep, close(Reason) }
    package enum Reason: String, Equatable, Sendable {
        case doubt, workerRemoved, tooOld, tooManyRequests, poolFull, notPooled
    }

    /// How long and how often a worker's connections may be used.
    package struct Rules: Equatable, Sendable {
        package var poolsConnections: Bool
        /// Per worker and loop.
        package var idleConnectionsMax: Int
        /// Below the workers' own keep-alive, of which 5 s is common.
        package var idle: Duration
        package var age: Duration
        package var requestsMax: Int

        package init(
            poolsConnections: Bool = true, idleConnectionsMax: Int = 64, idle: Duration = .seconds(4),
            age: Duration = .seconds(300), requestsMax: Int = 1_000
        ) {
            self.poolsConnections = poolsConnections
            self.idleConnectionsMax = idleConnectionsMax
            self.idle = idle
            self.age = age
            self.requestsMax = requestsMax
        }
    }

    private enum State: Sendable { case free, leased, idle }

    private struct Entry: Sendable {
        var state = State.free
        var generation: UInt32 = 0
        var worker = 0
        var requests = 0
        var expiresAt = Instant.never
        var idleUntil = Instant.never

        func isFresh(at now: Instant) -> Bool { idleUntil > now && expiresAt > now }
    }

    private struct Shelf: Sendable {
        var rules = Rules()
        var isRemoved = false
        /// The latest returned is last.
        var idle: [Int32] = []
    }

    private var entries: [Entry] = []
    private var freePositions: [Int32] = []
    private var shelves: [Shelf] = []

    package init() {}

    package private(set) var idleCount = 0
    package private(set) var leasedCount = 0

    /// The worker is in the view (again) under these rules. Without a call the defaults hold.
    package mutating func admit(_ worker: WorkerIndex, rules: Rules) {
        makeShelf(for: worker)
        shelves[worker.rawValue].rules = rules
        shelves[worker.rawValue].isRemoved = false
    }

    /// The latest returned connection that is still fresh, or the advice to dial. What turns out too old on the way
    /// is listed in `closing`.
    package mutating func lease(
        _ worker: WorkerIndex, at now: Instant, closing: inout [ConnectionID]
    ) -> Lease {
        guard worker.rawValue < shelves.count else { return .dial }
        while let position = shelves[worker.rawValue].idle.popLast() {
            let index = Int(position)
            idleCount -= 1
            guard entries[index].isFresh(at: now) else {
                closing.append(release(index))
                continue
            }
            entries[index].state = .leased
            entries[index].requests += 1
            leasedCount += 1
            return .reuse(id(of: index))
        }
        return .dial
    }

    /// A dialled connection is up, and leased by who dialled it.
    package mutating func opened(_ worker: WorkerIndex, at now: Instant) -> ConnectionID {
        makeShelf(for: worker)
        let index: Int
        if let position = freePositions.popLast() {
            index = Int(position)
        } else {
            index = entries.count
            entries.append(Entry())
        }
        entries[index].state = .leased
        entries[index].worker = worker.rawValue
        entries[index].requests = 1
        entries[index].expiresAt = now + shelves[worker.rawValue].rules.age
        leasedCount += 1
        return id(of: index)
    }

    /// The exchange is done with it. `.close` forgets the connection; the driver closes it.
    package mutating func returned(_ connection: ConnectionID, _ evidence: Evidence, at now: Instant) -> Return {
        guard let index = index(of: connection), entries[index].state == .leased else { return .close(.doubt) }
        leasedCount -= 1
        if let reason = reasonToClose(index, evidence, at: now) {
            _ = release(index)
            return .close(reason)
        }
        let worker = entries[index].worker
        entries[index].state = .idle
        entries[index].idleUntil = now + shelves[worker].rules.idle
        shelves[worker].idle.append(Int32(index))
        idleCount += 1
        return .keep
    }

    /// Bytes, EOF or an error on it. True when it was known here and has to be closed now; a leased one is reported
    /// by its exchange as well, which then finds it unknown.
    package mutating func spokeOrEnded(_ connection: ConnectionID) -> Bool {
        guard let index = index(of: connection) else { return false }
        switch entries[index].state {
        case .free: return false
        case .leased: leasedCount -= 1
        case .idle: takeOffShelf(index)
        }
        _ = release(index)
        return true
    }

    /// Lists what has been idle or alive too long.
    package mutating func expire(at now: Instant, closing: inout [ConnectionID]) {
        for worker in shelves.indices { removeIdle(of: worker, closing: &closing) { !$0.isFresh(at: now) } }
    }

    /// The worker left the view: its idle connections close, its leased ones on return.
    package mutating func remove(_ worker: WorkerIndex, closing: inout [ConnectionID]) {
        makeShelf(for: worker)
        shelves[worker.rawValue].isRemoved = true
        removeIdle(of: worker.rawValue, closing: &closing) { _ in true }
    }

    /// The pool is closing.
    package mutating func closeIdle(closing: inout [ConnectionID]) {
        for worker in shelves.indices { removeIdle(of: worker, closing: &closing) { _ in true } }
    }

    /// When `expire` has something to do next; `.never` with nothing idle.
    package var nextDeadline: Instant {
        guard idleCount > 0 else { return .never }
        var earliest = Instant.never
        for shelf in shelves {
            for position in shelf.idle {
                earliest = min(earliest, entries[Int(position)].idleUntil, entries[Int(position)].expiresAt)
            }
        }
        return earliest
    }

    package func idleCount(of worker: WorkerIndex) -> Int {
        worker.rawValue < shelves.count ? shelves[worker.rawValue].idle.count : 0
    }

    // MARK: Parts

    private func reasonToClose(_ index: Int, _ evidence: Evidence, at now: Instant) -> Reason? {
        let shelf = shelves[entries[index].worker]
        if !evidence.isBeyondDoubt { return .doubt }
        if shelf.isRemoved { return .workerRemoved }
        if !shelf.rules.poolsConnections { return .notPooled }
        if entries[index].requests >= shelf.rules.requestsMax { return .tooManyRequests }
        if entries[index].expiresAt <= now { return .tooOld }
        if shelf.idle.count >= shelf.rules.idleConnectionsMax { return .poolFull }
        return nil
    }

    private mutating func removeIdle(
        of worker: Int, closing: inout [ConnectionID], where isDue: (Entry) -> Bool
    ) {
        var kept = 0
        for position in shelves[worker].idle {
            if isDue(entries[Int(position)]) {
                idleCount -= 1
                closing.append(release(Int(position)))
            } else {
                shelves[worker].idle[kept] = position
                kept += 1
            }
        }
        shelves[worker].idle.removeLast(shelves[worker].idle.count - kept)
    }

    private mutating func takeOffShelf(_ index: Int) {
        shelves[entries[index].worker].idle.removeAll { $0 == Int32(index) }
        idleCount -= 1
    }

    /// Forgets the connection and answers with the name it had.
    private mutating func release(_ index: Int) -> ConnectionID {
        let name = id(of: index)
        entries[index].state = .free
        entries[index].generation &+= 1
        freePositions.append(Int32(index))
        return name
    }

    private func id(of index: Int) -> ConnectionID {
        ConnectionID(position: Int32(index), generation: entries[index].generation)
    }

    private func index(of connection: ConnectionID) -> Int? {
        let index = Int(connection.position)
        guard index < entries.count, entries[index].generation == connection.generation else { return nil }
        return index
    }

    private mutating func makeShelf(for worker: WorkerIndex) {
        precondition(worker.rawValue >= 0, "a worker's index is a position on the board")
        while shelves.count <= worker.rawValue { shelves.append(Shelf()) }
    }
}
