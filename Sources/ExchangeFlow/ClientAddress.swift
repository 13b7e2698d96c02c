/// Whose request it is, when proxies stand in front: a walk from the right through `X-Forwarded-For`, as far as trust
/// reaches (section 6).
///
/// The field is a list to which each proxy appends the peer it saw. Anybody may write its left part, so only what a
/// trusted proxy appended counts: from the right, trusted addresses are skipped and the first other one is the client.
/// An entry that is no address ends the walk at the last good hop. A peer that is not trusted itself is the client,
/// whatever it claims.
package struct ClientAddress: Equatable, Sendable {
    /// Entries looked at; a longer chain is a loop or a lie.
    package static let hopsMax = 32

    package let client: IPAddress
    /// The chain to send on: the entries that were believed, in order, and the peer last. Usually `"client, peer"`.
    package let forwardedFor: String

    package init(peer: IPAddress, forwardedFor fields: [String], trusted: TrustedProxies) {
        guard trusted.contains(peer) else {
            client = peer
            forwardedFor = peer.description
            return
        }
        var believed = [peer]
        walk: for field in fields.reversed() {
            for entry in field.split(separator: ",", omittingEmptySubsequences: false).reversed() {
                guard believed.count < Self.hopsMax, let hop = IPAddress(forwardedEntry: entry) else { break walk }
                believed.append(hop)
                if !trusted.contains(hop) { break walk }
            }
        }
        client = believed.last ?? peer
        forwardedFor = believed.reversed().map(\.description).joined(separator: ", ")
    }
}

/// The networks whose `X-Forwarded-For` is believed.
package struct TrustedProxies: Equatable, Sendable {
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let entry: String

        package init(entry: String) { self.entry = entry }

        package var description: String {
            "trusted_proxies: \"\(entry)\" is not an address or CIDR block; write for example 10.0.0.0/8 or fd00::/8"
        }
    }

    private struct Block: Equatable, Sendable {
        let high: UInt64
        let low: UInt64
        let maskHigh: UInt64
        let maskLow: UInt64
    }

    private let blocks: [Block]

    package static let none = TrustedProxies(blocks: [])

    private init(blocks: [Block]) { self.blocks = blocks }

    package init(parsing entries: [String]) throws(Failure) {
        var blocks: [Block] = []
        for entry in entries {
            guard let block = Self.block(entry) else { throw Failure(entry: entry) }
            blocks.append(block)
        }
        self.blocks = blocks
    }

    package var isEmpty: Bool { blocks.isEmpty }

    package func contains(_ address: IPAddress) -> Bool {
        for block in blocks
        where (address.high & block.maskHigh) == block.high && (address.low & block.maskLow) == block.low {
            return true
        }
        return false
    }

    private static func block(_ entry: String) -> Block? {
        let halves = entry.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(halves[0]) else { return nil }
        let isVersion4 = halves[0].utf8.contains(UInt8(ascii: ".")) && !halves[0].utf8.contains(UInt8(ascii: ":"))
        let longest = isVersion4 ? 32 : 128
        var bits = longest
        if halves.count == 2 {
            guard halves[1].utf8.count <= 3, halves[1].utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
                let stated = Int(halves[1]), stated <= longest
            else { return nil }
            bits = stated
        }
        // IPv4 lives in the mapped range ::ffff:0:0/96, so its prefix starts 96 bits in.
        if isVersion4 { bits += 96 }
        let maskHigh: UInt64 = bits >= 64 ? .max : bits == 0 ? 0 : ~(UInt64.max >> UInt64(bits))
        let maskLow: UInt64 = bits >= 128 ? .max : bits <= 64 ? 0 : ~(UInt64.max >> UInt64(bits - 64))
        return Block(high: address.high & maskHigh, low: address.low & maskLow, maskHigh: maskHigh, maskLow: maskLow)
    }
}
