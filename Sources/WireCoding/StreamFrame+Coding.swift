/// A frame once it is opened: kind u8, flags u8, zero u16, payload. On the stream a sealed one follows its length, u32.
///
/// Kinds below 0x80 that are unknown may be passed over, as with messages; no flag means anything yet.
import Determinism

package enum FrameProblem: UInt8, Error, Sendable, CaseIterable {
    /// A later release said something that may be passed over.
    case unknown
    /// The stream is not worth keeping.
    case malformed
}

extension StreamFrame {
    /// What stands before a sealed frame: how many bytes of it follow, its tag included.
    package static let lengthBytes = 4
    package static let sealedBytesMin = 17
    package static let sealedBytesMax = 1 << 20
    package static let headerBytes = 4

    /// Of the records in one frame; `records(of:)` cuts more into several.
    package static let recordBytesMax = 64 << 10
    package static let summariesMax = 4_096
    /// A refusal may be explained; the words are for whoever reads the bytes.
    private static let refusalTextMax = 200

    private enum Kind: UInt8 {
        case ping = 1
        case ack = 2
        case joinRequest = 3
        case joinRefused = 4
        case keyring = 5
        case summary = 6
        case records = 8
        case done = 14
    }

    package func encode(into bytes: inout [UInt8]) {
        bytes.append(contentsOf: [kind.rawValue, 0, 0, 0])
        switch self {
        case .ping(let ping, let destination):
            bytes.append(count: 9) {
                ping.write(to: &$0)
                $0.u32(destination.rawValue)
            }
        case .ack(let ack, let destination):
            bytes.append(count: 11) {
                ack.write(to: &$0)
                $0.u32(destination.rawValue)
            }
        case .joinRequest(let record): bytes.append(count: record.encodedCount) { record.write(to: &$0) }
        case .joinRefused(let refusal): bytes.append(refusal.rawValue)
        case .keyring(let ring): bytes.append(contentsOf: ring)
        case .summary(let members):
            if members.count > Self.summariesMax { Fault.report("W2: more summaries than a frame may carry") }
            let carried = members.prefix(Self.summariesMax)
            bytes.append(count: MemberSummary.encodedCount * carried.count) {
                for member in carried { member.write(to: &$0) }
            }
        case .records(let messages):
            var room = Self.recordBytesMax
            for message in messages {
                room -= message.encodedCount
                guard room >= 0, message.kind.isRecord else {
                    Fault.report("W2: a frame of records that may not be sent")
                    return
                }
                message.encode(into: &bytes)
            }
        case .done: break
        }
    }

    /// Of a whole frame as it was opened.
    package static func decode(_ bytes: UnsafeRawBufferPointer) -> Result<StreamFrame, FrameProblem> {
        var reader = ByteReader(bytes)
        let code = reader.u8()
        guard reader.u8() == 0, reader.u16() == 0, !reader.isBroken else { return .failure(.malformed) }
        guard let kind = Kind(rawValue: code) else { return .failure(code < 0x80 ? .unknown : .malformed) }
        let frame = StreamFrame(kind, &reader)
        guard reader.isComplete || (kind == .joinRequest && !reader.isBroken) else { return .failure(.malformed) }
        guard let frame else { return .failure(.unknown) }
        return .success(frame)
    }

    /// As many frames as it takes. Messages that are no records are left out.
    package static func records(of messages: some Sequence<Message>) -> [StreamFrame] {
        var frames: [StreamFrame] = []
        var batch: [Message] = []
        var room = recordBytesMax
        for message in messages where message.kind.isRecord {
            if message.encodedCount > room {
                frames.append(.records(batch))
                batch.removeAll(keepingCapacity: true)
                room = recordBytesMax
            }
            room -= message.encodedCount
            batch.append(message)
        }
        if !batch.isEmpty { frames.append(.records(batch)) }
        return frames
    }

    private var kind: Kind {
        switch self {
        case .ping: .ping
        case .ack: .ack
        case .joinRequest: .joinRequest
        case .joinRefused: .joinRefused
        case .keyring: .keyring
        case .summary: .summary
        case .records: .records
        case .done: .done
        }
    }

    /// Nil when a value is unknown; what is missing or cannot be breaks `payload`.
    private init?(_ kind: Kind, _ payload: inout ByteReader) {
        switch kind {
        case .ping:
            let ping = Ping(&payload)
            let destination = ReplicaShortID(rawValue: payload.u32())
            guard let ping else { return nil }
            self = .ping(ping, destination: destination)
        case .ack:
            let ack = Ack(&payload)
            let destination = ReplicaShortID(rawValue: payload.u32())
            guard let ack else { return nil }
            self = .ack(ack, destination: destination)
        case .joinRequest:
            guard let record = MemberRecord(&payload) else { return nil }
            self = .joinRequest(record)
        case .joinRefused:
            let refusal = JoinRefusal(rawValue: payload.u8())
            guard payload.remaining <= Self.refusalTextMax else { payload.breakOff(); return nil }
            _ = payload.take(payload.remaining)
            guard let refusal else { return nil }
            self = .joinRefused(refusal)
        case .keyring:
            guard payload.remaining <= Keyring.frameBytesMax else { payload.breakOff(); return nil }
            self = .keyring(Array(payload.take(payload.remaining)))
        case .summary:
            self = .summary(MemberSummary.list(&payload))
        case .records:
            guard let messages = Self.messages(&payload) else { payload.breakOff(); return nil }
            self = .records(messages)
        case .done: self = .done
        }
    }

    private static func messages(_ payload: inout ByteReader) -> [Message]? {
        guard payload.remaining <= recordBytesMax else { return nil }
        var messages: [Message] = []
        let problem = Message.decodeAll(payload.take(payload.remaining), into: &messages)
        return problem == nil && messages.allSatisfy(\.kind.isRecord) ? messages : nil
    }
}

extension MessageKind {
    /// May stand among the records of a stream.
    package var isRecord: Bool {
        switch self {
        case .member, .workerHealth, .addressBlock, .removed, .agedMember, .workerOrder: true
        default: false
        }
    }
}

extension MemberSummary {
    static let encodedCount = 13

    func write(to writer: inout ByteWriter) {
        writer.u32(short.rawValue)
        writer.u32(incarnation.rawValue)
        writer.u8(status.rawValue)
        writer.u32(life)
    }

    /// Those with a known status.
    static func list(_ payload: inout ByteReader) -> [MemberSummary] {
        guard payload.remaining <= encodedCount * StreamFrame.summariesMax else {
            payload.breakOff()
            return []
        }
        var members: [MemberSummary] = []
        members.reserveCapacity(payload.remaining / encodedCount)
        while payload.remaining > 0 {
            let short = ReplicaShortID(rawValue: payload.u32())
            let incarnation = Incarnation(rawValue: payload.u32())
            let status = MemberStatus(rawValue: payload.u8())
            let life = payload.u32()
            guard let status else { continue }
            members.append(MemberSummary(short: short, incarnation: incarnation, status: status, life: life))
        }
        return members
    }
}
