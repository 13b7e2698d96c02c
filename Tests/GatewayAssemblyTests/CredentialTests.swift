import Foundation
import KeyReplication
import Testing
import UpstreamLane

@testable import GatewayAssembly

/// A folder of its own for each test, gone with it.
private final class Folder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "starling-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite("The cluster's secret and the key made of it")
struct CredentialTests {
    private let folder: Folder
    private var file: String { folder.path + "/data/cluster.secret" }

    init() throws { folder = try Folder() }

    private func write(_ text: String, mode: Int) throws {
        try FileManager.default.createDirectory(atPath: folder.path + "/data", withIntermediateDirectories: true)
        try #require(
            FileManager.default.createFile(
                atPath: file, contents: Data(text.utf8), attributes: [.posixPermissions: mode]))
    }

    @Test("the first start makes the file for its owner alone; the second reads the same secret")
    func made() throws {
        let first = try ClusterSecret.loadOrCreate(at: file)
        #expect(first.isNew)
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let second = try ClusterSecret.loadOrCreate(at: file)
        #expect(!second.isNew)
        #expect(BootstrapKey(first).text == BootstrapKey(second).text)
        #expect("\(first)" == "‹redacted›")
    }

    @Test("a file that others may read is refused with the remedy")
    func readable() throws {
        try write(String(repeating: "a", count: 64), mode: 0o644)
        let failure = #expect(throws: ClusterSecret.Failure.self) { _ = try ClusterSecret.loadOrCreate(at: file) }
        #expect(failure?.description.contains("chmod 600 \(file)") == true)
    }

    @Test("a secret of 32 bytes is long enough, one byte less is not")
    func length() throws {
        try write(String(repeating: "a", count: ClusterSecret.bytesMin) + "\n", mode: 0o600)
        _ = try ClusterSecret.loadOrCreate(at: file)
        try write(String(repeating: "a", count: ClusterSecret.bytesMin - 1) + "\n", mode: 0o600)
        #expect(throws: ClusterSecret.Failure.self) { _ = try ClusterSecret.loadOrCreate(at: file) }
    }

    @Test("a second line is a second secret, and the admin key stays that of the first; a third line is refused")
    func twoLines() throws {
        let secrets = ["a", "b", "c"].map { String(repeating: $0, count: ClusterSecret.bytesMin) }
        try write(secrets[0], mode: 0o600)
        let one = try ClusterSecret.loadOrCreate(at: file)
        try write("\(secrets[0])\r\n\n\(secrets[1]) \n", mode: 0o600)
        let two = try ClusterSecret.loadOrCreate(at: file)
        #expect(one.keys.count == 1 && two.keys.count == 2 && two.keys[0] == one.keys[0] && two.keys[1] != two.keys[0])
        #expect(BootstrapKey(two).text == BootstrapKey(one).text)
        try write(secrets.joined(separator: "\n"), mode: 0o600)
        #expect(throws: ClusterSecret.Failure.self) { _ = try ClusterSecret.loadOrCreate(at: file) }
        try write("\(secrets[0])\nshort", mode: 0o600)
        #expect(throws: ClusterSecret.Failure.self) { _ = try ClusterSecret.loadOrCreate(at: file) }
    }

    @Test("a file at its largest is read, one byte more is refused")
    func largest() throws {
        try write(String(repeating: "a", count: ClusterSecret.fileBytesMax), mode: 0o600)
        _ = try ClusterSecret.loadOrCreate(at: file)
        try write(String(repeating: "a", count: ClusterSecret.fileBytesMax + 1), mode: 0o600)
        #expect(throws: ClusterSecret.Failure.self) { _ = try ClusterSecret.loadOrCreate(at: file) }
    }

    @Test("a folder in its place is told as one")
    func folderInPlace() throws {
        try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: true)
        #expect(throws: ClusterSecret.Failure.self) { _ = try ClusterSecret.loadOrCreate(at: file) }
    }

    @Test("another secret gives another key, and the key lets its holder in")
    func judged() throws {
        let key = BootstrapKey(try ClusterSecret.loadOrCreate(at: file))
        let other = BootstrapKey(try ClusterSecret.loadOrCreate(at: folder.path + "/other"))
        #expect(key.text != other.text)
        let table = KeyTable([
            key.keyID: .init(digest: key.digest, tenant: TenantID(rawValue: "t"), role: .admin, tier: .free)
        ])
        #expect(try CredentialJudge.judge("Bearer \(key.text)", table).get().role == .admin)
        let id = key.keyID.rawValue
        // A wrong secret, an invented id and a word that is no key at all get one and the same sentence.
        let refused = [
            other.text, "sk-starling-\(id)-" + String(repeating: "0", count: 48), "nonsense",
        ].map { word -> String in
            guard case .failure(let failure) = CredentialJudge.judge("Bearer \(word)", table) else { return "let in" }
            return failure.message
        }
        #expect(Set(refused) == [CredentialJudge.wrong])
        for field in [nil, "", "Basic abc"] {
            guard case .failure(let failure) = CredentialJudge.judge(field, table) else {
                Issue.record("let in without a key")
                continue
            }
            #expect(failure.message == CredentialJudge.missing)
        }
    }

    @Test("while authentication is off everybody is the anonymous tenant")
    func open() throws {
        #expect(try CredentialJudge.judge(nil, .open).get().tenant.rawValue == "anonymous")
    }

    @Test("the ready file appears whole, and a place that cannot be written is an error with its name")
    func readyFile() throws {
        let path = folder.path + "/ready"
        try ReadyFile.write(to: path, port: 8000)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text == "{\"port\":8000,\"pid\":\(ProcessInfo.processInfo.processIdentifier)}\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["ready"])
        let failure = #expect(throws: GatewayFailure.self) { try ReadyFile.write(to: path + "/no/ready", port: 1) }
        #expect(failure?.description.contains(path + "/no/ready") == true)
    }
}
