/// Where `/metrics` comes from: sources are asked, families of one name are put together, and the text is bounded.
package import CoreMetrics
import Determinism
import Synchronization

package final class MetricRegistry: Sendable {
    package typealias Source = @Sendable () -> [MetricFamily]

    /// Series of one family. A label that someone from outside can choose would otherwise fill the memory of whoever
    /// scrapes us.
    package static let seriesPerFamilyMax = 1_000
    /// A replica has some ten sources, all registered at start.
    package static let sourcesMax = 64

    private let sources = Mutex<[Source]>([])
    private let library = LibraryMetrics()
    private let refusedInText = Atomic<Int>(0)

    package init() {}

    /// What libraries are given: `MetricsSystem.bootstrap(registry.factory)`.
    package var factory: any MetricsFactory { library }

    package func register(source: @escaping Source) {
        sources.withLock { sources in
            guard sources.count < Self.sourcesMax else {
                return Fault.report("telemetry: more than \(Self.sourcesMax) metric sources")
            }
            sources.append(source)
        }
    }

    /// Series that found no room since start.
    package var refused: Int { library.refused + refusedInText.load(ordering: .relaxed) }

    /// Prometheus text 0.0.4, families in the order of their names.
    package func render() -> String {
        // Sources are called outside the lock: one of them may well take locks of its own.
        let asked = sources.withLock { $0 }
        var families: [String: MetricFamily] = [:]
        for source in asked { add(source(), to: &families) }
        add(library.families(), to: &families)
        var bounded: [MetricFamily] = []
        for name in families.keys.sorted() {
            guard var family = families[name] else { continue }
            bound(&family)
            bounded.append(family)
        }
        bounded.append(MetricNames.seriesRefused.family(refused))
        return PrometheusText.render(bounded.sorted { $0.name < $1.name })
    }

    private func add(_ more: [MetricFamily], to families: inout [String: MetricFamily]) {
        for family in more {
            guard PrometheusText.isMetricName(family.name), hasLegalLabels(family) else {
                Fault.report("telemetry: \(family.name) or one of its labels is no legal name")
                continue
            }
            guard var present = families[family.name] else {
                families[family.name] = family
                continue
            }
            guard present.type == family.type else {
                Fault.report("telemetry: \(family.name) is both \(present.type) and \(family.type)")
                continue
            }
            present.samples += family.samples
            families[family.name] = present
        }
    }

    private func hasLegalLabels(_ family: MetricFamily) -> Bool {
        family.samples.allSatisfy { $0.labels.allSatisfy { PrometheusText.isLabelName($0.name) } }
    }

    /// The samples of one series stand together, so a series begins where the labels (but for `le`) change.
    private func bound(_ family: inout MetricFamily) {
        guard family.samples.count > Self.seriesPerFamilyMax else { return }
        var series = 0
        var refused = 0
        var previous: [(name: String, value: String)]?
        var kept: [MetricSample] = []
        for sample in family.samples {
            let labels = sample.labels.filter { $0.name != "le" }
            let isSame =
                previous.map { $0.elementsEqual(labels) { $0.name == $1.name && $0.value == $1.value } } ?? false
            if !isSame {
                previous = labels
                series += 1
                if series > Self.seriesPerFamilyMax { refused += 1 }
            }
            if series <= Self.seriesPerFamilyMax { kept.append(sample) }
        }
        refusedInText.add(refused, ordering: .relaxed)
        family.samples = kept
    }
}
