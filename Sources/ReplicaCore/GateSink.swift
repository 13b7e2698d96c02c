import Determinism
import WireCoding

/// The way out of a machine: through the gate into the datagrams that the driver sends.
struct GateSink: PacketSink, Sendable {
    var gate: PacketGate
    /// The driver's, while the machine is at work.
    var datagrams = DatagramOutbox()

    mutating func send(
        _ messages: borrowing [UInt8], header: PacketHeader, to destination: PacketDestination, receiptWanted: Bool,
        at now: Instant
    ) -> UInt64? {
        gate.seal(
            messages: messages, header: header, to: destination, receiptWanted: receiptWanted, at: now,
            datagrams: &datagrams)
    }
}
