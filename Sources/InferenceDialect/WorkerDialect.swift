/// One kind of inference server as a value: its traits, its questions and answers, what it can do, whose fault its errors
/// are. All knowledge of a kind stands in its own file (`+OpenAI`, `+MLXLM`, `+LlamaCpp`).
package struct WorkerDialect: Sendable {
    /// The word of `cluster_nodes[].kind`.
    package let kind: String
    package let traits: WorkerTraits
    let questions: [ProbeRequest]
    let reading: @Sendable (ProbeReply) -> ProbeReading
    let fitting: @Sendable (RequestNeeds, InferenceRoute) -> Fit
    let judging: @Sendable (AnswerStart) -> Verdict

    package static func named(_ kind: String) -> WorkerDialect? {
        switch kind {
        case openAI.kind: openAI
        case mlxLM.kind: mlxLM
        case llamaCpp.kind: llamaCpp
        default: nil
        }
    }

    /// What to ask a worker to learn how it is, in order; the first that fails ends the round.
    package func probes() -> [ProbeRequest] { questions }

    package func read(_ reply: ProbeReply) -> ProbeReading { reading(reply) }

    /// Whether the kind has the route and can do what a request needs.
    package func fit(_ needs: RequestNeeds, _ route: InferenceRoute) -> Fit { fitting(needs, route) }

    /// Whose fault an answer outside 2xx is.
    package func classify(_ answer: AnswerStart) -> Verdict { judging(answer) }

    /// The edits that a request needs to be this worker's: its name for the model, and usage on a stream whose client did
    /// not ask for it.
    package func prepare(_ scan: ScannedRequest, _ model: ModelOnWorker, askUsage: Bool) -> SpliceList {
        var splices = SpliceList()
        if let range = scan.modelRange, scan.model != model.upstreamName {
            var name: [UInt8] = []
            JSONString.append(model.upstreamName, to: &name)
            splices.replace(range, with: name)
        }
        if askUsage, scan.stream, scan.includeUsage != true { Self.askForUsage(scan, &splices) }
        return splices
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

    package init(name: String, upstreamName: String, contextTokens: Int?, vocabulary: Int?) {
        self.name = name
        self.upstreamName = upstreamName
        self.contextTokens = contextTokens
        self.vocabulary = vocabulary
    }
}

package enum Fit: Equatable, Sendable {
    case yes
    /// It answers, without regard to these parameters.
    case ignores([String])
    /// The reason, as half a sentence.
    case no(String)
}
