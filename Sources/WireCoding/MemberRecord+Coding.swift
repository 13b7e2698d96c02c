/// 67 bytes and the name. Later releases append their fields behind it.
extension MemberRecord {
    var encodedCount: Int { 67 + Int(name.count) }

    func write(to writer: inout ByteWriter) {
        writer.u64(id.high)
        writer.u64(id.low)
        writer.u64(session.rawValue)
        writer.u32(incarnation.rawValue)
        writer.u8(status.rawValue)
        writer.u8(flags.rawValue)
        writer.u8(protocolMin)
        writer.u8(protocolMax)
        writer.u32(agreement)
        writer.u16(keyIDs.primary)
        writer.u16(keyIDs.second)
        writer.u16(keyIDs.third)
        writer.u16(keyIDs.fourth)
        writer.u16(httpPort)
        writer.u16(address.port)
        writer.u64(address.high)
        writer.u64(address.low)
        writer.u8(versionMajor)
        writer.u8(versionMinor)
        writer.u8(name.count)
        name.withBytes { writer.append($0) }
    }

    /// Nil when its status is unknown. Flags that are unknown are kept and passed on.
    init?(_ body: inout ByteReader) {
        let id = ReplicaID(high: body.u64(), low: body.u64())
        let session = SessionID(rawValue: body.u64())
        let incarnation = Incarnation(rawValue: body.u32())
        let status = MemberStatus(rawValue: body.u8())
        let flags = MemberFlags(rawValue: body.u8())
        let protocolMin = body.u8()
        let protocolMax = body.u8()
        let agreement = body.u32()
        let keyIDs = KeyIDs(body.u16(), body.u16(), body.u16(), body.u16())
        let httpPort = body.u16()
        let gossipPort = body.u16()
        let address = PeerAddress(high: body.u64(), low: body.u64(), port: gossipPort)
        let versionMajor = body.u8()
        let versionMinor = body.u8()
        guard let name = ShortText(body.take(Int(body.u8()))) else {
            body.breakOff()
            return nil
        }
        guard let status else { return nil }
        self.init(
            id: id, session: session, incarnation: incarnation, status: status, flags: flags,
            protocolMin: protocolMin, protocolMax: protocolMax, agreement: agreement, keyIDs: keyIDs,
            httpPort: httpPort, address: address, versionMajor: versionMajor, versionMinor: versionMinor, name: name)
    }
}
