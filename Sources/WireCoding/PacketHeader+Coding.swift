extension PacketHeader {
    /// `room` has at least `Datagram.innerHeaderBytes`.
    package func encode(into room: UnsafeMutableRawBufferPointer) {
        var writer = ByteWriter(room)
        writer.u32(destination.rawValue)
        writer.u32(source.rawValue)
        writer.u32(incarnation.rawValue)
        writer.u64(membershipDigest)
        writer.u64(keyLogDigest)
    }

    /// Of the first 28 bytes of an opened packet. Nil when there are fewer, or it is for or from nobody.
    package init?(decoding text: UnsafeRawBufferPointer) {
        var reader = ByteReader(text)
        let header = PacketHeader(
            destination: ReplicaShortID(rawValue: reader.u32()), source: ReplicaShortID(rawValue: reader.u32()),
            incarnation: Incarnation(rawValue: reader.u32()), membershipDigest: reader.u64(),
            keyLogDigest: reader.u64())
        guard !reader.isBroken, header.destination.rawValue != 0, header.source.isDrawable else { return nil }
        self = header
    }
}
