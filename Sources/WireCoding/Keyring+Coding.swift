/// A ring in a frame of a stream, and in its file.
///
/// Both hold entries of 47 bytes, ascending by id: id u16, state u8, stamp u64, maker u32, secret 32, zeros when it is
/// gone. The file has a head ("STRLRING", version u16, count u16), behind each entry the milliseconds since when it
/// stands as it does, and at its end `StableHash64` of all before: a torn or rotten file must not be half believed.
import Determinism

/// What is wrong with the bytes of a ring, and where. Never says a byte of a key.
package struct KeyringFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Problem: Hashable, Sendable {
        case size(Int)
        case notARing
        case version(UInt16)
        case count(UInt16)
        case checksum
        case noID
        case order
        case state(UInt8)
        case noSecret
        case secretOfGone
        case tooManyKeys
        case tooManyGone
    }

    package let problem: Problem
    /// Of the first byte that is wrong.
    package let offset: Int

    package init(problem: Problem, offset: Int) {
        self.problem = problem
        self.offset = offset
    }

    package var description: String { "byte \(offset): \(sentence)" }

    private var sentence: String {
        switch problem {
        case .size(let count): "a ring cannot be \(count) bytes long"
        case .notARing: "this is no keyring"
        case .version(let version): "version \(version) is not known here"
        case .count(let count): "\(count) keys are more than a ring holds"
        case .checksum: "the checksum is another one: the file was damaged"
        case .noID: "a key without an id"
        case .order: "keys are not in the order of their ids"
        case .state(let state): "state \(state) is not known here"
        case .noSecret: "a key without its secret"
        case .secretOfGone: "a key that is gone has a secret"
        case .tooManyKeys: "more than \(Keyring.keysMax) keys that are not gone"
        case .tooManyGone: "more than \(Keyring.goneMax) keys that are gone"
        }
    }
}

extension Keyring {
    private static let entryBytes = 47
    private static let magic: UInt64 = 0x5354_524c_5249_4e47
    private static let fileVersion: UInt16 = 1
    private static let headBytes = 12
    private static let checksumBytes = 8
    private static let fileEntryBytes = entryBytes + 8

    package static let frameBytesMax = entryBytes * (keysMax + goneMax)
    package static let fileBytesMax = headBytes + fileEntryBytes * (keysMax + goneMax) + checksumBytes

    /// The bytes of `StreamFrame.keyring`.
    package func encodeFrame(into bytes: inout [UInt8]) {
        bytes.append(count: Self.entryBytes * slots.count) { writer in
            for slot in slots { slot.entry.write(to: &writer) }
        }
    }

    /// Of a frame's payload, which does not say since when: from now on.
    package init(frame bytes: UnsafeRawBufferPointer, wallMilliseconds now: UInt64) throws(KeyringFailure) {
        guard bytes.count <= Self.frameBytesMax, bytes.count % Self.entryBytes == 0 else {
            throw KeyringFailure(problem: .size(bytes.count), offset: 0)
        }
        var reader = ByteReader(bytes)
        while reader.remaining > 0 {
            let offset = bytes.count - reader.remaining
            try append(Entry(&reader, at: offset), sinceMilliseconds: now, at: offset)
        }
        settle(wallMilliseconds: now)
    }

    package func encodeFile(into bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(count: Self.headBytes + Self.fileEntryBytes * slots.count) { writer in
            writer.u64(Self.magic)
            writer.u16(Self.fileVersion)
            writer.u16(UInt16(truncatingIfNeeded: slots.count))
            for slot in slots {
                slot.entry.write(to: &writer)
                writer.u64(slot.sinceMilliseconds)
            }
        }
        let checksum = bytes.withUnsafeBytes { StableHash64.hash(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        bytes.append(count: Self.checksumBytes) { $0.u64(checksum) }
    }

    package init(file bytes: UnsafeRawBufferPointer) throws(KeyringFailure) {
        var reader = ByteReader(bytes)
        guard bytes.count >= Self.headBytes + Self.checksumBytes, bytes.count <= Self.fileBytesMax else {
            throw KeyringFailure(problem: .size(bytes.count), offset: bytes.count)
        }
        guard reader.u64() == Self.magic else { throw KeyringFailure(problem: .notARing, offset: 0) }
        let version = reader.u16()
        guard version == Self.fileVersion else { throw KeyringFailure(problem: .version(version), offset: 8) }
        let count = reader.u16()
        guard Int(count) <= Self.keysMax + Self.goneMax else {
            throw KeyringFailure(problem: .count(count), offset: 10)
        }
        let end = Self.headBytes + Self.fileEntryBytes * Int(count)
        guard bytes.count == end + Self.checksumBytes else {
            throw KeyringFailure(problem: .size(bytes.count), offset: min(bytes.count, end + Self.checksumBytes))
        }
        var last = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[end...]))
        guard last.u64() == StableHash64.hash(UnsafeRawBufferPointer(rebasing: bytes[..<end])) else {
            throw KeyringFailure(problem: .checksum, offset: end)
        }
        for _ in 0..<count {
            let offset = bytes.count - reader.remaining
            let entry = try Entry(&reader, at: offset)
            try append(entry, sinceMilliseconds: reader.u64(), at: offset)
        }
        // What an entry counts as follows from the entries, and the file says since when.
        let since = slots.map(\.sinceMilliseconds)
        settle(wallMilliseconds: 0)
        for place in slots.indices { slots[place].sinceMilliseconds = since[place] }
    }

    private mutating func append(_ entry: Entry, sinceMilliseconds: UInt64, at offset: Int) throws(KeyringFailure) {
        guard entry.id > slots.last?.entry.id ?? 0 else { throw KeyringFailure(problem: .order, offset: offset) }
        slots.append(Slot(entry: entry, standing: entry.state, sinceMilliseconds: sinceMilliseconds))
        let gone = slots.count { $0.entry.state == .gone }
        guard slots.count - gone <= Self.keysMax else { throw KeyringFailure(problem: .tooManyKeys, offset: offset) }
        guard gone <= Self.goneMax else { throw KeyringFailure(problem: .tooManyGone, offset: offset) }
    }
}

extension Keyring.Entry {
    fileprivate func write(to writer: inout ByteWriter) {
        writer.u16(id)
        writer.u8(state.rawValue)
        writer.u64(stamp)
        writer.u32(maker.rawValue)
        if let secret {
            secret.withBytes { writer.append($0) }
        } else {
            for _ in 0..<4 { writer.u64(0) }
        }
    }

    /// `offset` is where the entry starts.
    fileprivate init(_ reader: inout ByteReader, at offset: Int) throws(KeyringFailure) {
        let id = reader.u16()
        guard id != 0 else { throw KeyringFailure(problem: .noID, offset: offset) }
        let code = reader.u8()
        guard let state = Keyring.State(rawValue: code) else {
            throw KeyringFailure(problem: .state(code), offset: offset + 2)
        }
        let stamp = reader.u64()
        let maker = ReplicaShortID(rawValue: reader.u32())
        let bytes = reader.take(32)
        let hasSecret = !bytes.allSatisfy { $0 == 0 }
        guard hasSecret || state == .gone else { throw KeyringFailure(problem: .noSecret, offset: offset + 15) }
        guard !hasSecret || state != .gone else { throw KeyringFailure(problem: .secretOfGone, offset: offset + 15) }
        self.init(id: id, secret: hasSecret ? TrafficSecret(bytes) : nil, stamp: stamp, maker: maker, state: state)
    }
}
