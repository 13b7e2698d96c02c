/// What workers told of themselves, once in each of their lives.
package import Balancing
import Synchronization

/// As a worker told it; nil for what it does not tell.
package struct WorkerIntroduction: Equatable, Sendable {
    package let version: String?
    /// Sorted.
    package let capabilities: [String]?

    package init(version: String?, capabilities: [String]?) {
        self.version = version
        self.capabilities = capabilities
    }
}

/// The introduction of one life, and the answers in which it was looked for.
struct Introductions: Sendable {
    var life = 0
    var tries = 0
    var told: WorkerIntroduction?
}

extension WorkerBoard {
    /// Answers without an introduction after which none is looked for, until the worker's next life.
    package static let introductionTriesMax = 5

    /// Whether an answer given in this life may be looked at for an introduction. True takes one of the tries.
    package func takeIntroductionTry(_ worker: WorkerIndex, life: Int) -> Bool {
        guard life == incarnation(worker) else { return false }
        return self[worker].introductions.withLock { known in
            if known.life != life { known = Introductions(life: life) }
            guard known.told == nil, known.tries < Self.introductionTriesMax else { return false }
            known.tries += 1
            return true
        }
    }

    package func introduce(_ worker: WorkerIndex, as introduction: WorkerIntroduction, life: Int) {
        self[worker].introductions.withLock { known in
            if known.life == life { known.told = introduction }
        }
    }

    /// What it told in its present life, or in its last while it is down; nil before it told anything.
    package func introduction(_ worker: WorkerIndex) -> WorkerIntroduction? {
        let life = incarnation(worker)
        return self[worker].introductions.withLock { $0.life == life ? $0.told : nil }
    }
}
