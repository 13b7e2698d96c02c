/// A model on one worker: its name for clients, its name for the worker, and the shape that predicts its speed.
package struct NodeModelSettings: Equatable, Sendable {
    package static let countMax = 256

    /// What clients ask for; the same on every worker that has the model.
    package let name: String
    /// What this worker calls it.
    package let upstreamName: String
    package let contextTokens: Int?
    package let vocabulary: Int?
    /// Tokens of an answer whose client set no limit.
    package let maxOutputTokens: Int?
    package let parametersBillions: Double?
    /// Of a mixture of experts: what one token reads.
    package let activeParametersBillions: Double?
    package let bits: Int?
    package let layers: Int?
    package let kvHeads: Int?
    package let headDim: Int?
    package let bytes: Int?

    static func list(_ section: inout SectionReader) -> [NodeModelSettings] {
        let report = section.report
        let path = section.full("models")
        var models: [NodeModelSettings] = []
        for (index, item) in section.items("models", countMax: countMax).enumerated() {
            guard let model = one(item, path: "\(path).\(index)", report: report) else { continue }
            if models.contains(where: { $0.name == model.name }) {
                report.fault(at: item.place, "\(path) lists \(SettingsText.quoted(model.name)) twice")
            }
            models.append(model)
        }
        return models
    }

    private static func one(_ item: SettingsNode, path: String, report: SettingsReport) -> NodeModelSettings? {
        if case .mapping = item { return NodeModelSettings(SectionReader(path: path, node: item, report: report)) }
        // Where a mapping is possible too, a number in its place is still a forgotten pair of quotes.
        let reader = SectionReader(path: path, node: .mapping([], item.place), report: report)
        guard let name = reader.plainText(item, path, .model) else { return nil }
        report.note(path, SettingsText.quoted(name), from: item.place)
        return NodeModelSettings(name: name)
    }

    private init(name: String) {
        self.name = name
        upstreamName = name
        contextTokens = nil
        vocabulary = nil
        maxOutputTokens = nil
        parametersBillions = nil
        activeParametersBillions = nil
        bits = nil
        layers = nil
        kvHeads = nil
        headDim = nil
        bytes = nil
    }

    private init?(_ section: SectionReader) {
        var section = section
        let name = section.text("name", rule: .model)
        if name == nil, !section.isWritten("name") {
            section.report.fault(at: section.place, "\(section.path) has no name")
        }
        upstreamName = section.text("upstream_name", rule: .model) ?? name ?? ""
        contextTokens = section.wholeNumber("context_tokens", in: 1...100_000_000)
        vocabulary = section.wholeNumber("vocabulary", in: 1...10_000_000)
        maxOutputTokens = section.wholeNumber("max_output_tokens", in: 1...10_000_000)
        let parameters = section.number("parameters", in: 0.001...100_000)
        let active = section.number("active_parameters", in: 0.001...100_000)
        parametersBillions = parameters
        activeParametersBillions = active
        bits = section.wholeNumber("bits", in: 1...32)
        layers = section.wholeNumber("layers", in: 1...10_000)
        kvHeads = section.wholeNumber("kv_heads", in: 1...10_000)
        headDim = section.wholeNumber("head_dim", in: 1...100_000)
        bytes = section.wholeNumber("bytes", in: 1...1_000_000_000_000_000)
        section.finish()
        if let parameters, let active, active > parameters {
            section.report.fault(
                at: section.place(of: "active_parameters"),
                "\(section.path).active_parameters (\(SectionReader.shown(active))) is more than parameters "
                    + "(\(SectionReader.shown(parameters)))")
        }
        guard let name else { return nil }
        self.name = name
    }
}
