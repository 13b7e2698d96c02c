/// One worker: where it listens, what runs there, which models it has, and what the machine is made of.
package import Balancing
package import WireCoding

package struct ClusterNodeSettings: Equatable, Sendable {
    /// The lane keeps a fixed cell per worker.
    package static let countMax = 256

    package struct Specs: Equatable, Sendable {
        package let chip: String?
        package let memoryGB: Int?
        /// Nil: the share of its memory that macOS lets the GPU have.
        package let gpuMemoryGB: Int?
    }

    package let nodeID: String
    package let host: String
    package let port: Int
    package let kind: WorkerKind
    /// Empty: whatever the worker says it has.
    package let models: [NodeModelSettings]
    package let weight: Double
    /// Nil: the kind's usual number of slots.
    package let maxConcurrency: Int?
    package let specs: Specs
    package let apiKey: Redacted<String>?
    package let tls: Bool
    /// A PEM file of the authorities that may sign the worker's certificate; empty: the system's.
    package let tlsCA: String
    /// Nil: `host:port`.
    package let hostHeader: String?
    package let plainAssembly: PlainAssembly
    /// Where a monitor of the Mac answers in macmon's JSON; nil: nobody is asked.
    package let telemetryURL: String?
    /// How replicas call it.
    package var shortID: WorkerShortID { WorkerShortID(of: nodeID) }
    /// Where the entry begins, for faults found later.
    let place: SettingsPlace

    package static func == (left: Self, right: Self) -> Bool {
        left.nodeID == right.nodeID && left.host == right.host && left.port == right.port && left.kind == right.kind
            && left.models == right.models && left.weight == right.weight
            && left.maxConcurrency == right.maxConcurrency && left.specs == right.specs && left.apiKey == right.apiKey
            && left.tls == right.tls && left.tlsCA == right.tlsCA && left.hostHeader == right.hostHeader
            && left.plainAssembly == right.plainAssembly && left.telemetryURL == right.telemetryURL
    }

    static func list(_ root: inout SectionReader) -> [ClusterNodeSettings] {
        let report = root.report
        var nodes: [ClusterNodeSettings] = []
        for (index, item) in root.items("cluster_nodes", countMax: countMax).enumerated() {
            guard
                let node = ClusterNodeSettings(
                    SectionReader(path: "cluster_nodes.\(index)", node: item, report: report))
            else { continue }
            if let first = nodes.first(where: { $0.nodeID == node.nodeID }) {
                report.fault(
                    at: node.place,
                    "node_id \(SettingsText.quoted(node.nodeID)) is used twice (first at \(first.place.origin))")
            } else if let first = nodes.first(where: { node.shortID == $0.shortID }) {
                report.fault(
                    at: node.place,
                    "node_id \(SettingsText.quoted(node.nodeID)) and \(SettingsText.quoted(first.nodeID)) have one short form "
                        + "between replicas (first at \(first.place.origin)); rename one of them")
            }
            if let first = nodes.first(where: { $0.host == node.host && $0.port == node.port }) {
                report.warn(
                    at: node.place,
                    "\(SettingsText.quoted(node.nodeID)) and \(SettingsText.quoted(first.nodeID)) are one address, "
                        + "\(node.host):\(node.port); its slots are counted twice")
            }
            nodes.append(node)
        }
        return nodes
    }

    /// Nil when it has no identity; the fault is noted.
    private init?(_ section: SectionReader) {
        var section = section
        let report = section.report
        guard let id = Self.required("node_id", of: &section, { $0.text("node_id", rule: .name) }) else {
            // Read on, so that the other faults of this entry are told too.
            _ = Self.rest(of: &section, id: "", place: section.place)
            return nil
        }
        let place = section.place(of: "node_id")
        guard let node = Self.rest(of: &section, id: id, place: place) else { return nil }
        self = node
        if models.isEmpty, section.isWritten("models") == false {
            report.note(section.full("models"), "[] (asked from the worker)", from: .builtIn)
        }
    }

    private static func required<Value>(
        _ key: String, of section: inout SectionReader, _ read: (inout SectionReader) -> Value?
    ) -> Value? {
        if !section.isWritten(key) { section.report.fault(at: section.place, "\(section.path) has no \(key)") }
        return read(&section)
    }

    private static func rest(
        of section: inout SectionReader, id: String, place: SettingsPlace
    ) -> ClusterNodeSettings? {
        let report = section.report
        let host = required("host", of: &section) { $0.text("host", rule: .host) }
        let port = required("port", of: &section) { $0.wholeNumber("port", in: 1...65535) }
        let kind = section.choice("kind", default: WorkerKind.openAI)
        let models = NodeModelSettings.list(&section)
        let weight = section.number("weight", default: 1, in: 0.01...1000)
        let maxConcurrency = section.wholeNumber("max_concurrency", in: 1...4096)
        var specsSection = section.section("specs")
        let specs = Specs(
            chip: specsSection.text("chip", rule: .chip), memoryGB: specsSection.wholeNumber("memory_gb", in: 1...4096),
            gpuMemoryGB: specsSection.wholeNumber("gpu_memory_gb", in: 1...4096))
        if let gpu = specs.gpuMemoryGB, let memory = specs.memoryGB, gpu > memory {
            report.fault(
                at: specsSection.place(of: "gpu_memory_gb"),
                "\(specsSection.path).gpu_memory_gb (\(gpu)) is more than memory_gb (\(memory))")
        }
        if let chip = specs.chip, !isChipName(chip) {
            report.warn(
                at: specsSection.place(of: "chip"),
                "\(SettingsText.quoted(chip)) does not look like a chip (\"M2\", \"M2 Pro\", \"M2 Max\", \"M2 Ultra\"); "
                    + "this worker starts with average speeds until it is measured")
        }
        specsSection.finish()
        let tls = Self.tls(&section)
        let tlsCA =
            section.isWritten("tls_ca") ? section.path("tls_ca", default: "") : Self.unwritten("tls_ca", &section)
        if !tlsCA.isEmpty, !tls {
            report.fault(
                at: section.place(of: "tls_ca"), "\(section.path).tls_ca is given, but tls is off; add tls: true")
        }
        let apiKey = Self.apiKey(&section)
        let hostHeader = section.text("host_header", rule: .optionalHostHeader)
        let plainAssembly = section.choice("assemble_plain_answers", default: PlainAssembly.auto)
        let telemetryURL = section.text("telemetry_url", rule: .pageURL)
        section.finish()
        guard let host, let port else { return nil }
        return ClusterNodeSettings(
            nodeID: id, host: host, port: port, kind: kind, models: models, weight: weight,
            maxConcurrency: maxConcurrency, specs: specs, apiKey: apiKey, tls: tls, tlsCA: tlsCA,
            hostHeader: hostHeader, plainAssembly: plainAssembly, telemetryURL: telemetryURL, place: place)
    }

    private init(
        nodeID: String, host: String, port: Int, kind: WorkerKind, models: [NodeModelSettings], weight: Double,
        maxConcurrency: Int?, specs: Specs, apiKey: Redacted<String>?, tls: Bool, tlsCA: String, hostHeader: String?,
        plainAssembly: PlainAssembly, telemetryURL: String?, place: SettingsPlace
    ) {
        self.nodeID = nodeID
        self.host = host
        self.port = port
        self.kind = kind
        self.models = models
        self.weight = weight
        self.maxConcurrency = maxConcurrency
        self.specs = specs
        self.apiKey = apiKey
        self.tls = tls
        self.tlsCA = tlsCA
        self.hostHeader = hostHeader
        self.plainAssembly = plainAssembly
        self.telemetryURL = telemetryURL
        self.place = place
    }

    /// Makes a key known without a line in `config show`: nobody asked for it and its absence is its meaning.
    private static func unwritten(_ key: String, _ section: inout SectionReader) -> String {
        _ = section.text(key, rule: .path)
        return ""
    }

    /// `tls: true` and `scheme: https` say the same; both may stand there as long as they agree.
    private static func tls(_ section: inout SectionReader) -> Bool {
        let flag = section.flag("tls")
        let scheme = section.text(
            "scheme", rule: TextRule(expected: "\"http\" or \"https\"") { $0 == "http" || $0 == "https" })
        if let flag, let scheme, flag != (scheme == "https") {
            section.report.fault(
                at: section.place(of: "scheme"),
                "\(section.path).scheme is \(SettingsText.quoted(scheme)), but tls is \(flag); keep one of the two")
        }
        return flag ?? (scheme == "https")
    }

    private static func apiKey(_ section: inout SectionReader) -> Redacted<String>? {
        let inline = section.secret("api_key")
        guard section.isWritten("api_key_file") else {
            _ = unwritten("api_key_file", &section)
            return inline
        }
        let path = section.path("api_key_file", default: "")
        let place = section.place(of: "api_key_file")
        if section.isWritten("api_key") {
            section.report.fault(at: place, "\(section.path) has both api_key and api_key_file; keep the file")
            return inline
        }
        guard !path.isEmpty else { return nil }
        do throws(SecretFile.Failure) {
            return Redacted(try SecretFile.read(path))
        } catch {
            section.report.fault(at: place, "\(section.path).api_key_file \(error.sentence)")
            return nil
        }
    }

    private static func isChipName(_ chip: String) -> Bool {
        let words = chip.split(separator: " ")
        guard let first = words.first, first.hasPrefix("M"), Int(first.dropFirst()) != nil else { return false }
        return words.count == 1 || (words.count == 2 && ["Pro", "Max", "Ultra"].contains(words[1]))
    }
}
