import Determinism
import Membership
import Testing
import WireCoding

@testable import GossipDriver

@Suite("What a replica keeps")
struct FileTests {
    static let identity = PersistedIdentity(
        id: ReplicaID(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210),
        incarnation: Incarnation(rawValue: 1_764_538_015))

    @Test("an identity is read as it was written, and nothing else is an identity")
    func identity() {
        let golden = """
            starling identity 1
            id 0123456789abcdeffedcba9876543210
            incarnation 1764538015
            check \(String(decoding: IdentityFile.encode(Self.identity).suffix(17).dropLast(), as: UTF8.self))

            """
        let written = IdentityFile.encode(Self.identity)
        #expect(written == Array(golden.utf8) && IdentityFile.decode(written) == Self.identity)
        for count in 0..<written.count { #expect(IdentityFile.decode(Array(written.prefix(count))) == nil) }
        for bit in 0..<(written.count * 8) { #expect(IdentityFile.decode(written.flipped(bit)) == nil, "bit \(bit)") }
        #expect(IdentityFile.decode(written + [10]) == nil)
    }

    @Test("a damaged, an open and a missing file are told apart, with the remedy")
    func identityFile() throws {
        let folder = Folder()
        let directory = try DataDirectory(folder.path)
        #expect(try IdentityFile.load(from: directory) == nil)
        try IdentityFile.save(Self.identity, to: directory)
        #expect(try IdentityFile.load(from: directory) == Self.identity)
        #expect(try folder.mode(of: "identity") == 0o600)
        try folder.write(IdentityFile.encode(Self.identity).flipped(300), to: "identity")
        let damaged = #expect(throws: GossipFailure.self) { try IdentityFile.load(from: directory) }
        #expect(
            damaged?.code == .identity && damaged?.description.contains("\(folder.path)/identity is damaged") == true)
        try folder.write(IdentityFile.encode(Self.identity), to: "identity", mode: 0o640)
        let open = #expect(throws: GossipFailure.self) { try IdentityFile.load(from: directory) }
        #expect(open?.description.contains("chmod 600") == true)
    }

    @Test("a ring of keys comes back from its file, and the secret's key is in every ring")
    func keyring() throws {
        let folder = Folder()
        let directory = try DataDirectory(folder.path)
        let secrets = Flock.secrets("flock", [Flock.secret, Flock.key(1)])
        let ids = secrets.firstTrafficKeys.map(\.id)
        var ring = try KeyringFile.load(from: directory, secrets, wallMilliseconds: 1)
        #expect(ring.trafficKeys.map(\.id) == ids, "the first secret's key seals, the second's opens")
        let key = ClusterSecrets.drawTrafficKey()
        try ring.install(key, stamp: 5, maker: ReplicaShortID(rawValue: 1), wallMilliseconds: 2)
        try ring.use(key.id, isHeldByAll: true, wallMilliseconds: 2)
        try KeyringFile.save(ring, to: directory)
        #expect(try folder.mode(of: "keyring") == 0o600)
        for secrets in [secrets, Flock.secrets()] {
            let again = try KeyringFile.load(from: directory, secrets, wallMilliseconds: 3)
            #expect(again.hash == ring.hash && again.primary?.id == key.id)
        }
        let bytes = try #require(try folder.read("keyring"))
        try folder.write(bytes.flipped(bytes.count * 4), to: "keyring")
        let damaged = #expect(throws: GossipFailure.self) {
            try KeyringFile.load(from: directory, secrets, wallMilliseconds: 3)
        }
        #expect(damaged?.code == .keyring && damaged?.description.contains("\(folder.path)/keyring is damaged") == true)
    }

    @Test("addresses of members are a hint: what is no address is passed over")
    func members() {
        let addresses = [
            PeerAddress(ipv4: 0x0a00_0005, port: 7_946), PeerAddress(high: 0xfd00_0000_0000_0000, low: 5, port: 1),
        ]
        #expect(KnownMembersFile.decode(KnownMembersFile.encode(addresses)) == addresses)
        let mixed = Array("10.0.0.5:7946\nnonsense\n:\n[::\n10.0.0.5:0\n10.0.0.5:70000\n\u{0}:1\n[fd00::5]:1\n".utf8)
        #expect(KnownMembersFile.decode(mixed) == addresses)
        let many = (0..<100).map { PeerAddress(ipv4: UInt32($0), port: 1) }
        #expect(KnownMembersFile.decode(KnownMembersFile.encode(many)).count == KnownMembersFile.countMax)
    }

    @Test("addresses pass through the system's names unchanged")
    func systemAddresses() {
        let addresses = [
            PeerAddress(ipv4: 0x7f00_0001, port: 1), PeerAddress(ipv4: .max, port: .max),
            PeerAddress(high: 0x2001_0db8_0000_0000, low: 1, port: 7_946),
        ]
        for address in addresses {
            #expect(SystemAddress.with(address, isIPv6: true) { name, _ in SystemAddress.address(name) } == address)
            #expect(SystemAddress.stream(to: address).flatMap(SystemAddress.address) == address)
            let four = SystemAddress.with(address, isIPv6: false) { name, _ in SystemAddress.address(name) }
            #expect(four.flatMap { $0 } == (address.ipv4 == nil ? nil : address))
            #expect(SystemAddress.address(literal: address.host, port: address.port) == address)
        }
    }

    @Test("clocks that part by two seconds begin a new life, by less only a new calendar")
    func clock() {
        let second: Int64 = 1_000_000_000
        var clock = GossipClock(clock: 5 * second, wall: 1_000 * second)
        #expect(clock.unixSecondsAtZero == 995)
        #expect(clock.look(clock: 6 * second, wall: 1_001 * second) == (Instant(nanoseconds: 6 * second), .none))
        // A clock that is slewed by 1 ms a second, for a minute and a half.
        var steps = 0
        for passed in Int64(2)...101 {
            let (_, broke) = clock.look(
                clock: (5 + passed) * second, wall: (1_000 + passed) * second + passed * 1_000_000)
            #expect(broke != .gap)
            if broke == .step { steps += 1 }
        }
        #expect(steps == 1)
        #expect(clock.look(clock: 107 * second, wall: 1_104 * second - 1).broke == .step)
        #expect(clock.look(clock: 108 * second, wall: 1_107 * second).broke == .gap)
        #expect(clock.look(clock: 109 * second, wall: 1_108 * second).broke == .none, "once for each jump")
        #expect(clock.look(clock: 110 * second, wall: 1_100 * second).broke == .gap)
    }

    @Test(
        "what others are told: the word of an operator, else the address that was bound, else the one towards the seeds"
    )
    func ownAddress() throws {
        func told(_ change: (inout GossipConfiguration) -> Void) throws -> PeerAddress {
            var configuration = GossipConfiguration(clusterName: "", secrets: [], dataDirectory: "")
            change(&configuration)
            return try OwnAddress.told(configuration, port: 5)
        }
        let local = PeerAddress(ipv4: 0x7f00_0001, port: 5)
        let far = PeerAddress(ipv4: 0x0a00_0001, port: 6)
        let advertised = try told {
            $0.advertisedHost = "10.0.0.1"
            $0.advertisedPort = 6
        }
        #expect(advertised == far)
        #expect(try told { $0.host = "10.0.0.1" } == PeerAddress(ipv4: 0x0a00_0001, port: 5))
        #expect(try told { $0.seeds = [.address(PeerAddress(ipv4: 0x7f00_0001, port: 9))] } == local)
        let somewhere = try told { _ in }
        #expect(somewhere.port == 5 && somewhere.ipv4 != nil && somewhere.ipv4 != 0)
        #expect(throws: GossipFailure.self) { try told { $0.advertisedHost = "no such host" } }
    }

    @Test("localhost stands for an address, and nonsense for none")
    func names() {
        let found = SeedLookup.addresses(of: "localhost", port: 7)
        #expect(!found.isEmpty && found.allSatisfy { $0.port == 7 })
        #expect(SeedLookup.addresses(of: "no such host", port: 7).isEmpty)
    }
}
