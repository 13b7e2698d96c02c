/// The folder where a replica keeps who it is. One process at a time: two of one identity would be twins.
///
/// Files are written beside their place, synced and renamed: a reader finds the old one or the new one, whole.
import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

package final class DataDirectory: Sendable {
    static let fileBytesMax = 1 << 16

    package let path: String
    /// Negative once it was given back.
    private let lock: Mutex<CInt>

    /// Makes the folder if need be, and holds it until it is given back.
    package init(_ path: String) throws(GossipFailure) {
        self.path = path
        Self.makeFolder(path)
        let lockFile = "\(path)/gossip.lock"
        let lock = open(lockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw GossipFailure(
                .dataDirectory,
                "data directory \(path) cannot be used: \(Self.errorText()); make it writable or name another one")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let isHeld = errno == EWOULDBLOCK
            let reason = Self.errorText()
            _ = Self.close(lock)
            throw GossipFailure(
                .dataDirectory,
                isHeld
                    ? "data directory \(path) is in use by another gateway; give each gateway a directory of its own"
                    : "data directory \(path) cannot be locked: \(reason)")
        }
        self.lock = Mutex(lock)
    }

    deinit { giveBack() }

    /// Another process may have it from now on.
    func giveBack() {
        lock.withLock { lock in
            if lock >= 0 { _ = Self.close(lock) }
            lock = -1
        }
    }

    func place(of name: String) -> String { "\(path)/\(name)" }

    /// Nil when there is no such file.
    func read(_ name: String, _ code: GossipFailure.Code) throws(GossipFailure) -> [UInt8]? {
        let file = place(of: name)
        let descriptor = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw GossipFailure(code, "\(file) cannot be read: \(Self.errorText())")
        }
        defer { _ = Self.close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            throw GossipFailure(code, "\(file) is not a file; move it away")
        }
        guard facts.st_mode & 0o077 == 0 else {
            throw GossipFailure(code, "\(file) may be read by others; run: chmod 600 \(file)")
        }
        var bytes = [UInt8](repeating: 0, count: Self.fileBytesMax + 1)
        var count = 0
        while count < bytes.count {
            let part = bytes.withUnsafeMutableBytes { Self.read(descriptor, $0.baseAddress! + count, $0.count - count) }
            guard part >= 0 else { throw GossipFailure(code, "\(file) cannot be read: \(Self.errorText())") }
            if part == 0 { break }
            count += part
        }
        guard count <= Self.fileBytesMax else {
            throw GossipFailure(
                code, "\(file) is larger than \(Self.fileBytesMax) bytes; it is none of ours, move it away")
        }
        return Array(bytes[..<count])
    }

    /// Returns once the bytes are durable. One writer at a time for each name.
    func write(_ bytes: [UInt8], to name: String, _ code: GossipFailure.Code) throws(GossipFailure) {
        let file = place(of: name)
        let beside = "\(file).new"
        unlink(beside)
        let descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw GossipFailure(code, "\(file) cannot be written: \(Self.errorText())") }
        let isWritten = bytes.withUnsafeBytes { Self.write(descriptor, $0.baseAddress, $0.count) } == bytes.count
        guard isWritten, fsync(descriptor) == 0 else {
            let reason = Self.errorText()
            _ = Self.close(descriptor)
            unlink(beside)
            throw GossipFailure(code, "\(file) cannot be written: \(reason)")
        }
        _ = Self.close(descriptor)
        guard rename(beside, file) == 0 else {
            throw GossipFailure(code, "\(file) cannot be written: \(Self.errorText())")
        }
        syncFolder()
    }

    /// Without it a power cut may undo the rename.
    private func syncFolder() {
        let folder = open(path, O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        _ = Self.close(folder)
    }

    private static func makeFolder(_ path: String) {
        var folder = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            folder += folder.isEmpty || folder.hasSuffix("/") ? "\(part)" : "/\(part)"
            _ = mkdir(folder, 0o700)
        }
    }

    private static func errorText() -> String { String(cString: strerror(errno)) }

    // `read`, `write` and `close` are methods here.
    #if canImport(Darwin)
        private static let read = Darwin.read
        private static let write = Darwin.write
        private static let close = Darwin.close
    #elseif canImport(Glibc)
        private static let read = Glibc.read
        private static let write = Glibc.write
        private static let close = Glibc.close
    #elseif canImport(Musl)
        private static let read = Musl.read
        private static let write = Musl.write
        private static let close = Musl.close
    #endif
}
