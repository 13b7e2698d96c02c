/// Names for models: what else a client may say, and which of the workers' models are offered at all.
package struct ModelsSettings: Equatable, Sendable {
    package struct Alias: Equatable, Sendable {
        package let name: String
        package let target: String
    }

    /// In the file's order.
    package let aliases: [Alias]
    /// Empty: everything the workers have.
    package let allowlist: [String]
    package let answerModel: AnswerModel

    /// Whose name for a model stands in answers.
    package enum AnswerModel: String, CaseIterable, Sendable {
        /// What the worker wrote: answers pass as they come.
        case upstream
        /// The name by which the client asked.
        case alias
    }

    init(_ section: SectionReader, nodes: [ClusterNodeSettings]) {
        var section = section
        let report = section.report
        let entries = section.words("aliases", countMax: 1024, keyRule: .model, rule: .model)
        var aliases: [Alias] = []
        let declared = Set(nodes.flatMap { $0.models.map(\.name) })
        // A worker without a list tells its models when it is asked, so any name might turn out to exist.
        let isOpen = nodes.contains { $0.models.isEmpty }
        for entry in entries {
            guard case .scalar(let target) = entry.value else { continue }
            let shown = SettingsText.quoted(target.text)
            if target.text == entry.key {
                report.fault(at: target.place, "models.aliases.\(entry.key) points at itself")
            } else if entries.contains(where: { $0.key == target.text }) {
                report.fault(
                    at: target.place,
                    "models.aliases.\(entry.key) points at the alias \(shown); point it at a model, aliases do not chain"
                )
            } else if !declared.contains(target.text), !isOpen {
                report.warn(
                    at: target.place,
                    "models.aliases.\(entry.key) points at \(shown), which no cluster_nodes entry lists")
            }
            if declared.contains(entry.key) {
                report.warn(at: entry.keyPlace, "models.aliases.\(entry.key) hides a model of the same name")
            }
            aliases.append(Alias(name: entry.key, target: target.text))
        }
        self.aliases = aliases
        allowlist = section.texts("allowlist", countMax: 4096, rule: .model)
        for name in allowlist where !declared.contains(name) && !isOpen {
            report.warn(
                at: section.place(of: "allowlist"),
                "models.allowlist names \(SettingsText.quoted(name)), which no cluster_nodes entry lists")
        }
        answerModel = section.choice("answer_model", default: .upstream)
        section.finish()
    }
}
