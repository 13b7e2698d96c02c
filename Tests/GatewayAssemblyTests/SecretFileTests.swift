import Foundation
import Synchronization
import Testing

@testable import GatewayAssembly

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A secret's file when more than one process, or something odd, stands at its place.
@Suite("The cluster's secret, made by several at once")
struct SecretFileTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "starling-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: url) }
        try body(url.path)
    }

    @Test("many that start at once end with one secret, all of them, and leave nothing beside it")
    func race() throws {
        try withFolder { folder in
            for round in 0..<20 {
                let path = "\(folder)/\(round)/cluster.secret"
                let keys = Mutex<[String]>([])
                let made = Mutex(0)
                DispatchQueue.concurrentPerform(iterations: 8) { _ in
                    let result = Result { try ClusterSecret.loadOrCreate(at: path) }
                    switch result {
                    case .success(let secret):
                        keys.withLock { $0.append(BootstrapKey(secret).text) }
                        if secret.isNew { made.withLock { $0 += 1 } }
                    case .failure(let error): keys.withLock { $0.append("\(error)") }
                    }
                }
                #expect(Set(keys.withLock { $0 }).count == 1 && keys.withLock { $0.count } == 8)
                #expect(made.withLock { $0 } == 1)
                let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(round)")
                #expect(names == ["cluster.secret"])
            }
        }
    }

    @Test("a pipe in its place is told as no file, and nobody waits for its writer")
    func pipe() throws {
        try withFolder { folder in
            let path = folder + "/pipe"
            #expect(mkfifo(path, 0o600) == 0)
            let failure = #expect(throws: ClusterSecret.Failure.self) { _ = try ClusterSecret.loadOrCreate(at: path) }
            #expect(failure?.description.contains("\(path) is not a file") == true)
        }
    }

    @Test("a folder that cannot be made is an error with the file's name")
    func noFolder() throws {
        try withFolder { folder in
            #expect(FileManager.default.createFile(atPath: folder + "/file", contents: nil))
            let path = folder + "/file/cluster.secret"
            let failure = #expect(throws: ClusterSecret.Failure.self) { _ = try ClusterSecret.loadOrCreate(at: path) }
            #expect(failure?.description.contains(path) == true)
        }
    }
}
