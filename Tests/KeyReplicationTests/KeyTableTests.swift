import Testing

@testable import KeyReplication

struct KeyTableTests {
    private let keyID = KeyID(rawValue: "0123456789ab")

    private func digest(_ last: UInt8) -> SecretDigest {
        SecretDigest([UInt8](repeating: 7, count: SecretDigest.byteCount - 1) + [last])
    }

    private var table: KeyTable {
        KeyTable([
            keyID: .init(digest: digest(1), tenant: TenantID(rawValue: "ops"), role: .admin, tier: .premium)
        ])
    }

    @Test("the right secret is believed, and the tenant is the table's")
    func right() {
        let tenant = table.authenticate(UnverifiedBearer(keyID: keyID, digest: digest(1)))
        #expect(tenant?.tenant.rawValue == "ops")
        #expect(tenant?.role == .admin)
        #expect(tenant?.tier == .premium)
        #expect(tenant?.key == keyID)
    }

    @Test("a wrong secret, an unknown id and the unknown id's stand-in digest are all refused")
    func wrong() {
        #expect(table.authenticate(UnverifiedBearer(keyID: keyID, digest: digest(2))) == nil)
        let unknown = KeyID(rawValue: "ffffffffffff")
        #expect(table.authenticate(UnverifiedBearer(keyID: unknown, digest: digest(1))) == nil)
        let zeros = SecretDigest([UInt8](repeating: 0, count: SecretDigest.byteCount))
        #expect(table.authenticate(UnverifiedBearer(keyID: unknown, digest: zeros)) == nil)
        #expect(KeyTable.empty.authenticate(UnverifiedBearer(keyID: keyID, digest: digest(1))) == nil)
    }

    @Test("only an open table has an anonymous tenant")
    func open() {
        #expect(KeyTable.open.anonymous?.tenant.rawValue == "anonymous")
        #expect(table.anonymous == nil)
        #expect(KeyTable.empty.anonymous == nil)
    }

    @Test("digests differ wherever one byte differs", arguments: 0..<SecretDigest.byteCount)
    func everyByte(place: Int) {
        var bytes = [UInt8](repeating: 0, count: SecretDigest.byteCount)
        let zeros = SecretDigest(bytes)
        bytes[place] = 1
        #expect(SecretDigest(bytes) != zeros)
        #expect(SecretDigest(bytes) == SecretDigest(bytes))
    }
}

struct UnverifiedBearerTests {
    private let good = "sk-starling-0123456789ab-" + String(repeating: "c", count: 48)

    @Test("a key of ours falls into its two parts")
    func parts() {
        let parts = UnverifiedBearer.Parts(good)
        #expect(parts?.keyID.rawValue == "0123456789ab")
        #expect(parts?.secret.count == 48)
    }

    @Test(
        "what is no key of ours has no parts",
        arguments: [
            "", "sk-", "sk-starling-", "sk-starling-0123456789ab", "sk-starling-0123456789ab-",
            "sk-other-0123456789ab-cc",
            "sk-starling-0123456789ab_cc", "sk-starling-0123456789ab-c c", "sk-starling-0123456789ab-\u{e9}",
            "sk-starling-012345678\u{e9}b-cccc",
        ])
    func noParts(text: String) { #expect(UnverifiedBearer.Parts(text) == nil) }

    @Test("a secret at its bound is hashed, one byte more is not")
    func bound() {
        let start = "sk-starling-0123456789ab-"
        let most = UnverifiedBearer.Parts.secretBytesMax
        #expect(UnverifiedBearer.Parts(start + String(repeating: "c", count: most)) != nil)
        #expect(UnverifiedBearer.Parts(start + String(repeating: "c", count: most + 1)) == nil)
    }

    @Test(
        "the scheme's case and the spaces around the credential do not matter",
        arguments: [
            "Bearer abc", "bearer abc", "BEARER   abc ",
        ])
    func scheme(value: String) { #expect(UnverifiedBearer.credential(inField: value) == "abc") }

    @Test(
        "another scheme, or nothing behind it, is no credential",
        arguments: [
            "", "Bearer", "Bearer ", "Bearer   ", "Basic abc", "Bearerabc", "B",
        ])
    func noScheme(value: String) { #expect(UnverifiedBearer.credential(inField: value) == nil) }
}
