/// The secret that the replicas of one flock share: a file of 64 hexadecimal digits, made at the first start. A second
/// line is a second secret, for the time in which one takes the place of the other.
///
/// It is written beside its place with mode 0600 and then linked there, which fails when the name exists: of two processes
/// starting at once one makes the secret and the other reads it, whole. A file that others may read is refused rather
/// than used.
package import Crypto

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

package struct ClusterSecret: Sendable, CustomStringConvertible {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// 32 random bytes; a file written by hand may be longer.
    static let bytesMin = 32
    static let fileBytesMax = 4_096
    static let linesMax = 2

    /// One, or two while it is being replaced: the first is offered to other replicas, both are accepted. What else is made
    /// of the secret is made of the first.
    package let keys: [SymmetricKey]
    var key: SymmetricKey { keys[0] }
    /// Whether this start made it.
    package let isNew: Bool

    package var description: String { "‹redacted›" }

    /// Key of the fingerprints by which replicas tell each other of requests that end workers.
    var fingerprintSalt: UInt64 {
        let code = HMAC<SHA256>.authenticationCode(
            for: Array("starling request fingerprint: salt, version 1".utf8), using: key)
        return Array(code).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Reads the secret at `path`; nil when there is no such file.
    package static func load(at path: String) throws(Failure) -> ClusterSecret? { try read(path) }

    /// Reads the secret at `path`, or makes one, its folder included.
    ///
    /// Throws a `Failure` whose sentence names the file and the remedy.
    package static func loadOrCreate(at path: String) throws(Failure) -> ClusterSecret {
        if let existing = try read(path) { return existing }
        makeFolder(of: path)
        let beside = "\(path).\(UInt64.random(in: .min ... .max))"
        let descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(
                description:
                    "cluster.secret_file \(path) cannot be made: \(errorText()); make its folder writable or name another file"
            )
        }
        defer {
            close(descriptor)
            unlink(beside)
        }
        let digits = SymmetricKey(size: .bits256).withUnsafeBytes { hexadecimal(Array($0)) } + "\n"
        let written = digits.withCString { write(descriptor, $0, digits.utf8.count) }
        guard written == digits.utf8.count, fsync(descriptor) == 0 else {
            throw Failure(description: "cluster.secret_file \(path) cannot be written: \(errorText())")
        }
        guard link(beside, path) == 0 else {
            if errno == EEXIST, let existing = try read(path) { return existing }
            throw Failure(description: "cluster.secret_file \(path) cannot be made: \(errorText())")
        }
        return ClusterSecret(keys: [SymmetricKey(data: Array(digits.utf8.dropLast()))], isNew: true)
    }

    private static func read(_ path: String) throws(Failure) -> ClusterSecret? {
        // A pipe in its place would wait for a writer; it is no file, and told so.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw Failure(description: "cluster.secret_file \(path) cannot be read: \(errorText())")
        }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            throw Failure(description: "cluster.secret_file \(path) is not a file")
        }
        guard facts.st_mode & 0o077 == 0 else {
            throw Failure(description: "cluster.secret_file \(path) may be read by others; run: chmod 600 \(path)")
        }
        var bytes = [UInt8](repeating: 0, count: fileBytesMax + 1)
        let count = bytes.withUnsafeMutableBytes { unsafeRead(descriptor, $0) }
        guard count >= 0, count <= fileBytesMax else {
            throw Failure(description: "cluster.secret_file \(path) is larger than \(fileBytesMax) bytes")
        }
        let lines = bytes[..<count].split(separator: 10).map(trimmed).filter { !$0.isEmpty }
        guard lines.count <= linesMax else {
            throw Failure(
                description:
                    "cluster.secret_file \(path) holds \(lines.count) lines; it may hold \(linesMax), the secret "
                    + "in use and the one that takes its place")
        }
        let shortest = lines.map(\.count).min() ?? 0
        guard shortest >= bytesMin else {
            throw Failure(
                description: "cluster.secret_file \(path) holds \(shortest) bytes, at least \(bytesMin) are needed; "
                    + "remove it to have one made")
        }
        return ClusterSecret(keys: lines.map { SymmetricKey(data: Array($0)) }, isNew: false)
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line
        while let last = line.last, last == 13 || last == 32 { line.removeLast() }
        return line
    }

    private static func unsafeRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        var total = 0
        while total < buffer.count {
            #if canImport(Darwin)
                let count = Darwin.read(descriptor, buffer.baseAddress! + total, buffer.count - total)
            #elseif canImport(Glibc)
                let count = Glibc.read(descriptor, buffer.baseAddress! + total, buffer.count - total)
            #else
                let count = Musl.read(descriptor, buffer.baseAddress! + total, buffer.count - total)
            #endif
            if count <= 0 { return count < 0 ? -1 : total }
            total += count
        }
        return total
    }

    private static func makeFolder(of path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        var folder = ""
        for part in parts {
            folder += (folder.isEmpty && !path.hasPrefix("/") ? "" : folder.hasSuffix("/") ? "" : "/") + part
            if !folder.isEmpty { _ = mkdir(folder, 0o700) }
        }
    }

    private static func errorText() -> String { String(cString: strerror(errno)) }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
