/// One kind of inference server: its traits, its questions and answers, what it can do, whose fault its errors are. All
/// knowledge of a kind stands in its own file (`+OpenAI`, `+MLXLM`, …). One object per kind, so that the lane hands it on for
/// the price of a pointer.
package final class WorkerDialect: Sendable {
    /// The word of `cluster_nodes[].kind`.
    package let kind: String
    package let traits: WorkerTraits
    let questions: [ProbeRequest]
    /// Where it tells its own load; nil for a kind that does not.
    package let loadPage: LoadPage?
    /// Where it tells its version and what it can do; nil for a kind that does not.
    package let introduction: IntroductionPage?
    let reading: @Sendable (ProbeReply) -> ProbeReading
    let fitting: @Sendable (RequestNeeds, InferenceRoute) -> Fit
    let judging: @Sendable (AnswerStart) -> Verdict
    /// How a model is brought into memory and sent away; a kind without orders loads what it is asked for.
    package let orders: LoadOrders?

    init(
        kind: String, traits: WorkerTraits, questions: [ProbeRequest], loadPage: LoadPage? = nil,
        introduction: IntroductionPage? = nil,
        reading: @escaping @Sendable (ProbeReply) -> ProbeReading,
        fitting: @escaping @Sendable (RequestNeeds, InferenceRoute) -> Fit,
        judging: @escaping @Sendable (AnswerStart) -> Verdict, orders: LoadOrders? = nil
    ) {
        self.kind = kind
        self.traits = traits
        self.questions = questions
        self.loadPage = loadPage
        self.introduction = introduction
        self.reading = reading
        self.fitting = fitting
        self.judging = judging
        self.orders = orders
    }

    package static let all: [WorkerDialect] = [openAI, mlxLM, llamaCpp, vllmMLX, exo, ollama, lmStudio, oMLX]

    package static func named(_ kind: String) -> WorkerDialect? { all.first { $0.kind == kind } }

    /// What to ask a worker to learn how it is, in order; the first that fails ends the round.
    package func probes() -> [ProbeRequest] { questions }

    package func read(_ reply: ProbeReply) -> ProbeReading { reading(reply) }

    /// Prompts of one request that are asked one after another where a worker takes one at a time.
    package static let promptsOneByOneMax = 16

    /// Whether the kind has the route and can do what a request needs, with a model of this vocabulary.
    package func fit(_ request: ScannedRequest, _ route: InferenceRoute, vocabulary: Int?) -> Fit {
        if traits.takesOnePromptAtATime, request.needs.contains(.listPrompt), !request.needs.contains(.tokenPrompt) {
            guard request.promptRanges.count <= Self.promptsOneByOneMax else {
                return .no(
                    "\(kind) takes one prompt at a time, and at most \(Self.promptsOneByOneMax) one by one",
                    field: "prompt")
            }
            var single = request
            single.needs.remove(.listPrompt)
            // It can, and whoever takes them all at once is quicker.
            let fit = fit(single, route, vocabulary: vocabulary)
            return fit == .yes ? .ignores([]) : fit
        }
        let fit = fit(request.needs, route)
        if case .no = fit { return fit }
        guard let largest = request.largestBias else { return fit }
        if traits.ignoresUnknownTokens, let vocabulary, largest >= vocabulary { return fit.ignoring("logit_bias") }
        guard traits.diesOfUnknownTokens else { return fit }
        guard let vocabulary else {
            return .no("\(kind) takes logit_bias only for a model whose `vocabulary` is declared", field: "logit_bias")
        }
        return largest < vocabulary
            ? fit : .no("\(kind) has no token \(largest); its model knows \(vocabulary)", field: "logit_bias")
    }

    func fit(_ needs: RequestNeeds, _ route: InferenceRoute) -> Fit { fitting(needs, route) }

    /// Whose fault an answer outside 2xx is.
    package func classify(_ answer: AnswerStart) -> Verdict { judging(answer) }

    /// The edits that a request needs to be this worker's: its name for the model, usage on a stream whose client did not
    /// ask for it, progress where there is any, and for `makesStream` a stream although the client wants a plain answer.
    /// `promptPosition`: which prompt of a list is asked alone.
    package func prepare(
        _ scan: ScannedRequest, _ model: ModelOnWorker, askUsage: Bool, makesStream: Bool = false,
        promptPosition: Int? = nil
    ) -> SpliceList {
        var splices = SpliceList()
        if let range = scan.modelRange, scan.model != model.upstreamName {
            var name: [UInt8] = []
            JSONString.append(model.upstreamName, to: &name)
            splices.replace(range, with: name)
        }
        if askUsage, scan.stream || makesStream, scan.includeUsage != true { Self.askForUsage(scan, &splices) }
        if makesStream, !scan.stream {
            // A null that goes anyway is not written over.
            if let range = scan.streamRange, !(scan.streamIsNull && traits.repairs.contains(.removesNulls)) {
                splices.replace(range, with: Array("true".utf8))
            } else {
                let member = scan.objectIsEmpty ? #""stream":true"# : #""stream":true,"#
                splices.insert(Array(member.utf8), at: scan.objectStart)
            }
        }
        if traits.tellsProgressInEvents, scan.generates, scan.stream || makesStream, !scan.wantsProgress {
            if let range = scan.returnProgressRange {
                splices.replace(range, with: Array("true".utf8))
            } else {
                splices.insert(Array(#""return_progress":true,"#.utf8), at: scan.objectStart)
            }
        }
        if let promptPosition, let list = scan.promptListRange {
            let prompt = scan.promptRanges[promptPosition]
            splices.replace(list.lowerBound..<prompt.lowerBound, with: [])
            splices.replace(prompt.upperBound..<list.upperBound, with: [])
        }
        if !traits.repairs.isEmpty { repair(scan, model, &splices) }
        return splices
    }

    /// Places from the top that are looked at when nobody told how many there are: no model in use has fewer.
    static let topKUsual = 1_000

    private func repair(_ scan: ScannedRequest, _ model: ModelOnWorker, _ splices: inout SpliceList) {
        let repairs = traits.repairs
        if repairs.contains(.removesNulls) {
            for range in scan.nulls.ranges { splices.replace(range, with: []) }
        }
        if repairs.contains(.clampsTopK), let topK = scan.topK, let range = scan.topKRange {
            let last = Int64(model.vocabulary.map { max(1, $0 - 1) } ?? Self.topKUsual)
            let taken = topK < 0 ? 0 : min(topK, last)
            if taken != topK { splices.replace(range, with: Array(String(taken).utf8)) }
        }
        if repairs.contains(.foldsSeed), let seed = scan.seed, seed < 0, let range = scan.seedRange {
            splices.replace(range, with: Array(String(seed & .max).utf8))
        }
        if repairs.contains(.unwrapsPrompt), let brackets = scan.promptBrackets {
            splices.replace(brackets.opening, with: [])
            splices.replace(brackets.closing, with: [])
        }
        if repairs.contains(.setsCeiling), scan.outputCeiling == nil, scan.generates {
            // An estimate of what is left of the context: the worker counts exactly.
            let left = model.contextTokens.map { max(1, $0 - scan.estimatedPromptTokens) } ?? .max
            let ceiling = String(min(model.maxOutputTokens, left))
            if let null = scan.maxTokensNull, !repairs.contains(.removesNulls) {
                splices.replace(null, with: Array(ceiling.utf8))
            } else {
                splices.insert(Array(#""max_tokens":\#(ceiling),"#.utf8), at: scan.objectStart)
            }
        }
        if repairs.contains(.renamesCeiling), let key = scan.completionCeilingKey, !scan.hasMaxTokens {
            splices.replace(key, with: Array(#""max_tokens""#.utf8))
        }
        if repairs.contains(.listsStop), let range = scan.stopTextRange, scan.stopRange == nil {
            splices.insert([UInt8(ascii: "[")], at: range.lowerBound)
            splices.insert([UInt8(ascii: "]")], at: range.upperBound)
        }
        if repairs.contains(.removesEmptyStops), let range = scan.stopRange {
            if scan.emptyStops.keepsAny {
                for range in scan.emptyStops.ranges { splices.replace(range, with: []) }
            } else {
                splices.replace(range, with: Array("[]".utf8))
            }
        }
    }

    private static func askForUsage(_ scan: ScannedRequest, _ splices: inout SpliceList) {
        if let range = scan.includeUsageRange {
            splices.replace(range, with: Array("true".utf8))
        } else if let range = scan.streamOptionsRange {
            if scan.streamOptionsIsObject {
                let member = scan.streamOptionsIsEmpty ? #""include_usage":true"# : #""include_usage":true,"#
                splices.insert(Array(member.utf8), at: range.lowerBound + 1)
            } else {
                // `stream_options: null` is the same as none.
                splices.replace(range, with: Array(#"{"include_usage":true}"#.utf8))
            }
        } else {
            let member = #""stream_options":{"include_usage":true}"# + (scan.objectIsEmpty ? "" : ",")
            splices.insert(Array(member.utf8), at: scan.objectStart)
        }
    }
}

/// A model as one worker has it.
package struct ModelOnWorker: Sendable {
    /// What clients call it.
    package let name: String
    package let upstreamName: String
    package let contextTokens: Int?
    package let vocabulary: Int?
    /// Tokens of an answer whose client set no limit.
    package let maxOutputTokens: Int

    /// A usual answer many times over, and an end to one that would not stop.
    package static let maxOutputTokensUsual = 8_192

    package init(
        name: String, upstreamName: String, contextTokens: Int?, vocabulary: Int?, maxOutputTokens: Int? = nil
    ) {
        self.name = name
        self.upstreamName = upstreamName
        self.contextTokens = contextTokens
        self.maxOutputTokens = maxOutputTokens ?? Self.maxOutputTokensUsual
        self.vocabulary = vocabulary
    }
}

package enum Fit: Equatable, Sendable {
    case yes
    /// It answers, without regard to these parameters.
    case ignores([String])
    /// The reason, as half a sentence, and the member of the request that is the reason.
    case no(String, field: String? = nil)

    func ignoring(_ parameter: String) -> Fit {
        switch self {
        case .yes: .ignores([parameter])
        case .ignores(let others): .ignores(others + [parameter])
        case .no: self
        }
    }
}
