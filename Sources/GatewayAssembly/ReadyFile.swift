/// Tells a starting script where the replica listens, once it does: `{"port":8000,"pid":4711}`.
///
/// The file appears whole or not at all (written beside, then renamed), so whoever waits for it never reads half.
import Telemetry

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum ReadyFile {
    static func write(to path: String, port: Int) throws(GatewayFailure) {
        var json = JSONText()
        json.openObject()
        json.field("port", port)
        json.field("pid", Int(getpid()))
        json.closeObject()
        json.newline()
        let beside = "\(path).\(getpid())"
        let descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw failure(path) }
        let bytes = json.bytes
        let written = bytes.withUnsafeBytes { unsafeWrite(descriptor, $0) }
        close(descriptor)
        guard written == bytes.count, rename(beside, path) == 0 else {
            let failure = failure(path)
            unlink(beside)
            throw failure
        }
    }

    private static func unsafeWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Darwin)
            Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Glibc)
            Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #else
            Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }

    private static func failure(_ path: String) -> GatewayFailure {
        .unavailable("--ready-file \(path) cannot be written: \(String(cString: strerror(errno)))")
    }
}
