/// The checkout that is examined, found from this file's own place.
import Foundation

enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// All Swift files below a folder of the root, in a stable order.
    static func sources(in folder: String) throws -> [SourceText] {
        let top = root.appending(path: folder)
        guard let files = FileManager.default.enumerator(atPath: top.path) else { return [] }
        let names = files.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.sorted()
        return try names.map { name in
            let text = try String(contentsOf: top.appending(path: name), encoding: .utf8)
            return SourceText(path: "\(folder)/\(name)", text: text)
        }
    }

    /// The folders directly below `Sources`: the rooms.
    static func rooms() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Sources").path)
            .filter { name in
                var isFolder: ObjCBool = false
                return FileManager.default.fileExists(
                    atPath: root.appending(path: "Sources/\(name)").path, isDirectory: &isFolder) && isFolder.boolValue
            }
            .sorted()
    }
}
