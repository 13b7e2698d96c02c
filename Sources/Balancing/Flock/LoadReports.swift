/// When this replica tells the others what it has on workers: at each change, ten times a second at most; again each second
/// while there is something; and nothing three times, since nobody would miss a lost zero.
package import Determinism
package import WireCoding

package struct LoadReports: Sendable {
    /// Between two reports [ours].
    package static let spacing = Nanoseconds.milliseconds(100)
    package static let repeats = Nanoseconds.seconds(1)
    package static let zeros = 3
    /// What is due so soon goes along with what is due now [ours]: one packet tells of many workers.
    package static let company = Nanoseconds.milliseconds(500)
    /// A second and third zero follow quickly: until they come the others see work that is done [ours].
    package static let zeroEvery = Nanoseconds.milliseconds(200)

    private struct Row: Sendable {
        var news: WorkerLoadNews
        /// When it is to be told next.
        var due: Instant
        var zerosLeft: Int

        var isZero: Bool { news.running == 0 && news.queued == 0 && news.promptTokens == 0 && news.outputTokens == 0 }
    }

    package let bound: Int
    /// Sorted by worker: those with work, and those whose end is still to be told.
    private var rows: [Row] = []
    private var lastReport: Instant?
    package private(set) var nextDeadline = Instant.never

    /// `bound`: workers at most; the boards have no more cells.
    package init(bound: Int = 256) { self.bound = bound }

    /// All workers that have anything now; absolute. What is not named has nothing.
    package mutating func update(_ loads: [WorkerLoadNews], at now: Instant) {
        let sorted = isSorted(loads) ? loads : loads.sorted { $0.worker < $1.worker }
        var position = 0
        for load in sorted {
            // Of two words on one worker the first counts.
            if position > 0, rows[position - 1].news.worker == load.worker { continue }
            while position < rows.count, rows[position].news.worker < load.worker {
                change(at: position, to: Self.nothing(on: rows[position].news.worker), now)
                position += 1
            }
            if position < rows.count, rows[position].news.worker == load.worker {
                change(at: position, to: load, now)
                position += 1
            } else if rows.count < bound, load != Self.nothing(on: load.worker) {
                rows.insert(Row(news: load, due: now, zerosLeft: Self.zeros), at: position)
                position += 1
            }
        }
        while position < rows.count {
            change(at: position, to: Self.nothing(on: rows[position].news.worker), now)
            position += 1
        }
        schedule()
    }

    /// Appends what is to be told now, if it is time.
    package mutating func take(at now: Instant, into report: inout [WorkerLoadNews]) {
        guard now >= nextDeadline else { return }
        var kept = 0
        for position in rows.indices {
            var row = rows[position]
            if now >= row.due || (!row.isZero && now + Self.company >= row.due) {
                report.append(row.news)
                if row.isZero { row.zerosLeft -= 1 }
                row.due = now + (row.isZero ? Self.zeroEvery : Self.repeats)
            }
            guard row.zerosLeft > 0 else { continue }
            rows[kept] = row
            kept += 1
        }
        rows.removeLast(rows.count - kept)
        lastReport = now
        schedule()
    }

    private mutating func change(at position: Int, to news: WorkerLoadNews, _ now: Instant) {
        guard rows[position].news != news else { return }
        rows[position] = Row(news: news, due: now, zerosLeft: Self.zeros)
    }

    private mutating func schedule() {
        var first = Instant.never
        for row in rows { first = min(first, row.due) }
        nextDeadline = lastReport.map { first == .never ? .never : max(first, $0 + Self.spacing) } ?? first
    }

    private func isSorted(_ loads: [WorkerLoadNews]) -> Bool {
        zip(loads, loads.dropFirst()).allSatisfy { $0.worker < $1.worker }
    }

    private static func nothing(on worker: WorkerShortID) -> WorkerLoadNews {
        WorkerLoadNews(worker: worker, running: 0, queued: 0, promptTokens: 0, outputTokens: 0)
    }
}
