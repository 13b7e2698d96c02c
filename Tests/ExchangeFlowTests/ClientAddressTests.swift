import ExchangeFlow
import Testing

@Suite("ClientAddress")
struct ClientAddressTests {
    private func trusted(_ entries: String...) throws -> TrustedProxies { try TrustedProxies(parsing: entries) }
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test("a peer that is not trusted is the client, whatever it claims")
    func untrusted() throws {
        let seen = ClientAddress(
            peer: try address("203.0.113.9"), forwardedFor: ["1.2.3.4"], trusted: try trusted("10.0.0.0/8"))
        #expect(seen.client.description == "203.0.113.9")
        #expect(seen.forwardedFor == "203.0.113.9")
    }

    @Test(
        "the walk goes from the right, skips trusted hops and stops at the first other",
        arguments: [
            (["198.51.100.7"], "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            (["6.6.6.6, 198.51.100.7, 10.1.1.1"], "198.51.100.7", "198.51.100.7, 10.1.1.1, 10.0.0.1"),
            (["6.6.6.6", "198.51.100.7", "10.1.1.1"], "198.51.100.7", "198.51.100.7, 10.1.1.1, 10.0.0.1"),
            (["10.2.2.2, 10.1.1.1"], "10.2.2.2", "10.2.2.2, 10.1.1.1, 10.0.0.1"),
            ([], "10.0.0.1", "10.0.0.1"),
            (["198.51.100.7:4711"], "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            (["[2001:db8::1]:443"], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
            (["2001:db8::1"], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        ] as [([String], String, String)])
    func walk(fields: [String], client: String, chain: String) throws {
        let seen = ClientAddress(
            peer: try address("10.0.0.1"), forwardedFor: fields, trusted: try trusted("10.0.0.0/8"))
        #expect(seen.client.description == client)
        #expect(seen.forwardedFor == chain)
    }

    @Test(
        "a malformed entry ends the walk at the last good hop",
        arguments: [
            "unknown", "", " ", "_hidden", "10.0.0", "10.0.0.256", "010.0.0.1", "1.2.3.4.5", "1.2.3.4:", "1.2.3.4:port",
            "1.2.3.4:123456", "[2001:db8::1", "[1.2.3.4]", "2001:db8::1::2", "2001:db8", ":::", "fe80::1%eth0",
            "12345::", "g::1", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:", "::1.2.3", "1.2.3.4, ", "\"1.2.3.4\"",
        ])
    func malformed(entry: String) throws {
        let seen = ClientAddress(
            peer: try address("10.0.0.1"), forwardedFor: ["198.51.100.7, \(entry), 10.1.1.1"],
            trusted: try trusted("10.0.0.0/8"))
        #expect(seen.client.description == "10.1.1.1")
        #expect(seen.forwardedFor == "10.1.1.1, 10.0.0.1")
    }

    @Test("no more hops are believed than the bound, and one past it is not looked at (L8)")
    func hopBound() throws {
        let proxies = try trusted("10.0.0.0/8")
        let peer = try address("10.0.0.1")
        func seen(_ hops: Int) -> ClientAddress {
            let chain = ["198.51.100.7"] + (0..<(hops - 2)).map { "10.1.1.\($0 + 1)" }
            return ClientAddress(peer: peer, forwardedFor: [chain.joined(separator: ", ")], trusted: proxies)
        }
        #expect(seen(ClientAddress.hopsMax).client.description == "198.51.100.7")
        #expect(seen(ClientAddress.hopsMax + 1).client.description == "10.1.1.1")
    }

    @Test("an IPv4 client through a dual-stack socket is the same client")
    func mapped() throws {
        #expect(IPAddress("::ffff:192.0.2.1") == IPAddress("192.0.2.1"))
        #expect(IPAddress("::ffff:c000:201")?.description == "192.0.2.1")
        #expect(try trusted("192.0.2.0/24").contains(try address("::ffff:192.0.2.200")))
        #expect(try trusted("::ffff:192.0.2.0/120").contains(try address("192.0.2.200")))
    }

    @Test("limits count an IPv6 client by its /64 and an IPv4 client by itself")
    func limitKeys() throws {
        #expect(try address("2001:db8:1:2:3:4:5:6").limitKey == address("2001:db8:1:2::").limitKey)
        #expect(try address("2001:db8:1:2::1").limitKey != address("2001:db8:1:3::1").limitKey)
        #expect(try address("192.0.2.1").limitKey != address("192.0.2.2").limitKey)
    }

    @Test(
        "a block holds its own addresses and no neighbour's",
        arguments: [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"), ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"), ("127.0.0.1/32", "127.0.0.1", "127.0.0.0"),
            ("0.0.0.0/0", "255.1.2.3", "2001:db8::1"), ("fd00::/8", "fdff::1", "fe00::1"),
            ("2001:db8::/65", "2001:db8::7fff:0:0:1", "2001:db8::8000:0:0:1"), ("::1/128", "::1", "::2"),
            ("2001:db8::/64", "2001:db8::ffff:0:0:1", "2001:db8:0:1::"),
        ])
    func blocks(block: String, inside: String, outside: String) throws {
        let proxies = try trusted(block)
        #expect(proxies.contains(try address(inside)))
        #expect(!proxies.contains(try address(outside)))
    }

    @Test("every address is in ::/0, and none in no block")
    func everything() throws {
        #expect(try trusted("::/0").contains(try address("2001:db8::1")))
        #expect(try trusted("::/0").contains(try address("1.2.3.4")))
        #expect(!TrustedProxies.none.contains(try address("1.2.3.4")))
    }

    @Test(
        "a block that cannot be read is named in the failure",
        arguments: [
            "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "fd00::/129", "proxy.local", "", "10.0.0.0/8/8", "/8", "10/8",
        ])
    func badBlocks(entry: String) {
        #expect(throws: TrustedProxies.Failure(entry: entry)) { try TrustedProxies(parsing: ["10.0.0.0/8", entry]) }
    }

    @Test(
        "addresses are written as RFC 5952 says",
        arguments: [
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("0:0:0:0:0:0:0:0", "::"), ("::1", "::1"),
            ("1:0:0:0:0:0:0:0", "1::"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("fe80::0a", "fe80::a"),
        ])
    func writing(text: String, canonical: String) throws {
        #expect(try address(text).description == canonical)
        #expect(try address(canonical) == address(text))
    }

    @Test("sixteen bytes read as the same address as the text")
    func fromBytes() {
        let bytes: [UInt8] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        #expect(IPAddress(bytes: bytes) == IPAddress("2001:db8::1"))
        #expect(IPAddress(version4: 0x0102_0304) == IPAddress("1.2.3.4"))
    }
}
