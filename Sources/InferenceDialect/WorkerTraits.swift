/// How a kind of inference server behaves on the wire, as far as the lane has to know.
package struct WorkerTraits: Equatable, Sendable {
    /// Whether a connection may carry a second request.
    package var poolsConnections: Bool
    /// How long we keep an idle connection: below the server's own limit, so that it rarely closes first.
    package var idleSecondsMax: Int
    package var requestsPerConnectionMax: Int
    /// Dials that may be under way at a time: what does not fit the server's accept queue waits for a repeated SYN.
    package var connectBacklog: Int
    /// How long a connection may lie in that queue after it stands, where that is worth counting: a server whose only thread
    /// accepts when it comes to it. A first byte ends it sooner.
    package var acceptMilliseconds = 0
    /// Exchanges at a time when the operator did not say.
    package var defaultSlots: Int
    /// Whether a comment of the stream shows that the prompt is being computed.
    package var commentsAreProgress: Bool
    /// Whether a stream that is asked for it has events of its own that tell how much of the prompt is computed. A build
    /// that does not know the wish ignores it.
    package var tellsProgressInEvents = false
    /// What a request for one token, which alone proves an engine's life, would cost there.
    package var canary: CanaryCost
    /// Whether it has one model in memory at a time: the one that was asked for last.
    package var keepsOneModel = false
    /// Whether it takes any name of a model: one that it does not list it answers with whatever it has, or fetches. Only
    /// names that it lists are then sent to it.
    package var takesAnyName = false
    /// Whether it serves only clients that call it by a local name: `Host` is then `localhost` unless the operator says.
    package var wantsLocalHost = false
    /// Whether a token id past the model's vocabulary ends the process: `logit_bias` then needs a known vocabulary.
    package var diesOfUnknownTokens: Bool
    /// Whether it answers without regard to such an id.
    package var ignoresUnknownTokens = false
    /// Whether it stops when the client of a plain answer leaves. One that goes on is asked for a stream instead, which it
    /// does stop, and the answer is put together here.
    package var noticesLostPlainClients = true
    /// Whether a plain answer has a head before anything is computed, and an error after it can only be a body cut short: its
    /// head then waits for its end.
    package var holdsPlainAnswers = false
    /// Whether what a plain answer says of probabilities comes in a stream too.
    package var streamsLogprobs = true
    /// What it is silent over while it makes it: it comes whole, after many steps.
    package var withholds: RequestNeeds = []
    /// What makes a request run alone, after all others have ended.
    package var drainsBatch: RequestNeeds = []
    /// Whether an error of its own may mean that it cannot follow a `response_format`.
    package var failsOnStructure = false
    /// Whether its streams may have events whose data is `null`, which no client expects.
    package var sendsEmptyEvents = false
    /// Whether a stream's last event, with the usage alone, calls itself a whole answer.
    package var misnamesUsageEvent = false
    /// Whether each event of its chats calls itself a whole answer.
    package var misnamesEvents = false
    /// Whether its usage tells how much of a prompt was cached; without that nothing is learned of its speed with prompts.
    package var tellsCachedTokens = false
    /// Whether a list of prompts has to be asked prompt by prompt.
    package var takesOnePromptAtATime = false
    /// Whether one exchange too many may end it: what others run there then takes up our slots.
    package var strictSlots = false
    /// Whether a stream tells its usage choice by choice.
    package var countsUsagePerChoice = false
    /// What has to be written otherwise for this kind.
    package var repairs: RequestRepairs
}

package enum CanaryCost: Equatable, Sendable {
    /// A token.
    case token
    /// It would load a model that is not in memory; one that is costs a token.
    case loadUnlessResident
    /// Perhaps money: its word is taken.
    case money
}

/// Edits beyond the model's name and usage that a kind of worker needs. Each says the same in a form that it takes.
package struct RequestRepairs: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Members that are null are left out.
    package static let removesNulls = RequestRepairs(rawValue: 1 << 0)
    /// `top_k` −1 becomes 0, and one past the vocabulary its last place.
    package static let clampsTopK = RequestRepairs(rawValue: 1 << 1)
    /// `seed` is folded to 63 bits.
    package static let foldsSeed = RequestRepairs(rawValue: 1 << 2)
    /// A list of one prompt becomes the prompt.
    package static let unwrapsPrompt = RequestRepairs(rawValue: 1 << 3)
    /// Empty stop sequences are left out.
    package static let removesEmptyStops = RequestRepairs(rawValue: 1 << 4)
    /// `max_completion_tokens` is called `max_tokens`.
    package static let renamesCeiling = RequestRepairs(rawValue: 1 << 5)
    /// A stop sequence becomes a list of one.
    package static let listsStop = RequestRepairs(rawValue: 1 << 6)
    /// A request that sets no limit to its answer gets one: left to themselves servers stop after 512 tokens, or never.
    package static let setsCeiling = RequestRepairs(rawValue: 1 << 7)
}
