/// The `MetricsFactory` that libraries report through. The lane does not use it: it counts in its own cells.
///
/// Objects are made at setup and are few, so finding one may take a lock; counting is one atomic instruction.
/// A series that finds no room gets a handler that counts nothing, and the refusal itself is counted.
import CoreMetrics
import Synchronization

final class LibraryMetrics: MetricsFactory {
    static let familiesMax = 256

    private struct SeriesKey: Hashable {
        let labels: [String]
    }

    private struct Family {
        let help: String
        let type: MetricFamily.Kind
        var series: [SeriesKey: any LibrarySeries] = [:]
        /// The order of making, so that the text is the same each time.
        var order: [SeriesKey] = []
    }

    private let store = Mutex<[String: Family]>([:])
    private let refusals = Atomic<Int>(0)

    var refused: Int { refusals.load(ordering: .relaxed) }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        find(LibraryNames.counter(label), label, .counter, dimensions) { LibraryCounter(name: $0, labels: $1) }
            ?? NOOPMetricsHandler.instance
    }

    func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        find(LibraryNames.counter(label), label, .counter, dimensions) { LibraryFloatingCounter(name: $0, labels: $1) }
            ?? NOOPMetricsHandler.instance
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        find(LibraryNames.plain(label), label, .gauge, dimensions) { LibraryGauge(name: $0, labels: $1) }
            ?? NOOPMetricsHandler.instance
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if aggregate {
            return find(LibraryNames.plain(label), label, .histogram, dimensions) {
                LibraryHistogram(name: $0, labels: $1, edges: HistogramEdges.magnitudes)
            } ?? NOOPMetricsHandler.instance
        }
        return find(LibraryNames.plain(label), label, .gauge, dimensions) { LibraryGauge(name: $0, labels: $1) }
            ?? NOOPMetricsHandler.instance
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        find(LibraryNames.timer(label), label, .histogram, dimensions) {
            LibraryHistogram(name: $0, labels: $1, edges: HistogramEdges.requestSeconds)
        } ?? NOOPMetricsHandler.instance
    }

    func destroyCounter(_ handler: any CounterHandler) { forget(handler as? any LibrarySeries) }
    func destroyMeter(_ handler: any MeterHandler) { forget(handler as? any LibrarySeries) }
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
        forget(handler as? any LibrarySeries)
    }
    func destroyRecorder(_ handler: any RecorderHandler) { forget(handler as? any LibrarySeries) }
    func destroyTimer(_ handler: any TimerHandler) { forget(handler as? any LibrarySeries) }

    func families() -> [MetricFamily] {
        store.withLock { families in
            families.keys.sorted().compactMap { name in
                guard let family = families[name], !family.order.isEmpty else { return nil }
                return MetricFamily(
                    name: name, help: family.help, type: family.type,
                    samples: family.order.flatMap { family.series[$0]?.samples() ?? [] })
            }
        }
    }

    /// The present series of these labels, a new one, or nil when there is no room or the name means something else.
    private func find<Series: LibrarySeries>(
        _ name: String, _ label: String, _ type: MetricFamily.Kind, _ dimensions: [(String, String)],
        make: @Sendable (String, [(name: String, value: String)]) -> Series
    ) -> Series? {
        let labels = LibraryNames.labels(dimensions)
        let key = SeriesKey(labels: labels.flatMap { [$0.name, $0.value] })
        let found: Series? = store.withLock { families in
            if families[name] == nil {
                guard families.count < Self.familiesMax else { return nil }
                families[name] = Family(help: "Reported by a library as \(label).", type: type)
            }
            guard families[name]?.type == type else { return nil }
            if let present = families[name]?.series[key] { return present as? Series }
            guard let count = families[name]?.order.count, count < MetricRegistry.seriesPerFamilyMax else { return nil }
            let series = make(name, labels)
            families[name]?.series[key] = series
            families[name]?.order.append(key)
            return series
        }
        if found == nil { refusals.add(1, ordering: .relaxed) }
        return found
    }

    private func forget(_ series: (any LibrarySeries)?) {
        guard let series else { return }
        let key = SeriesKey(labels: series.labels.flatMap { [$0.name, $0.value] })
        store.withLock { families in
            guard families[series.name]?.series[key] === series else { return }
            families[series.name]?.series[key] = nil
            families[series.name]?.order.removeAll { $0 == key }
        }
    }
}

/// From a library's words to Prometheus': dots become underscores, units and `_total` are said.
enum LibraryNames {
    static func plain(_ label: String) -> String {
        var name = ""
        for byte in label.utf8 {
            name += PrometheusText.isNameByte(byte) ? String(UnicodeScalar(byte)) : "_"
        }
        if name.isEmpty { return "unnamed" }
        return name.utf8.first.map { (48...57).contains($0) } == true ? "_" + name : name
    }

    static func counter(_ label: String) -> String {
        let name = plain(label)
        return name.hasSuffix("_total") ? name : name + "_total"
    }

    static func timer(_ label: String) -> String {
        let name = plain(label)
        return name.hasSuffix("_seconds") ? name : name + "_seconds"
    }

    /// `le` belongs to buckets; a second label of one name would make the text unreadable, so the first one stays.
    static func labels(_ dimensions: [(String, String)]) -> [(name: String, value: String)] {
        var labels: [(name: String, value: String)] = []
        for (dimension, value) in dimensions {
            var name = plain(dimension)
            while name.hasPrefix("__") { name.removeFirst() }
            if name == "le" { name = "le_" }
            if !labels.contains(where: { $0.name == name }) { labels.append((name, value)) }
        }
        return labels
    }
}
