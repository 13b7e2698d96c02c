/// What a tidy check found: where, and what to do about it.
struct Violation: Hashable, Sendable, CustomStringConvertible {
    let path: String
    /// Counted from 1.
    let line: Int
    let sentence: String

    var description: String { "\(path):\(line): \(sentence)" }
}
