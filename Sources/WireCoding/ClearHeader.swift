/// What a datagram says before its seal: 20 bytes, in a hello 36. They are authenticated, not hidden.
///
/// `decode` is the first and cheapest gate: it looks at no table and opens nothing, so noise costs a few comparisons.
package struct ClearHeader: Hashable, Sendable {
    /// The proof that a session lives now: `echo` gives back what the other side had asked by `challenge`; 0 is none.
    package struct Hello: Hashable, Sendable {
        package var echo: UInt64
        package var challenge: UInt64

        package init(echo: UInt64, challenge: UInt64) {
            self.echo = echo
            self.challenge = challenge
        }
    }

    package var isReceiptWanted: Bool
    /// Which traffic key sealed it; 0 is none.
    package var keyID: UInt16
    package var session: SessionID
    /// From 1, and never the same twice in a session.
    package var counter: UInt64
    /// Nil in a data packet.
    package var hello: Hello?

    package init(
        isReceiptWanted: Bool = false, keyID: UInt16, session: SessionID, counter: UInt64, hello: Hello? = nil
    ) {
        self.isReceiptWanted = isReceiptWanted
        self.keyID = keyID
        self.session = session
        self.counter = counter
        self.hello = hello
    }

    package static let version: UInt8 = 1
    private static let dataType: UInt8 = 0
    private static let helloType: UInt8 = 1
    private static let receiptBit: UInt8 = 1

    /// Where the sealed text starts.
    package var encodedCount: Int { Datagram.clearHeaderBytes + (hello == nil ? 0 : Datagram.helloBytes) }

    /// `room` has at least `encodedCount` bytes.
    package func encode(into room: UnsafeMutableRawBufferPointer) {
        var writer = ByteWriter(room)
        writer.u8(Self.version << 4 | (hello == nil ? Self.dataType : Self.helloType))
        writer.u8(isReceiptWanted ? Self.receiptBit : 0)
        writer.u16(keyID)
        writer.u64(session.rawValue)
        writer.u64(counter)
        if let hello {
            writer.u64(hello.echo)
            writer.u64(hello.challenge)
        }
    }

    /// Of a whole datagram. A packet that passes has room for its seal and its inner header.
    package static func decode(
        _ datagram: UnsafeRawBufferPointer, bytesMax: Int = Datagram.bytesMax
    ) -> Result<ClearHeader, DropReason> {
        guard (Datagram.bytesMin...max(bytesMax, Datagram.bytesMin)).contains(datagram.count) else {
            return .failure(.decode)
        }
        var reader = ByteReader(datagram)
        let word = reader.u8()
        let flags = reader.u8()
        guard word >> 4 == version, word & 0xf <= helloType, flags & ~receiptBit == 0 else {
            return .failure(.version)
        }
        let isHello = word & 0xf == helloType
        guard !isHello || datagram.count >= Datagram.bytesMin + Datagram.helloBytes else { return .failure(.decode) }
        let header = ClearHeader(
            isReceiptWanted: flags & receiptBit != 0, keyID: reader.u16(), session: SessionID(rawValue: reader.u64()),
            counter: reader.u64(), hello: isHello ? Hello(echo: reader.u64(), challenge: reader.u64()) : nil)
        guard header.keyID != 0, header.session.rawValue != 0, header.counter != 0 else { return .failure(.decode) }
        return .success(header)
    }
}
