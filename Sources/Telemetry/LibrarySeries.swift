/// The things libraries hold and count with, each a few atomics.
import CoreMetrics
import Synchronization

protocol LibrarySeries: AnyObject, Sendable {
    var name: String { get }
    var labels: [(name: String, value: String)] { get }
    func samples() -> [MetricSample]
}

final class LibraryCounter: LibrarySeries, CounterHandler {
    let name: String
    let labels: [(name: String, value: String)]
    private let count = Atomic<Int64>(0)

    init(name: String, labels: [(name: String, value: String)]) {
        self.name = name
        self.labels = labels
    }

    func increment(by amount: Int64) {
        // A counter that went down would look like a restart to whoever computes a rate.
        guard amount > 0 else { return }
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() { count.store(0, ordering: .relaxed) }

    func samples() -> [MetricSample] {
        [MetricSample(labels: labels, value: Double(count.load(ordering: .relaxed)))]
    }
}

/// A double in an atomic word.
final class AtomicDouble: Sendable {
    private let bits = Atomic<UInt64>(0)

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if exchanged { return }
            old = original
        }
    }
}

final class LibraryFloatingCounter: LibrarySeries, FloatingPointCounterHandler {
    let name: String
    let labels: [(name: String, value: String)]
    private let count = AtomicDouble()

    init(name: String, labels: [(name: String, value: String)]) {
        self.name = name
        self.labels = labels
    }

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        count.add(amount)
    }

    func reset() { count.set(0) }

    func samples() -> [MetricSample] { [MetricSample(labels: labels, value: count.value)] }
}

/// A meter, or a recorder whose latest value is all that was asked for.
final class LibraryGauge: LibrarySeries, MeterHandler, RecorderHandler {
    let name: String
    let labels: [(name: String, value: String)]
    private let level = AtomicDouble()

    init(name: String, labels: [(name: String, value: String)]) {
        self.name = name
        self.labels = labels
    }

    func set(_ value: Int64) { level.set(Double(value)) }
    func set(_ value: Double) { level.set(value) }
    func increment(by amount: Double) { level.add(amount) }
    func decrement(by amount: Double) { level.add(-amount) }
    func record(_ value: Int64) { level.set(Double(value)) }
    func record(_ value: Double) { level.set(value) }

    func samples() -> [MetricSample] { [MetricSample(labels: labels, value: level.value)] }
}

/// A timer in seconds, or a recorder that wants its values spread out.
final class LibraryHistogram: LibrarySeries, RecorderHandler, TimerHandler {
    let name: String
    let labels: [(name: String, value: String)]
    private let cells: HistogramCells

    init(name: String, labels: [(name: String, value: String)], edges: [Double]) {
        self.name = name
        self.labels = labels
        cells = HistogramCells(edges: edges)
    }

    func record(_ value: Int64) { cells.record(Double(value)) }
    func record(_ value: Double) { cells.record(value) }
    func recordNanoseconds(_ duration: Int64) { cells.record(Double(duration) / 1e9) }
    /// Prometheus' unit is the second, whatever a library would rather see.
    func preferDisplayUnit(_ unit: TimeUnit) {}

    func samples() -> [MetricSample] { cells.samples(labels: labels) }
}
