import Crypto
import NIOCore
import Testing
import WireCoding

@testable import GossipDriver

@Suite("The handshake of streams")
struct StreamHandshakeTests {
    static let secrets = Flock.secrets

    static func ephemeral(_ first: UInt8) throws -> Curve25519.KeyAgreement.PrivateKey {
        try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: Array(first..<(first + 32)))
    }

    static func dialler(_ purpose: StreamPurpose = .join, _ secrets: ClusterSecrets = secrets) throws
        -> StreamHandshake.Dialler
    {
        let key = purpose == .join ? secrets.joinKeys[0] : secrets.streamKey(of: secrets.firstTrafficKeys[0])
        return StreamHandshake.Dialler(purpose, key: key, salt: secrets.salt, ephemeral: try ephemeral(1))
    }

    static func answer(_ opening: [UInt8], _ secrets: ClusterSecrets = secrets) throws -> StreamHandshake.Answer? {
        let own = try ephemeral(51)
        return StreamHandshake.answer(to: opening, keys: keys(secrets), salt: secrets.salt, ephemeral: own)
    }

    static func keys(_ secrets: ClusterSecrets) -> (StreamPurpose, UInt16) -> [StreamKey] {
        { secrets.streamKeys($0, id: $1, among: secrets.firstTrafficKeys) }
    }

    struct Golden: Sendable {
        let purpose: StreamPurpose
        let opening: String
        let answer: String
        /// Two frames of the dialler, then two of the listener.
        let frames: [String]
    }

    static let golden = [
        Golden(
            purpose: .join,
            opening: "5354524c0100785807a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7cbbd6a33802fffdfb"
                + "5f7e4a572021b205",
            answer: "c15d2265459455c9ff156e6c1da6bfb7910bb8af50f2b2f9f853ea9325259d4d6ede9be8258b46fd024e15a113adc713",
            frames: [
                "00000024f6676e436f4c000ee9a55418c9ddbbe6d61235f225486f4c8929d09370502f340fca13a6",
                "0000002458bef3e3f08af163c3401fcd0b41279f928deda0ca1a928c86919696499b74f3615b27af",
                "000000241aa2e95ad7085bba48788133b67c90a4b49370f7674fe0c326297b526a9206e5539376ac",
                "00000024eef2f85409be087539a7bc8735b1c2659bb182b8ca49d97dcfc9b9d0e6c52fb05868a1d0",
            ]),
        Golden(
            purpose: .peer,
            opening: "5354524c0101813907a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c457f7b22acf90d67"
                + "be98c2aadfd117fd",
            answer: "c15d2265459455c9ff156e6c1da6bfb7910bb8af50f2b2f9f853ea9325259d4d1d035453eecb341e04629e35bd9f9804",
            frames: [
                "00000024685ba695e921d9557eebc484fb5530759b2c86de29b5c35ad40ed7e52cc27e1112e10a65",
                "000000246de8249badd02eae64db5cbd28a6f2eb065140cc36f7566a0f746f0ddf5a7533d9903b8f",
                "000000244bb31c99b9dadca5a44e05efb478b397a0558aca0202708f8cb7cf47fc08edadd9d6daae",
                "000000247fb9dd06c46a8236c9832ed057392829b6d68ee01c70b89265b069f804b171a624b7543b",
            ]),
    ]

    @Test("both sides speak the bytes of an independent implementation", arguments: golden.indices)
    func goldenBytes(of place: Int) throws {
        let golden = Self.golden[place]
        let dialler = try Self.dialler(golden.purpose)
        #expect(dialler.opening == bytes(golden.opening))
        let answer = try #require(try Self.answer(dialler.opening))
        #expect(answer.bytes == bytes(golden.answer) && answer.purpose == golden.purpose)
        var ends = [try #require(dialler.ciphers(answer: answer.bytes)), answer.ciphers]
        for direction in 0...1 {
            let text = Array("plain text of frame\(direction)".utf8)
            for frame in golden.frames[(direction * 2)..<(direction * 2 + 2)] {
                var wire = ByteBuffer()
                #expect(ends[direction].sealing.seal(text, into: &wire))
                #expect(Array(wire.readableBytesView) == bytes(frame))
                #expect(ends[1 - direction].opening.open(from: &wire) == .frame(text))
                #expect(wire.readableBytes == 0)
            }
        }
    }

    @Test("an opening cut or with one bit turned is answered by silence")
    func openings() throws {
        let opening = try Self.dialler().opening
        for count in 0..<opening.count { #expect(try Self.answer(Array(opening.prefix(count))) == nil) }
        #expect(try Self.answer(opening + [0]) == nil)
        for bit in 0..<(opening.count * 8) { #expect(try Self.answer(opening.flipped(bit)) == nil, "bit \(bit)") }
    }

    @Test("an answer cut or with one bit turned is not believed")
    func answers() throws {
        let dialler = try Self.dialler()
        let answer = try #require(try Self.answer(dialler.opening)).bytes
        #expect(dialler.ciphers(answer: answer) != nil)
        for count in 0..<answer.count { #expect(dialler.ciphers(answer: Array(answer.prefix(count))) == nil) }
        for bit in 0..<(answer.count * 8) { #expect(dialler.ciphers(answer: answer.flipped(bit)) == nil, "bit \(bit)") }
        // An answer to another opening under the same key.
        let later = StreamHandshake.Dialler(.join, key: Self.secrets.joinKeys[0], salt: Self.secrets.salt)
        #expect(later.ciphers(answer: answer) == nil)
    }

    @Test("another secret and another cluster are silent, a second secret answers")
    func strangers() throws {
        let opening = try Self.dialler().opening
        #expect(try Self.answer(opening, Flock.secrets("flocks")) == nil)
        #expect(try Self.answer(opening, Flock.secrets("flock", [Flock.key(1)])) == nil)
        #expect(try Self.answer(opening, Flock.secrets("flock", [Flock.key(1), Flock.secret])) != nil)
        // The right id is no key.
        let stranger = Flock.secrets("flock", [Flock.key(1)]).joinKeys[0].key
        let forged = StreamHandshake.Dialler(
            .join, key: StreamKey(id: Self.secrets.joinKeys[0].id, key: stranger), salt: Self.secrets.salt)
        #expect(try Self.answer(forged.opening) == nil)
    }

    @Test("a replayed opening is answered, but the frames that followed it open nothing")
    func replay() throws {
        let dialler = try Self.dialler()
        let first = try #require(try Self.answer(dialler.opening))
        var ciphers = try #require(dialler.ciphers(answer: first.bytes))
        var wire = ByteBuffer()
        #expect(ciphers.sealing.seal([1, 2, 3, 4], into: &wire))
        let again = StreamHandshake.answer(to: dialler.opening, keys: Self.keys(Self.secrets), salt: Self.secrets.salt)
        var listener = try #require(again).ciphers
        #expect(listener.opening.open(from: &wire) == .malformed)
    }

    @Test("a public key of small order makes no secret")
    func smallOrder() throws {
        let key = Self.secrets.joinKeys[0]
        var opening = Array("STRL".utf8) + [1, 0, UInt8(key.id >> 8), UInt8(truncatingIfNeeded: key.id)]
        opening += Array(repeating: 0, count: 32)
        let code = HMAC<SHA256>.authenticationCode(for: opening + Self.secrets.salt, using: key.key)
        #expect(try Self.answer(opening + Array(code.prefix(16))) == nil)
    }

    @Test("frames open in their order, whole and unchanged, or not at all")
    func frames() throws {
        let dialler = try Self.dialler()
        let answer = try #require(try Self.answer(dialler.opening))
        var ciphers = try #require(dialler.ciphers(answer: answer.bytes))
        var wire = ByteBuffer()
        #expect(ciphers.sealing.seal(Array("first".utf8), into: &wire))
        let first = wire
        #expect(ciphers.sealing.seal(Array("second".utf8), into: &wire))
        let both = Array(wire.readableBytesView)
        for count in 0..<first.readableBytes {
            var listener = answer.ciphers.opening
            var part = ByteBuffer(bytes: both.prefix(count))
            #expect(listener.open(from: &part) == .incomplete && part.readableBytes == count)
        }
        for bit in 0..<(first.readableBytes * 8) {
            var listener = answer.ciphers.opening
            var flipped = ByteBuffer(bytes: both.flipped(bit))
            let read = listener.open(from: &flipped)
            #expect(read == .malformed || (bit < 32 && read == .incomplete), "bit \(bit)")
        }
        var listener = answer.ciphers.opening
        var second = wire
        second.moveReaderIndex(forwardBy: first.readableBytes)
        #expect(listener.open(from: &second) == .malformed, "a frame left out")
        #expect(listener.open(from: &wire) == .frame(Array("first".utf8)))
        #expect(listener.open(from: &wire) == .frame(Array("second".utf8)))
        var echo = first
        #expect(ciphers.opening.open(from: &echo) == .malformed, "a frame sent back")
    }

    @Test("a frame of one megabyte passes, one byte more is neither sealed nor waited for")
    func bounds() throws {
        let dialler = try Self.dialler()
        let answer = try #require(try Self.answer(dialler.opening))
        var ciphers = try #require(dialler.ciphers(answer: answer.bytes))
        var listener = answer.ciphers
        var wire = ByteBuffer()
        let most = [UInt8](repeating: 7, count: StreamCipher.frameBytesMax - StreamCipher.tagBytes)
        #expect(!ciphers.sealing.seal(most + [7], into: &wire) && !ciphers.sealing.seal([], into: &wire))
        #expect(ciphers.sealing.seal(most, into: &wire))
        #expect(listener.opening.open(from: &wire) == .frame(most))
        for length in [0, 16, UInt32(StreamCipher.frameBytesMax) + 1, .max] {
            var declared = ByteBuffer(integer: length)
            #expect(listener.opening.open(from: &declared) == .malformed, "\(length)")
        }
    }
}
