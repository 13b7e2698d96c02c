/// One JSON line per exchange, on every path that ends one: what a person needs to understand what happened, and no
/// word of a prompt or an answer.
import Balancing
import Determinism
import ExchangeFlow
import InferenceDialect
import KeyReplication
import ReplicaCore

extension LoopContext {
    func writeAccessLine(of exchange: ExchangeDriver, _ outcome: ExchangeOutcome, at now: Instant) {
        var line = AccessLine(reusing: lineStorage)
        lineStorage = []
        let milliseconds = refreshDate()
        line.raw("{\"time\":\"")
        line.plain(stampText)
        line.fraction(milliseconds)
        line.raw("Z\",\"level\":\"info\",\"event\":\"exchange\"")
        line.text("request_id", exchange.requestID)
        line.text("replica", exchange.configuration.replicaName)
        line.text("client", exchange.clientText)
        line.raw(",\"method\":\"POST\"")
        line.text("path", exchange.route.path)
        if exchange.modelPosition >= 0 { line.text("model", exchange.view.models[exchange.modelPosition].name) }
        if !exchange.lastWorkerID.isEmpty {
            line.text("worker", exchange.lastWorkerID)
            line.text("strategy", exchange.view.strategy.rawValue)
        }
        if let tenant = exchange.tenant { line.text("key_id", tenant.key.rawValue) }
        line.integer("status", exchange.status)
        line.text("outcome", outcome.code)
        line.raw(exchange.scanned?.stream == true ? ",\"stream\":true" : ",\"stream\":false")
        line.integer("attempts", exchange.machine.attempts)
        line.milliseconds("queue_ms", nanoseconds: exchange.queuedNanoseconds)
        if exchange.firstEventAt != .never {
            line.milliseconds(
                "ttft_ms", nanoseconds: exchange.firstEventAt.nanoseconds - exchange.startedAt.nanoseconds)
        }
        line.milliseconds("duration_ms", nanoseconds: now.nanoseconds - exchange.startedAt.nanoseconds)
        line.integer("events", exchange.stream?.cutter.facts.contentEvents ?? 0)
        if let usage = exchange.usage {
            line.integer("prompt_tokens", usage.prompt)
            line.integer("completion_tokens", usage.completion)
            line.integer("cached_tokens", usage.cached)
        }
        line.integer("request_bytes", exchange.bodyBytes)
        line.integer("answer_bytes", exchange.answerBytes)
        if let failure = exchange.lastFailure {
            line.text("failed_worker", failure.workerID)
            line.text("failure", "upstream.\(failure.outcome.code)")
            line.text("failure_detail", failure.detail)
        }
        if let message = exchange.clientMessage { line.text("error", message) }
        if let parent = exchange.fields.traceparent { line.text("trace_id", String(parent.dropFirst(3).prefix(32))) }
        line.raw("}\n")
        lineStorage = line.bytes
        lineStorage.withUnsafeBytes { shared.writeLine($0) }
    }
}
