package import Determinism

/// One thing that goes wrong, or that an operator does, at a time from the beginning of the run.
package struct ScriptLine: Sendable, Hashable {
    package var at: Nanoseconds
    package var trouble: Trouble

    package init(at: Nanoseconds, _ trouble: Trouble) {
        self.at = at
        self.trouble = trouble
    }
}

/// Replicas are meant by their numbers, from 0. What lasts ends by itself; what does not, at the end of the faults.
package enum Trouble: Sendable, Hashable {
    /// At a random place between the effects of one batch, so that half of them happened. Nil: it is started again when
    /// the faults end.
    case crash(Int, disk: DiskFate, host: HostFate, restartAfter: Nanoseconds?)
    /// It is not started again at all.
    case dies(Int, isHostGone: Bool)
    /// Everybody ends, and starts again within that time.
    case crashAll(restartWithin: Nanoseconds)
    case pause(Int, Nanoseconds)
    /// Each thing that it handles takes so many times as long.
    case slow(Int, factor: Int, Nanoseconds)
    /// Replicas with the same number hear each other. `Cuts.bridge` hears and is heard by all.
    case part([UInt8], isOneWay: Bool, Nanoseconds)
    /// In one direction.
    case cut(from: Int, to: Int, datagrams: Bool, streams: Bool, Nanoseconds)
    /// The wall clock jumps.
    case jump(Int, seconds: Int64)
    /// A middlebox sends its packets from another port from now on.
    case rebind(Int)
    /// For that long links behave so.
    case weather(LinkWeather, Nanoseconds)
    /// A replica starts that did not run from the beginning.
    case join(Int)
    /// It says goodbye, ends, and if a time is given starts again.
    case leave(Int, restartAfter: Nanoseconds?)
    /// The first is told that the second is gone for good.
    case forceLeave(by: Int, of: Int)
    /// A traffic key is made on this replica, and the flock moves to it.
    case rotate(by: Int)
    /// A replica of another cluster starts, with the seeds of this one, at the address of this replica if that is down.
    case stranger(at: Int)

    /// What a process finds when it starts again.
    package enum DiskFate: UInt8, Sendable, CaseIterable {
        case kept
        /// What was written and not synced is gone.
        case unsyncedLost
        case wiped
        case olderBackup
        /// The disk of the next replica, copied.
        case clone
    }

    /// Where it starts again, and what its machine answers meanwhile.
    package enum HostFate: UInt8, Sendable, CaseIterable {
        /// The machine stays up and refuses connections.
        case refuses
        /// The machine is gone and answers nothing.
        case silent
        /// It comes back at an address that nobody had.
        case moves
        /// It comes back at the address of another replica that is down then, if there is one.
        case takesAnother
    }
}

extension Trouble {
    /// As it is written in a test.
    package var code: String {
        switch self {
        case .crash(let replica, let disk, let host, let after):
            ".crash(\(replica), disk: .\(disk), host: .\(host), restartAfter: \(Self.code(after)))"
        case .dies(let replica, let isHostGone): ".dies(\(replica), isHostGone: \(isHostGone))"
        case .crashAll(let within): ".crashAll(restartWithin: \(Self.code(within)))"
        case .pause(let replica, let length): ".pause(\(replica), \(Self.code(length)))"
        case .slow(let replica, let factor, let length): ".slow(\(replica), factor: \(factor), \(Self.code(length)))"
        case .part(let groups, let isOneWay, let length):
            ".part(\(groups), isOneWay: \(isOneWay), \(Self.code(length)))"
        case .cut(let from, let to, let datagrams, let streams, let length):
            ".cut(from: \(from), to: \(to), datagrams: \(datagrams), streams: \(streams), \(Self.code(length)))"
        case .jump(let replica, let seconds): ".jump(\(replica), seconds: \(seconds))"
        case .rebind(let replica): ".rebind(\(replica))"
        case .weather(let weather, let length): ".weather(\(weather.code), \(Self.code(length)))"
        case .join(let replica): ".join(\(replica))"
        case .leave(let replica, let after): ".leave(\(replica), restartAfter: \(Self.code(after)))"
        case .forceLeave(let by, let of): ".forceLeave(by: \(by), of: \(of))"
        case .rotate(let by): ".rotate(by: \(by))"
        case .stranger(let at): ".stranger(at: \(at))"
        }
    }

    private static func code(_ span: Nanoseconds) -> String { ".milliseconds(\(span.wholeMilliseconds))" }
    private static func code(_ span: Nanoseconds?) -> String { span.map { code($0) } ?? "nil" }
}

extension ScriptLine: CustomStringConvertible {
    package var description: String { "ScriptLine(at: .milliseconds(\(at.wholeMilliseconds)), \(trouble.code))," }
}
