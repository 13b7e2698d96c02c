import Balancing
import Determinism
import WireCoding

func at(seconds: Double) -> Instant { .zero + .nanoseconds(Int64(seconds * 1e9)) }
func replica(_ number: UInt32) -> ReplicaShortID { ReplicaShortID(rawValue: number) }
func mac(_ number: UInt32) -> WorkerShortID { WorkerShortID(rawValue: number) }

func word(
    of observer: UInt32, on worker: UInt32 = 1, _ state: WorkerHealthNews.State, epoch: UInt32 = 1, reason: UInt8 = 0
) -> WorkerHealthNews {
    WorkerHealthNews(
        worker: mac(worker), observer: replica(observer), epoch: epoch, state: state, reason: reason)
}

func observations(me: UInt32 = 1, workers: UInt32 = 1) -> WorkerObservations {
    var table = WorkerObservations(me: replica(me), firstEpoch: 1_000)
    table.configure((1...workers).map { (mac($0), UInt64($0) &* 0x9e37_79b9) })
    return table
}

extension SeededGenerator {
    mutating func shuffle<Element>(_ list: inout [Element]) {
        for position in list.indices.reversed() {
            list.swapAt(position, Int(below(UInt64(position + 1))))
        }
    }

    mutating func pick<Element>(_ list: [Element]) -> Element { list[Int(below(UInt64(list.count)))] }
}
