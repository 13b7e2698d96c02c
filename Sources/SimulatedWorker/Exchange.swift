import Determinism

/// One request inside a worker.
package struct ExchangeID: Hashable, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }
}

package enum Phase: String, Sendable {
    case queued
    case prefill
    case decode
}

/// What the wire has to do for an exchange.
package enum Output: Sendable, Equatable {
    case head(ExchangeID)
    /// So much of the prompt was in the cache: said before the head to those whose answer begins with it.
    case cached(ExchangeID, Int)
    case progress(ExchangeID, done: Int, of: Int)
    /// So many further tokens of every choice that still has some.
    case tokens(ExchangeID, Int)
    case finish(ExchangeID, cachedTokens: Int)
    case refuse(ExchangeID, status: Int, body: [UInt8])
    /// The connection breaks at once; with `rudely`, by RST.
    case hangUp(ExchangeID, rudely: Bool)
    case errorEvent(ExchangeID)
    /// A comment against silence.
    case comment(ExchangeID)
    /// The answer's framing ends, its meaning does not.
    case silentEnd(ExchangeID)
    /// The process is killed.
    case processDies
    /// The process ends by itself, as SIGTERM asked it to.
    case processEnds
    /// Every connection is closed, also those that wait for nothing.
    case closeConnections
}

/// What the machine remembers of an exchange.
struct Exchange: Sendable {
    /// An ending that a fault put in place of the natural one.
    enum Trick: Sendable, Equatable {
        case stall
        case cut
        case errorEvent
        case silentEnd
    }

    let id: ExchangeID
    let model: Int
    let stream: Bool
    let runsAlone: Bool
    /// Slots that it takes: each choice of llama.cpp decodes in one of its own.
    let slots: Int
    let plan: AnswerPlan
    let noticing: Noticing
    /// As its batch is sampled, which may not be what it asked for.
    let temperature: Double
    /// How long its model is to stay afterwards, if it says so.
    let keepAlive: KeepAlive?
    var phase = Phase.queued
    var headSent = false
    var isGone = false
    /// When the server will find out that its client has gone.
    var noticedAt: Instant?
    /// When the stream last said anything.
    var saidAt = Instant.zero
    /// The answer begins with the count of cached tokens.
    var wantsCached = false
    /// Prefill steps are told to the client.
    var wantsProgress = false
    /// A scripted delay: neither head nor prefill before this.
    var notBefore = Instant.zero
    var cached = 0
    /// Prompt tokens in the cache, taken over or computed.
    var prefilled = 0
    var told = 0
    /// Takes part in the decode step that runs.
    var isInStep = false
    var isStalled = false
    var trick: Trick?
    var trickAfter = 0

    var prefillMissing: Int { plan.promptTokens - prefilled }
}
