/// The requests that are thought to end their workers, for operators.
import Balancing
import Determinism
import Telemetry
import WireCoding

enum PoisonPage {
    /// `{"object":"list","data":[{"fingerprint","state","casualties","seconds_left"}]}`
    static func json(_ records: [PoisonGuard.Record], at now: Instant) -> [UInt8] {
        var json = JSONText()
        json.openObject()
        json.field("object", "list")
        json.key("data")
        json.openArray()
        for record in records {
            json.openObject()
            json.field("fingerprint", Hexadecimal.text(record.fingerprint))
            json.field("state", record.isConvicted ? "convicted" : "suspect")
            json.field("casualties", record.casualties)
            json.field("seconds_left", Int(record.until.seconds(since: now)))
            json.closeObject()
        }
        json.closeArray()
        json.closeObject()
        return json.bytes
    }

    /// Sixteen hexadecimal digits.
    static func fingerprint(_ text: String) -> UInt64? { text.utf8.count == 16 ? UInt64(text, radix: 16) : nil }
}
