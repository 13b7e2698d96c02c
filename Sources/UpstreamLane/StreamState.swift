/// What is known of a worker's event stream, and which of its bytes wait.
import InferenceDialect
import NIOCore

struct StreamState {
    var cutter: EventStreamCutter
    /// The usage chunk exists because we asked for it: the client does not see it.
    let hidesUsage: Bool
    /// The usage chunk, which the client asked for, calls itself a whole answer: it is passed on by its right name.
    let renamesUsage: Bool
    /// Events of progress exist because we asked for them: the client does not see them.
    let hidesProgress: Bool
    /// Events without data are kept from the client.
    let dropsEmpty: Bool
    /// Whether `[DONE]` alone proves a whole answer. A generic OpenAI server's word is taken; a server known to write
    /// `[DONE]` after an error, or to end a crash like an answer, has to show a finish.
    let doneProvesEnd: Bool
    /// Chat and completion streams prove their end by a finish, messages and responses by their last event; other routes
    /// end by their framing.
    let provesEnd: Bool
    /// Whether the route's streams end with `[DONE]`.
    let saysDone: Bool
    /// Whether an unfinished frame at the end of a read waits for its rest, because it may turn out to be one that is
    /// withheld or preceded by an error.
    var holdsTail: Bool { hidesUsage || renamesUsage || hidesProgress || !doneProvesEnd }
    /// Whole frames that are no content yet, kept back until content commits this worker.
    var held: [ByteBuffer] = []
    var heldBytes = 0
    /// The unfinished frame at the end of the last read.
    var carry: [ByteBuffer] = []
    var carryBytes = 0
    /// The unfinished frame outgrew its bound and travels as it comes.
    var passesTail = false
    /// The client's bytes end inside a frame.
    var isInsideFrame = false
    var sawErrorEvent = false
    var hasToldTruncation = false

    /// `assembly`: the answer that is put together of the stream, if one is.
    init(route: InferenceRoute, dialect: WorkerDialect, _ scanned: ScannedRequest, assembly: AnswerAssembly?) {
        let isCompletion = route == .chatCompletions || route == .completions
        cutter = EventStreamCutter(
            route: route, commentProgress: dialect.traits.commentsAreProgress,
            eventProgress: isCompletion && dialect.traits.tellsProgressInEvents,
            counting: dialect.traits.countsUsagePerChoice
                ? .perChoice(choicesPerPrompt: scanned.choices) : .lastWins,
            assembly: assembly)
        hidesUsage = isCompletion && scanned.includeUsage != true
        hidesProgress = isCompletion && dialect.traits.tellsProgressInEvents && !scanned.wantsProgress
        dropsEmpty = dialect.traits.sendsEmptyEvents
        renamesUsage = dialect.traits.misnamesUsageEvent && route == .chatCompletions && !hidesUsage
        saysDone = isCompletion
        provesEnd = isCompletion || route == .other("messages") || route == .other("responses")
        doneProvesEnd = (isCompletion && dialect.kind == "openai") || !provesEnd
    }

    /// Whether the answer so far is whole, whatever the connection does next.
    var isProven: Bool {
        if sawErrorEvent { return false }
        let facts = cutter.facts
        // `[DONE]` after nothing is the end of nothing.
        return facts.isComplete || (doneProvesEnd && facts.doneSeen && facts.contentEvents > 0)
    }
}
