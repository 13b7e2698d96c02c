package import Determinism

/// What may be made to go wrong, for how long and for which requests.
package struct ScriptedFault: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// An error status instead of an answer.
        case refuse
        /// Connects are refused; what runs goes on.
        case closeListener = "close_listener"
        /// The connection breaks with RST before a byte was answered.
        case reset
        /// The answer begins later.
        case slowHead = "slow_head"
        /// Silence after some tokens; the slot stays taken.
        case stall
        /// A head, and never a token; health is fine.
        case zombie
        /// The thread that computes dies: 404 for everybody until a restart.
        case threadDead = "thread_dead"
        /// The connection breaks in the middle of an answer.
        case cut
        /// An error event in a stream that began well.
        case errorEvent = "error_event"
        /// A well-framed end without a finish reason.
        case silentEnd = "silent_end"
        /// The chip computes at a fraction of its rate.
        case slow
        /// Reads and writes stop and nothing is closed, as when a Mac falls asleep.
        case vanish
        /// The process ends as if killed when a matching request arrives.
        case dieOn = "die_on"
        /// Answers carry another model's name.
        case wrongModel = "wrong_model"
        /// The health endpoint says that all is well, whatever is true.
        case lieHealth = "lie_health"
        /// Someone else uses a share of the GPU.
        case foreignLoad = "foreign_load"
        /// Someone else holds memory.
        case memoryTaken = "memory_taken"
        /// The worker takes itself for another one: its node has the name, and its answers have the ids, that every
        /// worker with this fault has.
        case duplicateIdentity = "duplicate_identity"
        /// Connects are neither taken nor refused, as when the accept queue is full.
        case backlogFull = "backlog_full"
        /// The process ends and comes back cold: the port is closed for a while, then models load.
        case restart

        /// Whether it strikes single requests; the others hold for the whole worker while they last.
        package var strikesRequests: Bool {
            switch self {
            case .closeListener, .slow, .vanish, .lieHealth, .foreignLoad, .memoryTaken, .duplicateIdentity,
                .backlogFull, .restart:
                false
            default: true
            }
        }
    }

    package var id = 0
    package var kind: Kind
    /// Requests that pass before the first is struck.
    package var afterRequests = 0
    /// Requests that may be struck; nil: all.
    package var times: Int?
    package var probability = 1.0
    /// Strikes only requests whose body contains this text.
    package var match: [UInt8]?
    /// Tokens before `stall`, `cut`, `error_event` and `silent_end`.
    package var afterTokens = 0
    package var delay: Duration = .milliseconds(1_000)
    package var status = 503
    package var factor = 0.4
    /// Gigabytes that `memory_taken` takes.
    package var gigabytes = 8.0
    /// How long it lasts once it has begun; nil: until it is taken away.
    package var lasts: Duration?
    package internal(set) var endsAt = Instant.never
    /// A fault of the whole worker that waits for a request sleeps until that request has come.
    package internal(set) var isAwake = true

    /// Whether it waits for a request of its choice.
    package var waits: Bool { afterRequests > 0 || match != nil || probability < 1 }

    package init(kind: Kind) { self.kind = kind }

    /// Why the control port's fault could not be read.
    package struct Unreadable: Error, Equatable { package let message: String }

    /// From `{"kind": "stall", "after_tokens": 3, …}`.
    package init(_ value: JSONValue) throws(Unreadable) {
        guard let name = value["kind"]?.text, let kind = Kind(rawValue: name) else {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw Unreadable(message: "kind must be one of: \(known)")
        }
        self.init(kind: kind)
        for member in value.members ?? [] {
            switch (member.name, member.value.number) {
            case ("kind", _): continue
            case ("match", _): match = member.value.text.map { Array($0.utf8) }
            case ("after_requests", let number?) where number >= 0: afterRequests = Int(min(number, 1e9))
            case ("times", let number?) where number >= 1: times = Int(min(number, 1e9))
            case ("probability", let number?) where (0...1).contains(number): probability = number
            case ("after_tokens", let number?) where number >= 0: afterTokens = Int(min(number, 1e9))
            case ("status", let number?) where (400...599).contains(number): status = Int(number)
            case ("factor", let number?) where number > 0 && number <= 1: factor = number
            case ("ms", let number?) where number >= 0: delay = .milliseconds(min(number, 1e9))
            case ("gigabytes", let number?) where number >= 0: gigabytes = min(number, 1e6)
            case ("for_ms", let number?) where number >= 0: lasts = .milliseconds(min(number, 1e9))
            default: throw Unreadable(message: "\(member.name): unknown, or a value that means nothing here")
            }
        }
    }
}
