/// Where members were at the last look, one address a line: at the next start all seeds may be down.
///
/// Only a hint, so that what cannot be read is nothing worth stopping for.
import WireCoding

enum KnownMembersFile {
    static let name = "members"
    static let countMax = 64

    static func load(from directory: DataDirectory) -> [PeerAddress] {
        guard let bytes = try? directory.read(name, .dataDirectory) else { return [] }
        return decode(bytes)
    }

    static func save(_ addresses: [PeerAddress], to directory: DataDirectory) throws(GossipFailure) {
        try directory.write(encode(addresses), to: name, .dataDirectory)
    }

    static func encode(_ addresses: [PeerAddress]) -> [UInt8] {
        Array(addresses.prefix(countMax).map { "\($0)\n" }.joined().utf8)
    }

    static func decode(_ bytes: [UInt8]) -> [PeerAddress] {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").prefix(countMax)
        return lines.compactMap { line in
            guard let colon = line.lastIndex(of: ":"), let port = UInt16(line[line.index(after: colon)...]), port != 0
            else { return nil }
            let host = line[..<colon].trimmingPrefix("[").prefix { $0 != "]" }
            return SystemAddress.address(literal: String(host), port: port)
        }
    }
}
