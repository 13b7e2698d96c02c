/// The checkout that is examined, found from this file's own place.
import Foundation

enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// All Swift files below a folder of the root, in a stable order.
    static func sources(in folder: String) throws -> [SourceText] {
        try everySource.get().filter { $0.path.hasPrefix("\(folder)/") }
    }

    /// Read once for all tests.
    private static let everySource = Result { try read("Sources") + read("Tests") }

    private static func read(_ folder: String) throws -> [SourceText] {
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

    /// Every file that is ours, from the root: not what was built, fetched or made by a run.
    static func files() throws -> [String] {
        let fetched: Set<String> = ["venv", "models", "__pycache__"]
        guard let all = FileManager.default.enumerator(atPath: root.path) else { return [] }
        var files: [String] = []
        while let path = all.nextObject() as? String {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(
                atPath: root.appending(path: path).path, isDirectory: &isFolder)
            if isFolder.boolValue {
                if (name.hasPrefix(".") && name != ".ci") || fetched.contains(name) { all.skipDescendants() }
            } else if exists {
                files.append(path)
            }
        }
        return files.sorted()
    }

    static func page(_ path: String) throws -> Page {
        Page(path: path, text: try String(contentsOf: root.appending(path: path), encoding: .utf8))
    }
}
