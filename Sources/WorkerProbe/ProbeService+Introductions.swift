/// Which version a worker is and what it can do, read once in each of its lives out of what it says anyway.
import Balancing
import InferenceDialect
import ReplicaCore

extension ProbeService {
    /// `place`: where the answer came from. One that cannot be read is nobody's fault: the next is looked at, up to a bound.
    func introduce(
        _ worker: Worker, in place: IntroductionPage.Place, status: Int, _ body: [UInt8], life: Int
    ) {
        guard let page = Self.dialect(of: worker).introduction, page.place == place,
            board.takeIntroductionTry(worker.index, life: life),
            let told = page.read(status: status, body: body)
        else { return }
        board.introduce(
            worker.index,
            as: WorkerIntroduction(
                version: told.version, capabilities: told.capabilities.map { $0.map(\.rawValue).sorted() }),
            life: life)
    }
}
