/// What a member of a request must be, and in which words a server complains that it is something else.
struct TypeRule: Sendable {
    enum Kind: Sendable {
        case flag
        case whole(least: Int)
        case number(ClosedRange<Double>)
        case object
    }

    let name: String
    let kind: Kind
    let nullIsRefusedByMLX: Bool

    static let all: [TypeRule] = [
        TypeRule(name: "stream", kind: .flag, nullIsRefusedByMLX: true),
        TypeRule(name: "max_tokens", kind: .whole(least: 1), nullIsRefusedByMLX: true),
        TypeRule(name: "max_completion_tokens", kind: .whole(least: 1), nullIsRefusedByMLX: false),
        TypeRule(name: "temperature", kind: .number(0...100), nullIsRefusedByMLX: true),
        TypeRule(name: "top_p", kind: .number(0...1), nullIsRefusedByMLX: true),
        TypeRule(name: "top_k", kind: .whole(least: 0), nullIsRefusedByMLX: true),
        TypeRule(name: "min_p", kind: .number(0...1), nullIsRefusedByMLX: true),
        TypeRule(name: "presence_penalty", kind: .number(-100...100), nullIsRefusedByMLX: true),
        TypeRule(name: "frequency_penalty", kind: .number(-100...100), nullIsRefusedByMLX: true),
        TypeRule(name: "logit_bias", kind: .object, nullIsRefusedByMLX: false),
        TypeRule(name: "stream_options", kind: .object, nullIsRefusedByMLX: false),
        TypeRule(name: "return_progress", kind: .flag, nullIsRefusedByMLX: false),
    ]

    /// The type as mlx_lm's complaints spell it.
    var pythonType: String {
        switch kind {
        case .flag: "bool"
        case .whole: "int"
        case .number: "('float', 'int')"
        case .object: "dict"
        }
    }

    /// Nil when the value will do.
    func refusal(of value: JSONValue, by flavor: Flavor, _ route: Ask.Route) -> Refusal? {
        switch flavor {
        case .llamaCpp: llama(value)
        // One server's own wish; the others ignore it.
        case _ where name == "return_progress": nil
        case .vllmMLX: pydantic(value)
        // A text may be scored without a token being made.
        case .openAI where route == .text && name == "max_tokens" && value == .integer(0): nil
        default: complaint(value).map { ErrorText.invalid(flavor, name, $0) }
        }
    }

    private func complaint(_ value: JSONValue) -> String? {
        switch kind {
        case .flag: value.flag == nil ? "\(name) must be of type bool" : nil
        case .object: value.members == nil ? "\(name) must be of type dict" : nil
        case .whole(let least):
            switch value.whole {
            case nil: "\(name) must be of type int"
            case let number? where number < least: "\(name) must be at least \(least)"
            default: nil
            }
        case .number(let range):
            switch value.number {
            case nil: "\(name) must be of type \(pythonType)"
            case let number? where number < range.lowerBound: "\(name) must be at least \(range.lowerBound)"
            case let number? where number > range.upperBound: "\(name) must be at most \(range.upperBound)"
            default: nil
            }
        }
    }
}
