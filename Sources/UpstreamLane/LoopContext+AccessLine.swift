/// One JSON line per exchange, on every path that ends one: what a person needs to understand what happened, and no
/// word of a prompt or an answer.
import Balancing
import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import KeyReplication
import NIOCore
import ReplicaCore

extension LoopContext {
    func writeAccessLine(of exchange: ExchangeDriver, _ outcome: ExchangeOutcome, at now: Instant) {
        line.removeAll(keepingCapacity: true)
        let milliseconds = LoopClock.wallMilliseconds() % 1_000
        raw("{\"time\":\"")
        raw(stampText)
        raw(milliseconds < 10 ? ".00" : milliseconds < 100 ? ".0" : ".")
        number(Int(milliseconds))
        raw("Z\",\"level\":\"info\",\"event\":\"exchange\"")
        text("request_id", exchange.requestID)
        text("replica", exchange.configuration.replicaName)
        text("client", exchange.clientText)
        raw(",\"method\":\"POST\"")
        text("path", exchange.route.path)
        if exchange.modelPosition >= 0 { text("model", exchange.view.models[exchange.modelPosition].name) }
        if !exchange.lastWorkerID.isEmpty {
            text("worker", exchange.lastWorkerID)
            text("strategy", exchange.view.strategy.rawValue)
        }
        if let tenant = exchange.tenant { text("key_id", tenant.key.rawValue) }
        integer("status", exchange.status)
        text("outcome", outcome.code)
        raw(exchange.scanned?.stream == true ? ",\"stream\":true" : ",\"stream\":false")
        integer("attempts", exchange.machine.attempts)
        seconds("queue_ms", exchange.queuedNanoseconds)
        if exchange.firstEventAt != .never {
            seconds("ttft_ms", exchange.firstEventAt.nanoseconds - exchange.startedAt.nanoseconds)
        }
        seconds("duration_ms", now.nanoseconds - exchange.startedAt.nanoseconds)
        integer("events", exchange.stream?.cutter.facts.contentEvents ?? 0)
        if let usage = exchange.usage {
            integer("prompt_tokens", usage.prompt)
            integer("completion_tokens", usage.completion)
            integer("cached_tokens", usage.cached)
        }
        integer("request_bytes", exchange.bodyBytes)
        integer("answer_bytes", exchange.answerBytes)
        if let failure = exchange.lastFailure {
            text("failed_worker", failure.workerID)
            text("failure", "upstream.\(failure.outcome.code)")
            text("failure_detail", failure.detail)
        }
        if let message = exchange.clientMessage { text("error", message) }
        if let parent = exchange.fields.traceparent {
            text("trace_id", String(parent.dropFirst(3).prefix(32)))
        }
        raw("}\n")
        line.withUnsafeBytes { shared.writeLine($0) }
    }

    private func raw(_ text: String) { line.append(contentsOf: text.utf8) }

    private func number(_ value: Int) { line.append(contentsOf: String(value).utf8) }

    private func integer(_ name: String, _ value: Int) {
        key(name)
        number(value)
    }

    /// Milliseconds with three digits behind the point, from nanoseconds.
    private func seconds(_ name: String, _ nanoseconds: Int64) {
        key(name)
        let microseconds = max(0, Int(nanoseconds / 1_000))
        number(microseconds / 1_000)
        let rest = microseconds % 1_000
        raw(rest < 10 ? ".00" : rest < 100 ? ".0" : ".")
        number(rest)
    }

    private func text(_ name: String, _ value: String) {
        key(name)
        line.append(UInt8(ascii: "\""))
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                line.append(UInt8(ascii: "\\"))
                line.append(byte)
            case 0..<32, 127:
                raw("\\u00")
                let digits: StaticString = "0123456789abcdef"
                line.append(digits.utf8Start[Int(byte >> 4)])
                line.append(digits.utf8Start[Int(byte & 15)])
            default: line.append(byte)
            }
        }
        line.append(UInt8(ascii: "\""))
    }

    private func key(_ name: String) {
        raw(",\"")
        raw(name)
        raw("\":")
    }
}
