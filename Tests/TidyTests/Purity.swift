/// Words that a file may not contain: time, chance and tasks in pure rooms, waiting on the lane, sleeping in tests.
struct ForbiddenWord: Sendable {
    /// As it stands in code. A letter, digit or underscore directly before or after it makes it another word.
    let word: String
    let because: String

    func violations(in source: SourceText) -> [Violation] {
        guard source.code.contains(word) else { return [] }
        return source.lines.enumerated().compactMap { number, line in
            occurs(in: line)
                ? Violation(
                    path: source.path, line: number + 1, sentence: "`\(word)` is not for this place: \(because)") : nil
        }
    }

    private func occurs(in line: String) -> Bool {
        let text = Array(line.utf8)
        let wanted = Array(word.utf8)
        guard text.count >= wanted.count else { return false }
        return (0...(text.count - wanted.count)).contains { start in
            let end = start + wanted.count
            return text[start..<end].elementsEqual(wanted)
                && !(Self.isWordByte(wanted[0]) && start > 0 && Self.isWordByte(text[start - 1]))
                && !(Self.isWordByte(wanted[wanted.count - 1]) && end < text.count && Self.isWordByte(text[end]))
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }
}

enum Purity {
    /// A machine is told the time and given its generator, or it cannot be replayed.
    static let inPureRooms = [
        ForbiddenWord(word: "Date()", because: "`now` arrives as an argument"),
        ForbiddenWord(word: ".now", because: "`now` arrives as an argument"),
        ForbiddenWord(word: "ContinuousClock", because: "`now` arrives as an argument"),
        ForbiddenWord(word: "SuspendingClock", because: "`now` arrives as an argument"),
        ForbiddenWord(word: ".random(", because: "a `SeededGenerator` arrives"),
        ForbiddenWord(word: "SystemRandomNumberGenerator", because: "a `SeededGenerator` arrives"),
        ForbiddenWord(word: ".randomElement(", because: "a `SeededGenerator` arrives"),
        ForbiddenWord(word: ".shuffled()", because: "a `SeededGenerator` arrives"),
        ForbiddenWord(word: "Hasher()", because: "Swift's hashes differ from process to process; use `StableHash64`"),
        ForbiddenWord(word: "hashValue", because: "Swift's hashes differ from process to process; use `StableHash64`"),
        ForbiddenWord(word: "Task {", because: "a machine starts nothing"),
        ForbiddenWord(word: "Task.detached", because: "a machine starts nothing"),
        ForbiddenWord(word: "await", because: "a machine waits for nothing"),
    ]
    /// The lane answers in one call stack on one event loop (L10).
    static let onTheLane = [
        ForbiddenWord(word: "await", because: "the lane waits for nothing (L10)"),
        ForbiddenWord(word: "Task {", because: "the lane makes no task (L10)"),
        ForbiddenWord(word: ".wait()", because: "the lane blocks on nothing (L10)"),
        ForbiddenWord(word: "DispatchSemaphore", because: "the lane blocks on nothing (L10)"),
        ForbiddenWord(word: "actor", because: "the lane hops to no actor (L10)"),
    ]
    /// A test moves time; a sleeping one is slow when it is right and wrong when the machine is slow.
    static let inTests = [
        ForbiddenWord(word: "sleep", because: "move the time, or wait for the event itself"),
        ForbiddenWord(word: "usleep", because: "move the time, or wait for the event itself"),
        ForbiddenWord(word: "nanosleep", because: "move the time, or wait for the event itself"),
        ForbiddenWord(word: "Thread.sleep", because: "move the time, or wait for the event itself"),
    ]
}
