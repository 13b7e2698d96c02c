/// Which of OpenAI's inference routes a request is for.
package enum InferenceRoute: Hashable, Sendable {
    case chatCompletions
    case completions
    case embeddings
    /// What stands behind `/v1/`.
    case other(String)

    /// Bytes of an unusual route's name; none of the real ones has half of it.
    static let nameBytesMax = 64

    /// An exact path, without its query. Nil for what is not under `/v1/`, has an empty part or a byte that no route has.
    package init?(path: String) {
        switch path {
        case "/v1/chat/completions": self = .chatCompletions
        case "/v1/completions": self = .completions
        case "/v1/embeddings": self = .embeddings
        default:
            let prefix = "/v1/"
            guard path.hasPrefix(prefix) else { return nil }
            let name = path.utf8.dropFirst(prefix.utf8.count)
            guard (1...Self.nameBytesMax).contains(name.count), name.allSatisfy(Self.isNameByte),
                name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy({ !$0.isEmpty })
            else { return nil }
            self = .other(String(path.dropFirst(prefix.count)))
        }
    }

    package var path: String {
        switch self {
        case .chatCompletions: "/v1/chat/completions"
        case .completions: "/v1/completions"
        case .embeddings: "/v1/embeddings"
        case .other(let name): "/v1/\(name)"
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
            UInt8(ascii: "-"), UInt8(ascii: "/"):
            true
        default: false
        }
    }
}
