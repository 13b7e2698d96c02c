/// The lane's contexts, one per event loop of the server, and what is said to all of them at once.
import NIOCore
import NIOPosix
import UpstreamLane

struct Lanes: Sendable {
    private let contexts: [ObjectIdentifier: NIOLoopBound<LoopContext>]
    /// Each loop's counts, readable from anywhere.
    let tallies: [LockedTally]
    /// Each loop's last choices of workers.
    let decisions: [DecisionLog]

    /// Makes each context on its own loop.
    init(group: MultiThreadedEventLoopGroup, shared: LaneShared) async throws {
        var contexts: [ObjectIdentifier: NIOLoopBound<LoopContext>] = [:]
        var tallies: [LockedTally] = []
        var decisions: [DecisionLog] = []
        for (ordinal, eventLoop) in group.makeIterator().enumerated() {
            let (context, tally, log) = try await eventLoop.submit {
                let context = LoopContext(eventLoop: eventLoop, shared: shared, ordinal: ordinal)
                return (NIOLoopBound(context, eventLoop: eventLoop), context.tally, context.decisions)
            }.get()
            contexts[ObjectIdentifier(eventLoop)] = context
            tallies.append(tally)
            decisions.append(log)
        }
        self.contexts = contexts
        self.tallies = tallies
        self.decisions = decisions
    }

    /// The context of the loop that calls. Connections are set up on their own loop, which is one of the group's.
    func ofThisLoop() -> LoopContext {
        guard let eventLoop = MultiThreadedEventLoopGroup.currentEventLoop,
            let context = contexts[ObjectIdentifier(eventLoop)]
        else { preconditionFailure("a connection was set up outside the server's event loops") }
        return context.value
    }

    /// After `delay`, whatever is still open ends, telling its client so.
    func endAll(after delay: TimeAmount) {
        for context in contexts.values {
            context.eventLoop.scheduleTask(in: delay) { context.value.endAll() }
        }
    }
}
