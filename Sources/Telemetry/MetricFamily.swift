/// What a source hands to the registry at the moment of asking: numbers with names, already summed.
///
/// The lane keeps its counters per event loop in its own way; a closure that yields families is all it owes us.
package struct MetricFamily: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    package var name: String
    package var help: String
    package var type: Kind
    package var samples: [MetricSample]

    package init(name: String, help: String, type: Kind, samples: [MetricSample]) {
        self.name = name
        self.help = help
        self.type = type
        self.samples = samples
    }
}

package struct MetricSample: Equatable, Sendable {
    /// `_bucket`, `_sum` or `_count` of a histogram, otherwise empty.
    package var suffix: String
    package var labels: [(name: String, value: String)]
    package var value: Double

    package init(suffix: String = "", labels: [(name: String, value: String)] = [], value: Double) {
        self.suffix = suffix
        self.labels = labels
        self.value = value
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.suffix == right.suffix && left.value == right.value
            && left.labels.elementsEqual(right.labels) { $0.name == $1.name && $0.value == $1.value }
    }
}

extension MetricSample {
    /// The samples of one histogram series. `counts` has one entry per edge and a last one for what is above them all,
    /// each counting only its own bucket; the text format wants them cumulative.
    package static func histogram(
        labels: [(name: String, value: String)], edges: [Double], counts: [Int], sum: Double
    ) -> [MetricSample] {
        precondition(counts.count == edges.count + 1, "a histogram has one bucket more than edges")
        var samples: [MetricSample] = []
        samples.reserveCapacity(counts.count + 2)
        var total = 0
        for (edge, count) in zip(edges, counts) {
            total += count
            samples.append(
                MetricSample(
                    suffix: "_bucket", labels: labels + [("le", PrometheusText.number(edge))], value: Double(total)))
        }
        total += counts[edges.count]
        samples.append(MetricSample(suffix: "_bucket", labels: labels + [("le", "+Inf")], value: Double(total)))
        samples.append(MetricSample(suffix: "_sum", labels: labels, value: sum))
        samples.append(MetricSample(suffix: "_count", labels: labels, value: Double(total)))
        return samples
    }
}
