/// A choice of a worker, explained: who could have been chosen and what the strategy thought of each, and why not the others.
import Balancing
import Telemetry
import UpstreamLane

enum DecisionPage {
    /// `{"request_id","model","strategy","attempts":[{"attempt","chosen","prompt_tokens","expected_output_tokens","workers":[…]}]}`
    static func json(_ decisions: [PlacementDecision]) -> [UInt8]? {
        guard let first = decisions.first else { return nil }
        var json = JSONText(capacity: 2_048)
        json.openObject()
        json.field("object", "placement.decision")
        json.field("request_id", first.requestID)
        json.field("model", first.model)
        json.field("strategy", first.strategy.rawValue)
        json.key("attempts")
        json.openArray()
        for decision in decisions { append(decision, to: &json) }
        json.closeArray()
        json.closeObject()
        return json.bytes
    }

    private static func append(_ decision: PlacementDecision, to json: inout JSONText) {
        json.openObject()
        json.field("attempt", decision.attempt)
        let workers = decision.workers
        json.field("chosen", workers[decision.chosen].rawValue)
        json.field("prompt_tokens", decision.query.promptTokens)
        json.field("expected_output_tokens", decision.query.outputTokens)
        json.key("workers")
        json.openArray()
        for (position, worker) in workers.enumerated() {
            json.openObject()
            json.field("worker", worker.rawValue)
            json.field("chosen", position == decision.chosen)
            if let place = decision.positions.firstIndex(of: position) {
                append(decision.candidates[place], decision, to: &json)
            }
            if position != decision.chosen {
                let reason =
                    decision.positions.contains(position) ? PlacementReason.candidate : decision.reasons[position]
                json.field("why_not", reason == .candidate ? "the strategy preferred another" : reason.text)
            }
            json.closeObject()
        }
        json.closeArray()
        json.closeObject()
    }

    private static func append(_ candidate: Candidate, _ decision: PlacementDecision, to json: inout JSONText) {
        json.field("running", candidate.running)
        if candidate.foreign > 0 { json.field("foreign", candidate.foreign) }
        json.field("slots", candidate.slots)
        json.field("weight", candidate.weight)
        json.field("prompt_tokens_ahead", candidate.promptTokensAhead)
        json.field("output_tokens_ahead", candidate.outputTokensAhead)
        json.field("prefill_tokens_per_second", candidate.prefillRate)
        json.field("decode_tokens_per_second", candidate.decodeRate)
        if candidate.pressure > 0 { json.field("memory", candidate.pressure) }
        json.field("cached_prompt_tokens", candidate.cachedTokens)
        if let (name, value) = PlacementChooser.score(of: candidate, decision.query, by: decision.strategy) {
            json.field(name, value)
        }
    }
}
