/// What differs between the settings in use and those just read, split by whether a running replica can take it.
///
/// A reload that silently ignored a new port would be a lie, so what needs a restart is named and the rest applied.
package struct SettingsChanges: Equatable, Sendable {
    package struct Change: Equatable, Sendable {
        /// `load_balancing.strategy`, or `cluster_nodes[mac-studio-m1-1]` for a worker.
        package let path: String
        /// "was … , is …", "added", "removed"; secrets hidden.
        package let sentence: String

        package var line: String { "\(path): \(sentence)" }
    }

    package let applied: [Change]
    package let needRestart: [Change]

    package init(applied: [Change], needRestart: [Change]) {
        self.applied = applied
        self.needRestart = needRestart
    }

    package var isEmpty: Bool { applied.isEmpty && needRestart.isEmpty }

    /// Sections and keys that every exchange reads anew from a published view.
    static let reloadable = ["cluster_nodes", "load_balancing", "models", "rate_limiting", "observability.log_level"]

    package static func changes(from old: LoadedSettings, to new: LoadedSettings) -> SettingsChanges {
        var applied: [Change] = []
        var needRestart: [Change] = []
        let was = leaves(old)
        let now = leaves(new)
        for (path, value) in now where was[path] != value {
            let sentence = was[path].map { "was \($0), is \(value)" } ?? "added, \(value)"
            let change = Change(path: path, sentence: sentence)
            if isReloadable(path) { applied.append(change) } else { needRestart.append(change) }
        }
        for (path, value) in was where now[path] == nil {
            let change = Change(path: path, sentence: "removed, was \(value)")
            if isReloadable(path) { applied.append(change) } else { needRestart.append(change) }
        }
        applied += nodeChanges(from: old, to: new)
        return SettingsChanges(
            applied: applied.sorted { $0.path < $1.path }, needRestart: needRestart.sorted { $0.path < $1.path })
    }

    private static func isReloadable(_ path: String) -> Bool {
        reloadable.contains { path == $0 || path.hasPrefix($0 + ".") }
    }

    /// Workers are compared by their node_id and not by their place in the list.
    private static func leaves(_ loaded: LoadedSettings) -> [String: String] {
        var leaves: [String: String] = [:]
        for value in loaded.values where !value.path.hasPrefix("cluster_nodes.") { leaves[value.path] = value.rendered }
        return leaves
    }

    private static func nodeChanges(from old: LoadedSettings, to new: LoadedSettings) -> [Change] {
        var changes: [Change] = []
        for (index, node) in new.settings.clusterNodes.enumerated() {
            let path = "cluster_nodes[\(node.nodeID)]"
            guard let before = old.settings.clusterNodes.firstIndex(where: { $0.nodeID == node.nodeID }) else {
                changes.append(Change(path: path, sentence: "added, \(node.host):\(node.port)"))
                continue
            }
            guard old.settings.clusterNodes[before] != node else { continue }
            let names = changedKeys(of: old, before, and: new, index)
            // A secret looks the same before and after; that it changed is all that may be told.
            let told = names.isEmpty ? "api_key" : names.joined(separator: ", ")
            changes.append(Change(path: path, sentence: "changed (\(told))"))
        }
        for node in old.settings.clusterNodes
        where !new.settings.clusterNodes.contains(where: { $0.nodeID == node.nodeID }) {
            changes.append(
                Change(path: "cluster_nodes[\(node.nodeID)]", sentence: "removed; its running exchanges finish"))
        }
        return changes
    }

    private static func changedKeys(
        of old: LoadedSettings, _ before: Int, and new: LoadedSettings, _ index: Int
    ) -> [String] {
        func keys(_ loaded: LoadedSettings, _ index: Int) -> [String: String] {
            let prefix = "cluster_nodes.\(index)."
            var keys: [String: String] = [:]
            for value in loaded.values where value.path.hasPrefix(prefix) {
                keys[String(value.path.dropFirst(prefix.count))] = value.rendered
            }
            return keys
        }
        let was = keys(old, before)
        let now = keys(new, index)
        let all = Set(was.keys).union(now.keys)
        return all.filter { was[$0] != now[$0] }.sorted()
    }
}
