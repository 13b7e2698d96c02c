/// The datagrams of the past, the oldest given up first. Packets are sealed, so to send one again changes nothing in a sound
/// flock; that is what is tried.
import NIOCore

struct Recording {
    struct Packet {
        let atNanoseconds: Int64
        let from: Int
        let to: Int
        let bytes: ByteBuffer
    }

    let countMax: Int
    let bytesMax: Int
    private(set) var isOn = false
    private var packets = CircularBuffer<Packet>()
    private(set) var bytes = 0

    init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    var count: Int { packets.count }
    var all: CircularBuffer<Packet> { packets }

    /// Begins anew.
    mutating func start() {
        packets.removeAll()
        bytes = 0
        isOn = true
    }

    mutating func stop() { isOn = false }

    mutating func note(_ packet: Packet) {
        guard isOn, packet.bytes.readableBytes <= bytesMax else { return }
        packets.append(packet)
        bytes += packet.bytes.readableBytes
        while packets.count > countMax || bytes > bytesMax {
            bytes -= packets.removeFirst().bytes.readableBytes
        }
    }
}
