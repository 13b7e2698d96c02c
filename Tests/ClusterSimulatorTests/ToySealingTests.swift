import ClusterSimulator
import Testing
import WireCoding

private func key(_ id: UInt16, _ byte: UInt8) -> TrafficKey {
    guard let secret = TrafficSecret([UInt8](repeating: byte, count: 32)) else { preconditionFailure("32 bytes") }
    return TrafficKey(id: id, secret: secret)
}

/// Bytes of one packet: 20 clear, `text`, 16 of the tag.
private func sealed(_ text: Int, by sealing: inout ToySealing, as packet: SealedPacket) -> [UInt8] {
    var bytes = [UInt8](repeating: 3, count: 20 + text + 16)
    let isSealed = bytes.withUnsafeMutableBytes { all in
        sealing.seal(
            clear: UnsafeRawBufferPointer(rebasing: all[..<20]),
            text: UnsafeMutableRawBufferPointer(rebasing: all[20..<20 + text]),
            tag: UnsafeMutableRawBufferPointer(rebasing: all[(20 + text)...]), for: packet)
    }
    return isSealed ? bytes : []
}

private func opens(_ bytes: [UInt8], by sealing: inout ToySealing, as packet: SealedPacket) -> Bool {
    var bytes = bytes
    let end = bytes.count - 16
    return bytes.withUnsafeMutableBytes { all in
        sealing.open(
            clear: UnsafeRawBufferPointer(rebasing: all[..<20]),
            text: UnsafeMutableRawBufferPointer(rebasing: all[20..<end]),
            tag: UnsafeRawBufferPointer(rebasing: all[end...]), for: packet)
    }
}

@Test("the toy cipher refuses what the real one refuses", arguments: [0, 1, 8, 28, 91])
func toySealing(text: Int) {
    var sealing = ToySealing(cluster: "a", cookieSecret: 1)
    sealing.use([key(1, 1), key(2, 2)])
    let packet = SealedPacket(keyID: 1, session: SessionID(rawValue: 5), counter: 9, isProven: true)
    let good = sealed(text, by: &sealing, as: packet)
    let isOpened = opens(good, by: &sealing, as: packet)
    #expect(isOpened)
    var opened = 0
    for bit in 0..<good.count * 8 {
        var flipped = good
        flipped[bit / 8] ^= 1 << UInt8(bit % 8)
        if opens(flipped, by: &sealing, as: packet) { opened += 1 }
    }
    for other in [
        SealedPacket(keyID: 2, session: packet.session, counter: 9, isProven: true),
        SealedPacket(keyID: 3, session: packet.session, counter: 9, isProven: true),
        SealedPacket(keyID: 1, session: SessionID(rawValue: 6), counter: 9, isProven: true),
        SealedPacket(keyID: 1, session: packet.session, counter: 10, isProven: true),
    ] where opens(good, by: &sealing, as: other) { opened += 1 }
    var foreign = ToySealing(cluster: "b", cookieSecret: 1)
    foreign.use([key(1, 1)])
    var stranger = ToySealing(cluster: "a", cookieSecret: 1)
    stranger.use([key(1, 2)])
    if opens(good, by: &foreign, as: packet) { opened += 1 }
    if opens(good, by: &stranger, as: packet) { opened += 1 }
    #expect(opened == 0)
    let none = sealed(
        text, by: &sealing, as: SealedPacket(keyID: 3, session: packet.session, counter: 1, isProven: true))
    #expect(none.isEmpty)
}
