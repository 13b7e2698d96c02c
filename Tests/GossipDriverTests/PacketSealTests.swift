import Crypto
import Testing
import WireCoding

@testable import GossipDriver

@Suite("The seal of packets")
struct PacketSealTests {
    /// A data packet as it lies on the wire, and what its clear bytes say of it.
    struct Packet {
        var bytes: [UInt8]

        init(bytes: [UInt8]) { self.bytes = bytes }

        init(_ seal: inout PacketSeal, keyID: UInt16, session: UInt64, counter: UInt64, text: [UInt8]) throws {
            bytes = [0x10, 1] + Self.bigEndian(keyID) + Self.bigEndian(session) + Self.bigEndian(counter)
            bytes += text + Array(repeating: 0, count: 16)
            let packet = described(isProven: true)
            let isSealed = split { seal.seal(clear: UnsafeRawBufferPointer($0), text: $1, tag: $2, for: packet) }
            try #require(isSealed)
        }

        static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
            withUnsafeBytes(of: value.bigEndian, Array.init)
        }

        func described(isProven: Bool) -> SealedPacket {
            bytes.withUnsafeBytes {
                SealedPacket(
                    keyID: UInt16(bigEndian: $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self)),
                    session: SessionID(
                        rawValue: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt64.self))),
                    counter: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 12, as: UInt64.self)),
                    isProven: isProven)
            }
        }

        mutating func split<R>(
            _ body: (UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer) -> R
        ) -> R {
            bytes.withUnsafeMutableBytes {
                body(
                    UnsafeMutableRawBufferPointer(rebasing: $0[..<20]),
                    UnsafeMutableRawBufferPointer(rebasing: $0[20..<($0.count - 16)]),
                    UnsafeMutableRawBufferPointer(rebasing: $0[($0.count - 16)...]))
            }
        }

        /// The text, nil when it does not open.
        func opened(by seal: inout PacketSeal, isProven: Bool = true) -> [UInt8]? {
            var copy = self
            let packet = described(isProven: isProven)
            return copy.split { clear, text, tag in
                seal.open(
                    clear: UnsafeRawBufferPointer(clear), text: text, tag: UnsafeRawBufferPointer(tag), for: packet)
                    ? Array(text) : nil
            }
        }
    }

    static func seal(_ secrets: ClusterSecrets = Flock.secrets) -> PacketSeal {
        var seal = PacketSeal(secrets, cookieSecret: SymmetricKey(data: Array(UInt8(100)...131)))
        seal.use(secrets.firstTrafficKeys)
        return seal
    }

    static let keyID = Flock.secrets.firstTrafficKeys[0].id
    static let text = (0..<45).map { UInt8(truncatingIfNeeded: $0 * 7) }

    @Test("the bytes are those of an independent implementation")
    func golden() throws {
        #expect(Flock.secrets.salt == bytes("913687e8f8deccd5eba8aec850b238fa0eabe460a2d3324313a60881cd47d992"))
        #expect(Flock.secrets.joinKeys[0].id == 0x7858 && Self.keyID == 0x8139)
        var seal = Self.seal()
        let packet = try Packet(
            &seal, keyID: Self.keyID, session: 0x0123_4567_89ab_cdef, counter: 0x1_0000_002a, text: Self.text)
        let golden = bytes(
            """
            100181390123456789abcdef000000010000002aa27da7be248674894582fcdb08618b653f97aec87b07bc7b3af5a0ba01070392\
            3a845b6f96cb5ee6c151e35e8be23c61f433e53d8086b7b436d899d9c6
            """)
        #expect(packet.bytes == golden)
        #expect(Packet(bytes: golden).opened(by: &seal) == Self.text)
        #expect(seal.cookie(for: PeerAddress(ipv4: 0x0a00_0001, port: 7_946), slot: 7) == 0xc7d2_13bf_bf50_fd48)
    }

    @Test("a packet with one bit turned never opens, whichever bit")
    func flips() throws {
        var seal = Self.seal()
        let text = (0..<(Datagram.bytesMax - 36)).map { UInt8(truncatingIfNeeded: $0) }
        let packet = try Packet(&seal, keyID: Self.keyID, session: 5, counter: 9, text: text)
        #expect(packet.bytes.count == Datagram.bytesMax && packet.opened(by: &seal) == text)
        var opened: [Int] = []
        for bit in 0..<(packet.bytes.count * 8)
        where Packet(bytes: packet.bytes.flipped(bit)).opened(by: &seal, isProven: bit >= 160) != nil {
            opened.append(bit)
        }
        #expect(opened.isEmpty)
    }

    @Test("other secrets, other names, other keys open nothing, and a second secret opens what it sealed")
    func strangers() throws {
        var seal = Self.seal()
        let packet = try Packet(&seal, keyID: Self.keyID, session: 5, counter: 9, text: Self.text)
        for stranger in [Flock.secrets("flocks"), Flock.secrets("flock", [Flock.key(1)])] {
            var other = Self.seal(stranger)
            #expect(packet.opened(by: &other) == nil)
            // The same id with other bytes, and the same key in a cluster of another name.
            other.use([TrafficKey(id: Self.keyID, secret: stranger.firstTrafficKeys[0].secret)])
            #expect(packet.opened(by: &other) == nil)
            other.use(Flock.secrets.firstTrafficKeys)
            #expect((packet.opened(by: &other) == nil) == (stranger.salt != Flock.secrets.salt))
        }
        var both = Self.seal(Flock.secrets("flock", [Flock.key(1), Flock.secret]))
        #expect(packet.opened(by: &both) == Self.text)
        both.use([])
        #expect(packet.opened(by: &both) == nil, "no key that is gone opens anything, cached or not")
        #expect(ClusterSecrets(clusterName: "a", secrets: []) == nil)
        #expect(ClusterSecrets(clusterName: String(repeating: "a", count: 256), secrets: [Flock.secret]) == nil)
    }

    @Test("subkeys of sessions come and go within their bounds, and every packet opens all the same")
    func cache() {
        var cache = SubkeyCache()
        var subkeys: [UInt64: [UInt32]] = [:]
        for round in UInt64(0)..<60_000 {
            let session = (round &* 0x9E37_79B9_7F4A_7C15) % 25_000
            let epoch = UInt32(round % 5)
            let found = cache.find(SessionID(rawValue: session), keyID: 1, epoch: epoch)
            #expect(found == nil || subkeys[session, default: []].contains(epoch))
            if found == nil {
                let key = Flock.key(UInt8(epoch))
                cache.keep(.init(keyID: 1, epoch: epoch, key: key), of: SessionID(rawValue: session))
                subkeys[session, default: []].append(epoch)
            } else {
                #expect(found == Flock.key(UInt8(epoch)), "the subkey of this epoch and no other")
            }
            #expect(cache.sessionCount <= 2 * SubkeyCache.generationMax)
        }
        var few = SubkeyCache()
        for epoch in UInt32(0)..<4 {
            few.keep(.init(keyID: 1, epoch: epoch, key: Flock.key(0)), of: .init(rawValue: 1))
        }
        let kept = (UInt32(0)..<4).filter { few.find(SessionID(rawValue: 1), keyID: 1, epoch: $0) != nil }
        #expect(kept == [1, 2, 3])
    }

    @Test("a cookie is its address's, its slot's and its process's alone")
    func cookies() {
        let seal = Self.seal()
        let address = PeerAddress(high: 1, low: 2, port: 3)
        let cookie = seal.cookie(for: address, slot: 4)
        #expect(cookie == seal.cookie(for: address, slot: 4) && cookie != 0)
        let others = [
            seal.cookie(for: PeerAddress(high: 9, low: 2, port: 3), slot: 4),
            seal.cookie(for: PeerAddress(high: 1, low: 9, port: 3), slot: 4),
            seal.cookie(for: PeerAddress(high: 1, low: 2, port: 9), slot: 4),
            seal.cookie(for: address, slot: 5),
            PacketSeal(Flock.secrets).cookie(for: address, slot: 4),
        ]
        #expect(!others.contains(cookie))
    }
}
