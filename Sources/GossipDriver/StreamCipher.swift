/// One direction of a stream: frames of a length, a ciphertext and a tag, numbered by their place.
import Crypto
import NIOCore
import WireCoding

struct StreamCipher: Sendable {
    /// Plaintext of one frame with its tag.
    static let frameBytesMax = 1 << 20
    static let frameBytesMin = 17
    static let lengthBytes = 4
    static let tagBytes = 16
    static let overhead = lengthBytes + tagBytes

    enum Read: Equatable {
        case frame([UInt8])
        /// More bytes must come first.
        case incomplete
        /// Not a frame, or not one that the other side sealed next.
        case malformed
    }

    private let key: SymmetricKey
    private var number: UInt64 = 0

    init(_ key: SymmetricKey) { self.key = key }

    /// Appends a frame. False when the text is too long for one.
    mutating func seal(_ text: [UInt8], into buffer: inout ByteBuffer) -> Bool {
        let count = text.count + Self.tagBytes
        guard (Self.frameBytesMin...Self.frameBytesMax).contains(count), let nonce = PacketSeal.nonce(number),
            let box = try? AES.GCM.seal(text, using: key, nonce: nonce, authenticating: Self.length(count))
        else { return false }
        number += 1
        buffer.writeInteger(UInt32(count))
        buffer.writeBytes(box.ciphertext)
        buffer.writeBytes(box.tag)
        return true
    }

    /// Takes the next frame off the buffer. A declared length allocates nothing: what has come is in the buffer.
    mutating func open(from buffer: inout ByteBuffer) -> Read {
        guard let length: UInt32 = buffer.getInteger(at: buffer.readerIndex) else { return .incomplete }
        guard let count = Int(exactly: length), (Self.frameBytesMin...Self.frameBytesMax).contains(count) else {
            return .malformed
        }
        guard buffer.readableBytes >= Self.lengthBytes + count else { return .incomplete }
        buffer.moveReaderIndex(forwardBy: Self.lengthBytes)
        guard let sealed = buffer.readBytes(length: count), let nonce = PacketSeal.nonce(number),
            let box = try? AES.GCM.SealedBox(
                nonce: nonce, ciphertext: sealed.dropLast(Self.tagBytes), tag: sealed.suffix(Self.tagBytes)),
            let text = try? AES.GCM.open(box, using: key, authenticating: Self.length(count))
        else { return .malformed }
        number += 1
        return .frame(Array(text))
    }

    private static func length(_ count: Int) -> [UInt8] {
        [
            UInt8(truncatingIfNeeded: count >> 24), UInt8(truncatingIfNeeded: count >> 16),
            UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count),
        ]
    }
}
