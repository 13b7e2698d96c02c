import Determinism
import Testing
import WireCoding

@Suite struct HeaderCodingTests {
    @Test("clear headers have their golden bytes, and are read as they were")
    func goldenClear() {
        for row in GoldenPackets.clearHeaders {
            let bytes = GoldenPackets.bytes(row.bytes)
            #expect(Self.written(row.header) == bytes, "\(row.name)")
            #expect(Self.read(bytes + Self.sealed) == .success(row.header), "\(row.name)")
        }
    }

    @Test("the inner header has its golden bytes, and is read as it was")
    func goldenInner() {
        let bytes = GoldenPackets.bytes(GoldenPackets.innerHeaderBytes)
        var room: [UInt8] = Array(repeating: 0, count: Datagram.innerHeaderBytes)
        room.withUnsafeMutableBytes { GoldenPackets.innerHeader.encode(into: $0) }
        #expect(room == bytes)
        #expect(Self.inner(bytes) == GoldenPackets.innerHeader)
        #expect(Self.inner(bytes + [1, 2, 3]) == GoldenPackets.innerHeader)
        for count in 0..<bytes.count { #expect(Self.inner(Array(bytes.prefix(count))) == nil) }
        let nobody: [UInt8] = [0, 0, 0, 0]
        #expect(Self.inner(nobody + bytes[4...]) == nil)
        #expect(Self.inner(bytes[..<4] + nobody + bytes[8...]) == nil)
    }

    @Test("a datagram is 64 bytes to the limit long, a hello at least 80")
    func sizes() {
        let data = Self.written(ClearHeader(keyID: 1, session: GoldenPackets.session, counter: 1))
        let hello = Self.written(
            ClearHeader(
                keyID: 1, session: GoldenPackets.session, counter: 1, hello: ClearHeader.Hello(echo: 1, challenge: 2)))
        for count in 0...1_410 {
            let rest = Array(repeating: 0, count: count) as [UInt8]
            let short = Self.read(Array((data + rest).prefix(count)))
            #expect((short != .failure(.decode)) == (64...1_200).contains(count))
            #expect(
                (Self.read(Array((hello + rest).prefix(count))) != .failure(.decode)) == (80...1_200).contains(count))
            let wide = Self.read(Array((data + rest).prefix(count)), bytesMax: 1_400)
            #expect((wide != .failure(.decode)) == (64...1_400).contains(count))
        }
    }

    @Test("every other version, type and flag is `version`; nothing but ours passes")
    func firstBytes() {
        let data = GoldenPackets.bytes(GoldenPackets.clearHeaders[0].bytes) + Self.sealed
        for first in UInt8.min...UInt8.max {
            for flags in [0, 1, 2, 3, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff] as [UInt8] {
                let result = Self.read([first, flags] + data[2...])
                let isOurs = (first == 0x10 || first == 0x11) && flags <= 1
                #expect((result != .failure(.version)) == isOurs)
            }
        }
    }

    @Test("no key, no session and no counter is no packet of ours", arguments: [2..<4, 4..<12, 12..<20])
    func zeros(_ field: Range<Int>) {
        var data = GoldenPackets.bytes(GoldenPackets.clearHeaders[0].bytes) + Self.sealed
        for place in field { data[place] = 0 }
        #expect(Self.read(data) == .failure(.decode))
    }

    /// An inner header and a tag.
    static let sealed = Array(repeating: 0xee, count: 44) as [UInt8]

    static func written(_ header: ClearHeader) -> [UInt8] {
        var room = Array(repeating: 0, count: header.encodedCount) as [UInt8]
        room.withUnsafeMutableBytes { header.encode(into: $0) }
        return room
    }

    static func read(_ bytes: [UInt8], bytesMax: Int = Datagram.bytesMax) -> Result<ClearHeader, DropReason> {
        bytes.withUnsafeBytes { ClearHeader.decode($0, bytesMax: bytesMax) }
    }

    static func inner(_ bytes: [UInt8]) -> PacketHeader? {
        bytes.withUnsafeBytes { PacketHeader(decoding: $0) }
    }
}
