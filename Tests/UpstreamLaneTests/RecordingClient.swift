import HTTPTypes
import NIOCore

@testable import UpstreamLane

/// The connection side as the exchange sees it: writes down what it is told.
final class RecordingClient: ExchangeClient {
    private(set) var heads: [HTTPResponse] = []
    private(set) var bytes = ByteBuffer()
    private(set) var flushes = 0
    /// `end` and `cut`, in the order of their coming: exactly one is right.
    private(set) var endings: [String] = []
    private(set) var saysClose = false
    private(set) var afterEnd: [String] = []
    var isWritable = true

    func sendHead(_ head: HTTPResponse) {
        note("head")
        heads.append(head)
    }

    func sendBody(_ bytes: ByteBuffer) {
        note("body")
        self.bytes.writeImmutableBuffer(bytes)
    }

    func sendEnd() {
        note("end")
        endings.append("end")
    }

    func cutConnection() {
        note("cut")
        endings.append("cut")
    }

    func sendFlush() { flushes += 1 }
    func closeAfterAnswer() { saysClose = true }
    func holdReads(_ hold: Bool) {}

    private func note(_ what: String) { if !endings.isEmpty { afterEnd.append(what) } }

    var status: Int? { heads.last?.status.code }
    var text: String { String(decoding: bytes.readableBytesView, as: UTF8.self) }
    func field(_ name: String) -> String? { heads.last?.headerFields[HTTPField.Name(name)!] }
}
