import Determinism
import WireCoding

/// Packets on their way, in slots that are used again: the world allocates nothing for a packet once it has seen its
/// busiest moment.
///
/// Copies of one arena share its slots: a world has one.
struct PacketArena {
    /// What is true of a packet and no machine can see.
    struct Provenance: Sendable {
        /// The process that sealed it, and in which life.
        var origin: UInt32 = 0
        var originLife: UInt32 = 0
        /// For whom it was sealed: the process that held the address then.
        var intended: UInt32 = 0
        var sealedAt = Instant.zero
        var count: UInt16 = 0
        /// Packets that led to it, each in answer to the one before.
        var depth: UInt8 = 0
        /// Those of them that were hellos, without another between them.
        var hellos: UInt8 = 0
        /// Changed on its way.
        var isDamaged = false
        var from = PeerAddress(high: 0, low: 0, port: 0)
        fileprivate(set) var references: UInt16 = 0
        /// The lives of processes that have applied it, process << 32 | life. Only the intended one ever should.
        var appliedBy: (UInt64, UInt64) = (0, 0)
    }

    static let slotBytes = 1_408
    private let owner: Owner
    private var bytes: UnsafeMutableRawPointer
    private var capacity: Int
    private var free: [UInt32] = []
    private(set) var provenance: [Provenance] = []

    init(capacity: Int = 256) {
        self.capacity = capacity
        bytes = .allocate(byteCount: capacity * Self.slotBytes, alignment: 16)
        owner = Owner(bytes)
        grow(from: 0)
    }

    /// Gives the slots back when the arena is gone.
    private final class Owner {
        var bytes: UnsafeMutableRawPointer
        init(_ bytes: UnsafeMutableRawPointer) { self.bytes = bytes }
        deinit { bytes.deallocate() }
    }

    var inUse: Int { capacity - free.count }

    private mutating func grow(from first: Int) {
        free.reserveCapacity(capacity)
        for slot in stride(from: capacity - 1, through: first, by: -1) { free.append(UInt32(slot)) }
        provenance.reserveCapacity(capacity)
        while provenance.count < capacity { provenance.append(Provenance()) }
    }

    /// Takes a copy of `packet` into a slot with one reference.
    mutating func keep(_ packet: UnsafeRawBufferPointer, _ provenance: Provenance) -> UInt32 {
        precondition(packet.count <= Self.slotBytes, "W2: a datagram of \(packet.count) bytes")
        if free.isEmpty {
            let larger = UnsafeMutableRawPointer.allocate(byteCount: 2 * capacity * Self.slotBytes, alignment: 16)
            larger.copyMemory(from: bytes, byteCount: capacity * Self.slotBytes)
            bytes.deallocate()
            bytes = larger
            owner.bytes = larger
            let first = capacity
            capacity *= 2
            grow(from: first)
        }
        let slot = free.removeLast()
        if let base = packet.baseAddress {
            (bytes + Int(slot) * Self.slotBytes).copyMemory(from: base, byteCount: packet.count)
        }
        self.provenance[Int(slot)] = provenance
        self.provenance[Int(slot)].count = UInt16(packet.count)
        self.provenance[Int(slot)].references = 1
        return slot
    }

    mutating func retain(_ slot: UInt32) { provenance[Int(slot)].references += 1 }

    mutating func release(_ slot: UInt32) {
        provenance[Int(slot)].references -= 1
        if provenance[Int(slot)].references == 0 { free.append(slot) }
    }

    /// Good until the next `keep`.
    func packet(_ slot: UInt32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes + Int(slot) * Self.slotBytes, count: Int(provenance[Int(slot)].count))
    }

    func isHello(_ slot: UInt32) -> Bool { packet(slot).first.map { $0 & 0xf == 1 } ?? false }

    /// What is between the inner header and the tag, of a packet that was applied.
    func text(_ slot: UInt32) -> UnsafeRawBufferPointer {
        let bytes = packet(slot)
        let clear = Datagram.clearHeaderBytes + (isHello(slot) ? Datagram.helloBytes : 0) + Datagram.innerHeaderBytes
        return UnsafeRawBufferPointer(rebasing: bytes[clear..<(bytes.count - Datagram.tagBytes)])
    }

    /// Cuts the packet short or flips a bit of it.
    mutating func damage(_ slot: UInt32, drawing generator: inout SeededGenerator) {
        let count = Int(provenance[Int(slot)].count)
        guard count > 0 else { return }
        provenance[Int(slot)].isDamaged = true
        if generator.happens(perMillion: 200_000) {
            provenance[Int(slot)].count = UInt16(generator.below(UInt64(count)))
        } else {
            let bit = Int(generator.below(UInt64(count * 8)))
            let place = Int(slot) * Self.slotBytes + bit / 8
            let byte = bytes.load(fromByteOffset: place, as: UInt8.self)
            bytes.storeBytes(of: byte ^ (1 << UInt8(bit % 8)), toByteOffset: place, as: UInt8.self)
        }
    }

    func wasApplied(_ slot: UInt32, by process: Int, life: UInt32) -> Bool {
        let name = UInt64(process) << 32 | UInt64(life)
        let applied = provenance[Int(slot)].appliedBy
        return applied.0 == name || applied.1 == name
    }

    mutating func noteApplied(_ slot: UInt32, by process: Int, life: UInt32) {
        let name = UInt64(process) << 32 | UInt64(life)
        if provenance[Int(slot)].appliedBy.0 == 0 {
            provenance[Int(slot)].appliedBy.0 = name
        } else if provenance[Int(slot)].appliedBy.0 != name {
            provenance[Int(slot)].appliedBy.1 = name
        }
    }
}
