/// A histogram that many threads may feed: one atomic per bucket, one for the sum.
///
/// Edges are fixed at birth. Values are spread over decades and the interesting ones sit in the first few buckets, so
/// a straight walk finds the bucket sooner than a binary search would.
import Synchronization

package final class HistogramCells: @unchecked Sendable {
    package let edges: [Double]
    private let cells: UnsafeMutablePointer<Atomic<Int>>
    /// The bits of a double; compare-and-exchange adds to it.
    private let sumBits = Atomic<UInt64>(0)

    /// `edges` ascend strictly.
    package init(edges: [Double]) {
        precondition(!edges.isEmpty && zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 }, "edges ascend strictly")
        self.edges = edges
        cells = .allocate(capacity: edges.count + 1)
        for position in 0...edges.count { (cells + position).initialize(to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize(count: edges.count + 1)
        cells.deallocate()
    }

    package func record(_ value: Double) {
        guard !value.isNaN else { return }
        var bucket = 0
        while bucket < edges.count, value > edges[bucket] { bucket += 1 }
        cells[bucket].add(1, ordering: .relaxed)
        var old = sumBits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + value).bitPattern
            let (exchanged, original) = sumBits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if exchanged { return }
            old = original
        }
    }

    package var counts: [Int] { (0...edges.count).map { cells[$0].load(ordering: .relaxed) } }
    package var sum: Double { Double(bitPattern: sumBits.load(ordering: .relaxed)) }

    package func samples(labels: [(name: String, value: String)]) -> [MetricSample] {
        MetricSample.histogram(labels: labels, edges: edges, counts: counts, sum: sum)
    }
}
