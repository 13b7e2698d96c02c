/// A list of prompts asked one after another, of a worker that takes one at a time: one slot, one attempt, one answer.
import InferenceDialect

struct PromptSeries {
    /// Which prompt is asked now.
    private(set) var position = 0
    /// The tokens of the prompts that are answered.
    private(set) var usage: TokenUsage?
    /// The answer so far, between two prompts.
    private var assembly: AnswerAssembly?

    /// What the next prompt's stream continues.
    mutating func continued(_ begin: () -> AnswerAssembly?) -> AnswerAssembly? {
        var assembly = self.assembly ?? begin()
        self.assembly = nil
        assembly?.firstIndex = position
        return assembly
    }

    mutating func add(_ counted: TokenUsage) {
        usage = TokenUsage(
            prompt: (usage?.prompt ?? 0) + counted.prompt, completion: (usage?.completion ?? 0) + counted.completion,
            cached: (usage?.cached ?? 0) + counted.cached)
    }

    mutating func goOn(with assembly: AnswerAssembly?) {
        self.assembly = assembly
        position += 1
    }
}
