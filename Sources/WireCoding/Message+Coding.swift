/// A message on the wire: type u8, length u16, body. All numbers are big-endian; `Message+Bodies` has the fields.
///
/// What a newer replica may say in passing has a type below 0x80 and is skipped here; what it must not say to those who
/// do not understand it has one above. A value that this release does not know makes its message skipped, not guessed.
import Determinism

package enum MessageKind: UInt8, Sendable, CaseIterable {
    case ping = 1
    case ack = 2
    case indirectPing = 3
    case nack = 4
    case member = 5
    case state = 6
    case leave = 7
    case workerHealth = 8
    case keyringNotice = 15
    case views = 16
    case workerLoad = 17
    case addressBlock = 18
    case receipt = 19
    case removed = 20
    case misdelivered = 21
    case agedMember = 27
    case workerOrder = 30

    /// Later releases may append fields. A longer body of another kind is no packet of ours.
    var mayGrow: Bool {
        switch self {
        case .ack, .member, .views, .agedMember: true
        default: false
        }
    }
}

extension Message {
    /// type, length
    package static let headerBytes = 3

    /// Bytes that `encode` appends.
    package var encodedCount: Int { Self.headerBytes + bodyCount }

    package func encode(into bytes: inout [UInt8]) {
        let count = bodyCount
        bytes.append(count: Self.headerBytes + count) { writer in
            writer.u8(kind.rawValue)
            writer.u16(UInt16(truncatingIfNeeded: count))
            write(to: &writer)
        }
    }

    /// Appends every message of `bytes` to `messages`, or none and says why. One that is skipped is not an error.
    package static func decodeAll(_ bytes: UnsafeRawBufferPointer, into messages: inout [Message]) -> DropReason? {
        let before = messages.count
        var reader = ByteReader(bytes)
        while reader.remaining > 0 {
            let type = reader.u8()
            var body = ByteReader(reader.take(Int(reader.u16())))
            let problem: DropReason? =
                if reader.isBroken {
                    .decode
                } else if let kind = MessageKind(rawValue: type) {
                    decode(kind, &body, into: &messages)
                } else {
                    type < 0x80 ? nil : .version
                }
            if let problem {
                messages.removeSubrange(before...)
                return problem
            }
        }
        return nil
    }

    /// A value that is unknown appends nothing; what is missing or cannot be breaks `body`, and the packet with it.
    private static func decode(
        _ kind: MessageKind, _ body: inout ByteReader, into messages: inout [Message]
    ) -> DropReason? {
        switch kind {
        case .ping: if let ping = Ping(&body) { messages.append(.ping(ping)) }
        case .ack: if let ack = Ack(&body) { messages.append(.ack(ack)) }
        case .indirectPing: messages.append(.indirectPing(IndirectPing(&body)))
        case .nack: if let nack = Nack(&body) { messages.append(.nack(nack)) }
        case .member: if let record = MemberRecord(&body) { messages.append(.member(record)) }
        case .state: if let news = StateNews(&body) { messages.append(.state(news)) }
        case .leave: messages.append(.leave(LeaveNews(&body)))
        case .workerHealth: if let news = WorkerHealthNews(&body) { messages.append(.workerHealth(news)) }
        case .views: messages.append(.views(Views(&body)))
        case .workerLoad: messages.append(.workerLoad(WorkerLoadNews.list(&body)))
        case .addressBlock: if let news = AddressBlockNews(&body) { messages.append(.addressBlock(news)) }
        case .receipt: messages.append(.receipt(receipts(&body)))
        case .removed: if let news = RemovedNews(&body) { messages.append(.removed(news)) }
        case .misdelivered: messages.append(.misdelivered(Misdelivered(&body)))
        case .keyringNotice: messages.append(.keyringNotice(body.u64()))
        case .agedMember:
            let age = body.u32()
            if let record = MemberRecord(&body) { messages.append(.agedMember(age: age, record)) }
        case .workerOrder: if let news = WorkerOrderNews(&body) { messages.append(.workerOrder(news)) }
        }
        return body.isComplete || (kind.mayGrow && !body.isBroken) ? nil : .decode
    }

    package var kind: MessageKind {
        switch self {
        case .ping: .ping
        case .ack: .ack
        case .indirectPing: .indirectPing
        case .nack: .nack
        case .member: .member
        case .state: .state
        case .leave: .leave
        case .workerHealth: .workerHealth
        case .views: .views
        case .workerLoad: .workerLoad
        case .addressBlock: .addressBlock
        case .receipt: .receipt
        case .removed: .removed
        case .misdelivered: .misdelivered
        case .keyringNotice: .keyringNotice
        case .agedMember: .agedMember
        case .workerOrder: .workerOrder
        }
    }

    private var bodyCount: Int {
        switch self {
        case .ping: 5
        case .ack: 7
        case .indirectPing: 10
        case .nack: 9
        case .member(let record): record.encodedCount
        case .state: 17
        case .leave: 16
        case .workerHealth: 24
        case .views: 16
        case .workerLoad(let loads): 1 + 16 * min(loads.count, WorkerLoadNews.countMax)
        case .addressBlock: 40
        case .receipt(let counters): 8 * min(counters.count, Self.receiptsMax)
        case .removed: 41
        case .misdelivered: 16
        case .keyringNotice: 8
        case .agedMember(_, let record): 4 + record.encodedCount
        case .workerOrder: 21
        }
    }

    private func write(to writer: inout ByteWriter) {
        switch self {
        case .ping(let ping): ping.write(to: &writer)
        case .ack(let ack): ack.write(to: &writer)
        case .indirectPing(let ping): ping.write(to: &writer)
        case .nack(let nack): nack.write(to: &writer)
        case .member(let record): record.write(to: &writer)
        case .state(let news): news.write(to: &writer)
        case .leave(let news): news.write(to: &writer)
        case .workerHealth(let news): news.write(to: &writer)
        case .views(let views): views.write(to: &writer)
        case .workerLoad(let loads):
            if loads.count > WorkerLoadNews.countMax { Fault.report("W2: more loads than a message may carry") }
            let carried = loads.prefix(WorkerLoadNews.countMax)
            writer.u8(UInt8(truncatingIfNeeded: carried.count))
            for load in carried { load.write(to: &writer) }
        case .addressBlock(let news): news.write(to: &writer)
        case .receipt(let counters):
            if counters.count > Self.receiptsMax { Fault.report("W2: more receipts than a message may carry") }
            for counter in counters.prefix(Self.receiptsMax) { writer.u64(counter) }
        case .removed(let news): news.write(to: &writer)
        case .misdelivered(let answer): answer.write(to: &writer)
        case .keyringNotice(let hash): writer.u64(hash)
        case .agedMember(let age, let record):
            writer.u32(age)
            record.write(to: &writer)
        case .workerOrder(let news): news.write(to: &writer)
        }
    }

    private static func receipts(_ body: inout ByteReader) -> [UInt64] {
        guard body.remaining <= 8 * receiptsMax else {
            body.breakOff()
            return []
        }
        var counters: [UInt64] = []
        counters.reserveCapacity(body.remaining / 8)
        while body.remaining > 0 { counters.append(body.u64()) }
        return counters
    }
}
