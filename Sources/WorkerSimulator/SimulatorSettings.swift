import Determinism
package import SimulatedWorker

/// Everything that the command line may say about one simulated worker.
package struct SimulatorSettings: Sendable {
    package var host = "127.0.0.1"
    /// 0 takes a free port.
    package var port = 0
    /// nil opens no control port.
    package var controlPort: Int?
    package var flavor = Flavor.openAI
    package var models: [SimulatedModel] = []
    package var chip: ChipFigures
    package var memoryGigabytes = 64.0
    /// So many of the worker's seconds pass in one of ours; 0 answers at once and keeps no timers.
    package var timeScale = 1.0
    /// Time stands still but for `POST /_sim/advance`.
    package var isManual = false
    package var seed: UInt64 = 0
    package var slots: Int?
    package var contextTokens = 8_192
    package var apiKey: String?
    /// It is not alone in its process: when it dies, its port closes and the process stays.
    package var sharesProcess = false
    package var memoryPolicy: MemoryPolicy?
    package var scenario: [ScenarioStep] = []

    package init(chip: ChipFigures) { self.chip = chip }

    var reader: AskReader {
        AskReader(
            flavor: flavor, models: models, contextTokens: contextTokens, slots: slots ?? flavor.defaultSlots)
    }

    package func makeMachine() -> WorkerMachine {
        var machine = WorkerMachine(
            flavor: flavor, chip: chip, models: models, memoryGigabytes: memoryGigabytes, slots: slots, seed: seed,
            isInstant: timeScale == 0)
        machine.set(memoryPolicy: memoryPolicy, at: .zero)
        machine.play(scenario)
        return machine
    }
}
