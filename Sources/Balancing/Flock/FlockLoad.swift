/// What exchanges of replicas do on a worker, or have still to do there.
package struct FlockLoad: Hashable, Sendable {
    package static let none = FlockLoad()

    package var running = 0
    package var queued = 0
    package var promptTokens = 0
    package var outputTokens = 0

    package init(running: Int = 0, queued: Int = 0, promptTokens: Int = 0, outputTokens: Int = 0) {
        self.running = running
        self.queued = queued
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
    }
}
