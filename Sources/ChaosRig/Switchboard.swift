/// The relay's table: which replica stands behind which front, what each directed link does, and what passed.
///
/// Every replica advertises its front. A packet from A arrives at the front of B; A is known by the address it binds, and the
/// packet leaves through the front of A, so B sees it come from where A says it is. N fronts give N² links.
///
/// All of it lives on one event loop, so nothing is locked and a packet without faults is read and written in one turn.
import Determinism
import NIOCore

final class Switchboard {
    struct Front {
        let name: String
        let address: SocketAddress
        var bind: SocketAddress?
        let datagrams: any Channel
        /// Nil while nobody listens behind it: then a dialler is refused here as it would be there.
        var listener: (any Channel)?
    }

    struct Link {
        var datagrams = DatagramFaults.none
        var streams = StreamFaults.none
        var lottery: PacketLottery
        var counts = Counts()
    }

    struct Counts: Equatable {
        var passed = 0
        var bytes = 0
        var dropped = [Int](repeating: 0, count: PacketLottery.Reason.allCases.count)
        var duplicated = 0
        var damaged = 0
        var delayed = 0
    }

    struct Totals: Equatable {
        /// Packets of nobody, to nobody, or from a replica to itself.
        var strangers = 0
        /// Packets given up because too much was held, or a socket was full.
        var overflowed = 0
        var replayed = 0
        var streams = 0
        var streamsRefused = 0
        var streamsReset = 0
    }

    let options: RelayOptions
    let loop: NIOIsolatedEventLoop
    private(set) var fronts: [Front] = []
    private(set) var links: [Link] = []
    var totals = Totals()
    var recording: Recording
    var pairs: [ObjectIdentifier: StreamPair] = [:]
    /// Opens a front's listener again.
    var listen: ((Int) -> Void)?

    private var byBind: [SocketAddress: Int] = [:]
    private var byHost: [String: Int] = [:]
    private var heldPackets = 0
    private var heldBytes = 0

    init(_ options: RelayOptions, loop: NIOIsolatedEventLoop) {
        self.options = options
        self.loop = loop
        recording = Recording(countMax: options.recordedPacketsMax, bytesMax: options.recordedBytesMax)
    }

    /// The index of diallers that are no replica.
    var other: Int { fronts.count }

    func install(_ fronts: [Front]) {
        self.fronts = fronts
        let names = fronts.map(\.name)
        links = (names + ["other"]).flatMap { from in
            names.map { Link(lottery: PacketLottery(seed: options.seed, from: from, to: $0)) }
        }
        learnBinds()
    }

    func link(_ from: Int, _ to: Int) -> Int { from * fronts.count + to }

    func source(of host: String?) -> Int { host.flatMap { byHost[$0] } ?? other }

    func setListener(_ front: Int, _ channel: (any Channel)?) { fronts[front].listener = channel }

    func bind(_ name: String, _ address: SocketAddress) -> Bool {
        guard let index = fronts.firstIndex(where: { $0.name == name }) else { return false }
        fronts[index].bind = address
        learnBinds()
        return true
    }

    private func learnBinds() {
        byBind = [:]
        byHost = [:]
        var shared: Set<String> = []
        for (index, front) in fronts.enumerated() {
            guard let bind = front.bind else { continue }
            byBind[bind] = index
            guard let host = bind.ipAddress else { continue }
            // Where two replicas share an address, a dialler of it could be either.
            if byHost.updateValue(index, forKey: host) != nil { shared.insert(host) }
        }
        for host in shared { byHost[host] = nil }
    }

    // MARK: - Faults

    /// Replaces what is given. `nil` names all.
    func set(from: Int?, to: Int?, _ datagrams: DatagramFaults?, _ streams: StreamFaults?) {
        for source in 0...other where from == nil || from == source {
            for target in fronts.indices where to == nil || to == target {
                let index = link(source, target)
                if let datagrams { links[index].datagrams = datagrams }
                if let streams { links[index].streams = streams }
            }
        }
        for pair in Array(pairs.values) { pair.faultsChanged() }
    }

    // MARK: - Datagrams

    func received(_ bytes: ByteBuffer, from address: SocketAddress, at target: Int) {
        guard let source = byBind[address], source != target, fronts[target].bind != nil else {
            totals.strangers += 1
            return
        }
        // It lives, so whoever dials it may be let through again.
        if fronts[source].listener == nil { listen?(source) }
        let now = Int64(NIODeadline.now().uptimeNanoseconds)
        recording.note(.init(atNanoseconds: now, from: source, to: target, bytes: bytes))
        let index = link(source, target)
        guard links[index].datagrams != .none else { return pass(bytes, index, source, target) }
        switch links[index].lottery.draw(links[index].datagrams, bytes: bytes.readableBytes, nowNanoseconds: now) {
        case .dropped(let reason):
            links[index].counts.dropped[PacketLottery.Reason.allCases.firstIndex(of: reason)!] += 1
        case .passed(let copy, let again):
            pass(copy, of: bytes, index, source, target)
            guard let again else { return }
            links[index].counts.duplicated += 1
            pass(again, of: bytes, index, source, target)
        }
    }

    private func pass(_ copy: PacketLottery.Copy, of bytes: ByteBuffer, _ index: Int, _ source: Int, _ target: Int) {
        var bytes = bytes
        if copy.damage != .none {
            links[index].counts.damaged += 1
            bytes = Self.damaged(bytes, copy.damage)
        }
        guard copy.delayNanoseconds > 0 else { return pass(bytes, index, source, target) }
        guard heldPackets < options.heldPacketsMax, heldBytes + bytes.readableBytes <= options.heldBytesMax else {
            totals.overflowed += 1
            return
        }
        heldPackets += 1
        heldBytes += bytes.readableBytes
        links[index].counts.delayed += 1
        loop.scheduleTask(in: .nanoseconds(copy.delayNanoseconds)) {
            self.heldPackets -= 1
            self.heldBytes -= bytes.readableBytes
            self.pass(bytes, index, source, target)
        }
    }

    private func pass(_ bytes: ByteBuffer, _ index: Int, _ source: Int, _ target: Int) {
        guard let bind = fronts[target].bind, fronts[source].datagrams.isWritable else {
            totals.overflowed += 1
            return
        }
        links[index].counts.passed += 1
        links[index].counts.bytes += bytes.readableBytes
        fronts[source].datagrams.writeAndFlush(AddressedEnvelope(remoteAddress: bind, data: bytes), promise: nil)
    }

    static func damaged(_ bytes: ByteBuffer, _ damage: PacketLottery.Damage) -> ByteBuffer {
        var bytes = bytes
        switch damage {
        case .none: return bytes
        case .cut(let count): return bytes.getSlice(at: bytes.readerIndex, length: min(count, bytes.readableBytes))!
        case .bits(let one, let two):
            for bit in one == two ? [one] : [one, two] {
                let place = bytes.readerIndex + bit / 8
                guard let byte = bytes.getInteger(at: place, as: UInt8.self) else { continue }
                bytes.setInteger(byte ^ 1 << UInt8(bit % 8), at: place)
            }
            return bytes
        }
    }

    // MARK: - Replay

    /// How many packets are sent again. They pass whatever the faults are: who recorded a wire sends where it likes.
    func replay(speed: Double, to target: Int?) -> Int {
        let packets = recording.all
        guard let first = packets.first else { return 0 }
        for packet in packets {
            let after = speed > 0 ? Int64(Double(packet.atNanoseconds - first.atNanoseconds) / speed) : 0
            loop.scheduleTask(in: .nanoseconds(after)) { self.send(packet, to: target ?? packet.to) }
        }
        return packets.count
    }

    private func send(_ packet: Recording.Packet, to target: Int) {
        guard let bind = fronts[target].bind, fronts[packet.from].datagrams.isWritable else {
            totals.overflowed += 1
            return
        }
        totals.replayed += 1
        let envelope = AddressedEnvelope(remoteAddress: bind, data: packet.bytes)
        fronts[packet.from].datagrams.writeAndFlush(envelope, promise: nil)
    }
}
