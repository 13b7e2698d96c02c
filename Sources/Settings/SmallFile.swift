#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file that must fit into memory: its size is asked before its bytes are, and again by counting them, because a
/// pipe or a growing file has no size to trust.
enum SmallFile {
    struct Failure: Error {
        let sentence: String
    }

    static func read(
        _ path: String, bytesMax: Int, refuse: (_ mode: UInt32) -> String? = { _ in nil }
    ) throws(Failure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(sentence: "\(SettingsText.quoted(path)) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else {
            throw Failure(sentence: "\(SettingsText.quoted(path)) cannot be read: \(String(cString: strerror(errno)))")
        }
        guard UInt32(facts.st_mode) & UInt32(S_IFMT) != UInt32(S_IFDIR) else {
            throw Failure(sentence: "\(SettingsText.quoted(path)) is a folder")
        }
        if let sentence = refuse(UInt32(facts.st_mode)) { throw Failure(sentence: sentence) }
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 65536)
        while true {
            let got = Self.read(descriptor, into: &room)
            guard got >= 0 else {
                throw Failure(
                    sentence: "\(SettingsText.quoted(path)) cannot be read: \(String(cString: strerror(errno)))")
            }
            if got == 0 { return bytes }
            guard bytes.count + got <= bytesMax else {
                throw Failure(sentence: "\(SettingsText.quoted(path)) is larger than \(bytesMax) bytes")
            }
            bytes += room[..<got]
        }
    }

    private static func read(_ descriptor: Int32, into room: inout [UInt8]) -> Int {
        room.withUnsafeMutableBytes { bytes in
            #if canImport(Glibc)
                Glibc.read(descriptor, bytes.baseAddress, bytes.count)
            #elseif canImport(Musl)
                Musl.read(descriptor, bytes.baseAddress, bytes.count)
            #else
                Darwin.read(descriptor, bytes.baseAddress, bytes.count)
            #endif
        }
    }
}
