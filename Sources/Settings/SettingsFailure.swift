/// What an operator wrote and we cannot take: every fault of the file at once, each with its place and remedy.
///
/// One fault at a time would cost the operator a restart for each; only a file that is not YAML at all stops at its
/// first fault, because nothing after it can be read.
package struct SettingsFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let faults: [SettingsFault]

    /// `config/gateway.yaml:14: unknown key "stratgy" in load_balancing (did you mean "strategy"?)`, one per fault.
    package var lines: [String] { faults.map(\.line) }
    package var description: String { lines.joined(separator: "\n") }

    init(_ faults: [SettingsFault]) {
        precondition(!faults.isEmpty, "a failure without a fault says nothing")
        self.faults = faults
    }

    init(file path: String, line: Int? = nil, column: Int? = nil, _ sentence: String) {
        self.init([SettingsFault(file: path, line: line, column: column, sentence)])
    }
}

package struct SettingsFault: Equatable, Sendable {
    /// Nil when the whole file is meant: it is missing, too large, or not text.
    package let place: SettingsPlace?
    /// The sentence without its place.
    package let sentence: String
    /// The sentence behind its place, as an operator reads it.
    package let line: String

    init(at place: SettingsPlace, _ sentence: String) {
        self.place = place
        self.sentence = sentence
        line = "\(place.errorPrefix): \(sentence)"
    }

    init(file path: String, line number: Int?, column: Int?, _ sentence: String) {
        place = number.map { .file(path: path, line: $0, column: column ?? 1) }
        self.sentence = sentence
        line = number.map { "\(path):\($0): \(sentence)" } ?? "\(path): \(sentence)"
    }
}
