/// What is learnt while a tree is read: faults, warnings, and for each effective value where it came from.
///
/// A class, because every section's reader writes into the same report; it lives only for the length of one load.
final class SettingsReport {
    /// Beyond this a file is of another kind, and the rest would only scroll the first faults away.
    static let faultsMax = 100

    /// The folder that relative paths are relative to.
    let folder: String
    var faults: [SettingsFault] = []
    private(set) var warnings: [SettingsFault] = []
    private(set) var values: [EffectiveValue] = []

    init(folder: String) { self.folder = folder }

    func fault(at place: SettingsPlace, _ sentence: String) {
        guard faults.count < Self.faultsMax else { return }
        faults.append(SettingsFault(at: place, sentence))
    }

    func warn(at place: SettingsPlace, _ sentence: String) {
        guard warnings.count < Self.faultsMax else { return }
        warnings.append(SettingsFault(at: place, sentence))
    }

    func note(_ path: String, _ rendered: String, from place: SettingsPlace) {
        values.append(EffectiveValue(path: path, rendered: rendered, place: place))
    }

    /// `path` as the process can open it: what is relative is relative to the settings file, not to wherever the
    /// process was started.
    func resolve(_ path: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/"), !folder.isEmpty, folder != "." else { return path }
        if folder == "/" { return "/" + path }
        var base = folder.split(separator: "/", omittingEmptySubsequences: false)[...]
        var rest = path.split(separator: "/", omittingEmptySubsequences: false)[...]
        while let first = rest.first, first == "." || first == ".." {
            // "../" takes a named folder away; what is already a climb stays a climb.
            if first == ".." {
                guard let last = base.last, last != "..", last != "", last != "." else { break }
                base = base.dropLast()
            }
            rest = rest.dropFirst()
        }
        let joined = (base + rest).joined(separator: "/")
        return joined.isEmpty ? "." : joined
    }
}

/// One leaf of the effective settings.
package struct EffectiveValue: Equatable, Sendable {
    /// `server.port`, `cluster_nodes.0.host`.
    package let path: String
    /// As `config show` prints it; a secret is already hidden.
    package let rendered: String
    package let place: SettingsPlace
}
