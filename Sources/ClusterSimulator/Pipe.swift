import Determinism
import Membership
import WireCoding

/// A stream between two processes: two queues of frames in order, on the same links as packets. Lost segments are sent
/// again, so loss is only delay here, until a kernel gives up.
struct Pipe: Sendable {
    enum State: Sendable { case free, dialling, open }

    /// Either the bytes of one frame or, empty, the end.
    typealias Item = [UInt8]

    struct End: Sendable {
        var process = 0
        var life: UInt32 = 0
        var id = StreamID(rawValue: 0)
        /// Its machine knows of it and has not closed it.
        var isHeld = false
        var queue: [Item] = []
        var onTheWay: [Item] = []
        /// Tries of the first in the queue.
        var tries = 0
        /// Nothing arrives at the other end before this.
        var orderedAfter = Instant.zero
    }

    /// Retransmissions of one segment before the connection is given up.
    static let triesMax = 8
    /// RFC 6298's least, as Linux has it.
    static let retransmission = Nanoseconds.milliseconds(200)
    /// What drivers grant a stream without progress (they close it then).
    static let patience = Nanoseconds.seconds(3)

    var state = State.free
    var generation: UInt32 = 0
    var purpose = StreamPurpose.join
    /// 0 dialled, 1 listens.
    var ends = (End(), End())
    var failure = StreamFailure.timeout
    var progressAt = Instant.zero

    mutating func withEnd<R>(_ side: Int, _ body: (inout End) -> R) -> R { side == 0 ? body(&ends.0) : body(&ends.1) }
    func end(_ side: Int) -> End { side == 0 ? ends.0 : ends.1 }
}

/// All pipes of a world. A name is a place and a generation, so an event for one that is over finds nothing.
struct Pipes: Sendable {
    private(set) var pipes: [Pipe] = []
    private var free: [UInt32] = []

    subscript(place: Int) -> Pipe {
        _read { yield pipes[place] }
        _modify { yield &pipes[place] }
    }

    mutating func make() -> UInt32 {
        if free.isEmpty {
            precondition(pipes.count < 1 << 16, "more streams at once than the world has names for")
            pipes.append(Pipe())
            free.append(UInt32(pipes.count - 1))
        }
        let place = Int(free.removeLast())
        let generation = (pipes[place].generation + 1) & 0xffff
        pipes[place] = Pipe()
        pipes[place].generation = generation
        pipes[place].state = .dialling
        return generation << 16 | UInt32(place)
    }

    func place(_ name: UInt32) -> Int? {
        let place = Int(name & 0xffff)
        guard place < pipes.count, pipes[place].state != .free, pipes[place].generation == name >> 16 else {
            return nil
        }
        return place
    }

    mutating func end(_ name: UInt32) {
        guard let place = place(name) else { return }
        pipes[place].state = .free
        pipes[place].ends = (Pipe.End(), Pipe.End())
        free.append(UInt32(place))
    }

    var inUse: Int { pipes.count - free.count }
}
