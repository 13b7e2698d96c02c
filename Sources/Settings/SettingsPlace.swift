/// Where a value was written. An operator with a wrong value must know which of four places to open, so every value
/// and every fault carries its place.
package enum SettingsPlace: Hashable, Sendable {
    /// Nobody wrote it.
    case builtIn
    /// Line and column count from 1.
    case file(path: String, line: Int, column: Int)
    /// The variable's name.
    case environment(String)
    /// The dotted path given to `--set`.
    case flag(String)

    /// As `config show` prints it.
    package var origin: String {
        switch self {
        case .builtIn: "default"
        case .file(let path, let line, _): "\(path):\(line)"
        case .environment(let name): "environment \(name)"
        case .flag(let path): "--set \(path)"
        }
    }

    /// As an error begins.
    var errorPrefix: String {
        switch self {
        case .builtIn: "default"
        case .file(let path, let line, _): "\(path):\(line)"
        case .environment(let name): name
        case .flag(let path): "--set \(path)"
        }
    }

    /// True for the two places that lie over the file.
    var isOverride: Bool {
        switch self {
        case .environment, .flag: true
        case .builtIn, .file: false
        }
    }

    /// Faults are told in the order in which an operator meets them: down the file, then variables, then flags.
    var order: (Int, Int, Int, String) {
        switch self {
        case .builtIn: (3, 0, 0, "")
        case .file(_, let line, let column): (0, line, column, "")
        case .environment(let name): (1, 0, 0, name)
        case .flag(let path): (2, 0, 0, path)
        }
    }
}
