/// From a file, the environment and `--set` to checked settings, or to every reason why not.
///
/// The order is: default < file < environment < `--set`. The same code runs at start, for `config check` and at every
/// reload, so a file that passes the check is a file that starts.
package enum SettingsLoader {
    /// Aliases expand and error texts copy, so the size is settled before anything is parsed.
    package static let fileBytesMax = 1_048_576

    package static func load(
        path: String, environment: [String: String], overrides: [String] = []
    ) throws(SettingsFailure) -> LoadedSettings {
        let bytes: [UInt8]
        do throws(SmallFile.Failure) {
            bytes = try SmallFile.read(path, bytesMax: fileBytesMax)
        } catch {
            throw SettingsFailure(file: path, "the settings file \(error.sentence)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsFailure(file: path, line: Self.lineOfBadText(bytes), "the settings file is not UTF-8 text")
        }
        return try load(text: text, path: path, environment: environment, overrides: overrides)
    }

    /// `path` names the text in faults and is what relative paths are relative to.
    package static func load(
        text: String, path: String, environment: [String: String] = [:], overrides: [String] = []
    ) throws(SettingsFailure) -> LoadedSettings {
        guard text.utf8.count <= fileBytesMax else {
            throw SettingsFailure(file: path, "the settings file is larger than \(fileBytesMax) bytes")
        }
        let tree = try SettingsTree.parse(text, path: path)
        let report = SettingsReport(folder: folder(of: path))
        let laid = SettingsOverlay.apply(environment: environment, overrides: overrides, to: tree, report: report)
        var root = SectionReader(path: "", node: laid, report: report)
        let settings = GatewaySettings(&root)
        guard report.faults.isEmpty else {
            throw SettingsFailure(
                report.faults.sorted { ($0.place?.order ?? (0, 0, 0, "")) < ($1.place?.order ?? (0, 0, 0, "")) })
        }
        if settings.clusterNodes.isEmpty {
            report.warn(
                at: root.place(of: "cluster_nodes"), "cluster_nodes is empty: no model can be served until one is added"
            )
        }
        return LoadedSettings(path: path, settings: settings, values: report.values, warnings: report.warnings)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func lineOfBadText(_ bytes: [UInt8]) -> Int {
        var line = 1
        for piece in bytes.split(separator: 10, omittingEmptySubsequences: false) {
            if String(validating: piece, as: UTF8.self) == nil { return line }
            line += 1
        }
        return line
    }
}
