/// Something that happens in the world at a time: sixteen bytes, so that an agenda of thousands stays in the cache.
struct WorldEvent: Sendable, Equatable {
    enum Kind: UInt8, Sendable {
        /// `payload` is a packet that reaches the socket of `target`.
        case packet
        /// The timer of `target` runs out.
        case tick
        /// `target` has done what it was at and takes the next thing from its inbox.
        case wake
        /// What `target` wrote is durable; `payload` is the incarnation.
        case persisted
        /// The seeds of `target` are looked up.
        case resolved
        /// `target`, at its end of the pipe `payload`: the first frame in its queue tries to leave.
        case transmit
        /// `target`, at its end of the pipe: the first frame on its way has come.
        case frame
        /// `target` dialled by the pipe `payload`, and this is what became of it.
        case dialled
        /// Somebody dials `target`: the kernels have agreed, and the driver reads the opening.
        case opening
        /// The other side is gone or unreachable.
        case reset
        /// The patience of whoever dialled by the pipe `payload` is over.
        case dialTimeout
        /// A process starts, goes on after a pause, or is told by its operator; `payload` says what.
        case start, resume, order
        /// Line `payload` of the script begins, or its effect ends.
        case script, scriptEnds
        /// The world looks at the whole of itself.
        case inspection
        /// The next part of the run begins.
        case phase
    }

    var kind: Kind
    /// The process that it happens to.
    var target: UInt32
    var payload: UInt32
    /// Of the target: what was meant for an earlier life of it is void.
    var life: UInt32

    init(_ kind: Kind, target: Int = 0, payload: UInt32 = 0, life: UInt32 = 0) {
        self.kind = kind
        self.target = UInt32(truncatingIfNeeded: target)
        self.payload = payload
        self.life = life
    }
}
