/// What kind of value a member may have, by where it stands: the shape of a request.
extension RequestScan {
    /// How a value is read: which container it is, or how many bytes of it are kept.
    struct Reading {
        var spot = Spot.skip
        var kept = 0
    }

    /// Bytes of a prompt that its fingerprint is made of, where it is plain text.
    static let textPrefixBytes = 1_024
    static let modelBytesMax = 256
    static let roleBytesMax = 64
    static let messagesMax = 10_000
    static let promptsMax = 2_048
    static let stopsMax = 16
    static let biasesMax = 1_024
    static let toolsMax = 128

    mutating func keyEnded() throws(ScanFailure) {
        let spot = top.spot
        guard spot != .skip else { return }
        if spot == .root {
            found.objectIsEmpty = false
            top.member = reads(RequestMember.outer(captured))
        } else if spot == .logitBias {
            return try checkTokenID()
        } else if spot == .templateArguments {
            if !Self.isUsualArgument(captured) { found.needs.insert(.templateArguments) }
            return
        } else {
            top.member = RequestMember.inner(captured)
        }
        let member = top.member
        // Members that only one kind knows have one name between them and no meaning here.
        guard member != .unknown, member != .loaderField, member != .aside else { return }
        guard top.seen & member.bit == 0 else { throw .value(path(), "it is given twice") }
        top.seen |= member.bit
    }

    /// Template arguments that only templates read. Others reach the tokenizer, whose own ones end mlx_lm's engine.
    private static func isUsualArgument(_ key: KeptText) -> Bool {
        key.says("enable_thinking") || key.says("thinking") || key.says("reasoning_effort")
    }

    /// Which members a route reads; the others are somebody else's words.
    private func reads(_ member: RequestMember) -> RequestMember {
        switch member {
        case .messages: if route == .chatCompletions { return member }
        case .prompt: if route == .completions { return member }
        case .input: if route == .embeddings { return member }
        case .model, .stream, .user, .loaderField, .aside: return member
        default: if route == .chatCompletions || route == .completions { return member }
        }
        return .unknown
    }

    /// Whether a value of this kind may stand here, and how it is read.
    mutating func admit(_ kind: Kind) throws(ScanFailure) -> Reading {
        let frame = top
        switch frame.spot {
        case .skip: return Reading()
        case .root: return try admitOuter(frame.member, kind)
        case .messages:
            guard frame.count <= Self.messagesMax else {
                throw .value("messages", "more than \(Self.messagesMax) messages")
            }
            return try one(kind, .object, .message)
        case .message: return try admitMessageMember(frame.member, kind)
        case .parts: return try one(kind, .object, .part)
        case .part:
            switch frame.member {
            case .type: return try text(kind, keeping: 16)
            // Only a part of type text must have one, and its type may come later.
            case .text: return kind == .null ? Reading() : try text(kind)
            case .imageURL where kind == .null: return Reading()
            case .imageURL: return kind == .string ? Reading(kept: 8) : try one(kind, .object, .imageURL)
            default: return Reading()
            }
        case .imageURL: return frame.member == .url ? try text(kind, keeping: 8) : Reading()
        case .toolCalls: return try one(kind, .object, .toolCall)
        case .toolCall:
            switch frame.member {
            case .type: return try text(kind, keeping: 16)
            case .function: return kind == .null ? Reading() : try one(kind, .object, .toolCallFunction)
            default: return Reading()
            }
        case .toolCallFunction:
            return frame.member == .name || frame.member == .arguments ? try text(kind) : Reading()
        case .prompt: return try admitPrompt(kind)
        case .promptIDs: return try one(kind, .number, .skip)
        case .streamOptions:
            guard kind == .bool || kind == .null else { throw .value(path(), "it must be true or false") }
            return Reading()
        case .stop:
            guard frame.count <= Self.stopsMax else { throw .value("stop", "more than \(Self.stopsMax) sequences") }
            return try text(kind)
        case .logitBias:
            guard frame.count <= Self.biasesMax else {
                throw .value("logit_bias", "more than \(Self.biasesMax) tokens")
            }
            return try one(kind, .number, .skip)
        case .tools:
            guard frame.count <= Self.toolsMax else { throw .value("tools", "more than \(Self.toolsMax) tools") }
            return try one(kind, .object, .tool)
        case .tool:
            switch frame.member {
            case .type: return try text(kind, keeping: 16)
            case .function: return kind == .null ? Reading() : try one(kind, .object, .toolFunction)
            default: return Reading()
            }
        case .toolFunction:
            switch frame.member {
            case .name: return try text(kind, keeping: 65)
            case .parameters: return kind == .null ? Reading() : try one(kind, .object, .skip)
            default: return Reading()
            }
        case .toolChoice, .templateArguments: return Reading()
        case .responseFormat: return frame.member == .type ? try text(kind, keeping: 32) : Reading()
        }
    }

    private func admitOuter(_ member: RequestMember, _ kind: Kind) throws(ScanFailure) -> Reading {
        switch member {
        case .model: return try text(kind, keeping: Self.modelBytesMax + 1)
        case .messages: return try one(kind, .array, .messages)
        case .prompt, .input:
            if kind == .string { return Reading(kept: Self.textPrefixBytes) }
            guard kind == .array else {
                throw .value(path(), "it must be a string, or an array of strings or of token ids")
            }
            return Reading(spot: .prompt)
        // One kind's own wish, which that kind judges.
        case .unknown, .loaderField, .aside, .returnProgress: return Reading()
        default: break
        }
        // All others are optional, and null means absent.
        if kind == .null { return Reading() }
        switch member {
        case .stream: return try one(kind, .bool, .skip)
        case .streamOptions: return try one(kind, .object, .streamOptions)
        case .stop: return kind == .array ? Reading(spot: .stop) : try text(kind)
        case .logitBias: return try one(kind, .object, .logitBias)
        case .logprobs:
            if route == .completions, kind == .number { return Reading() }
            return try one(kind, .bool, .skip)
        case .tools: return try one(kind, .array, .tools)
        case .toolChoice: return kind == .string ? Reading(kept: 16) : try one(kind, .object, .toolChoice)
        case .responseFormat: return try one(kind, .object, .responseFormat)
        case .templateArguments: return Reading(spot: kind == .object ? .templateArguments : .skip)
        case .user: return try text(kind, keeping: 256)
        default: return try one(kind, .number, .skip)
        }
    }

    private func admitMessageMember(_ member: RequestMember, _ kind: Kind) throws(ScanFailure) -> Reading {
        switch member {
        case .role: return try text(kind, keeping: Self.roleBytesMax + 1)
        case .content:
            switch kind {
            case .string, .null: return Reading()
            case .array: return Reading(spot: .parts)
            default: throw .value(path(), "it must be a string or an array of content parts")
            }
        case .toolCalls: return kind == .null ? Reading() : try one(kind, .array, .toolCalls)
        default: return Reading()
        }
    }

    /// Strings, token ids, or lists of token ids, and no mixture of them.
    private mutating func admitPrompt(_ kind: Kind) throws(ScanFailure) -> Reading {
        let word: Word
        switch kind {
        case .string: word = .strings
        case .number: word = .numbers
        case .array: word = .lists
        default: throw .value(path(), "it must be a string or a token id")
        }
        guard top.word == .none || top.word == word else {
            throw .value(rootMember.name, "strings and token ids are mixed")
        }
        top.word = word
        if word != .numbers, top.count > Self.promptsMax {
            throw .value(rootMember.name, "more than \(Self.promptsMax) entries")
        }
        return Reading(
            spot: word == .lists ? .promptIDs : .skip, kept: top.count == 1 ? Self.textPrefixBytes : 1)
    }

    private func text(_ kind: Kind, keeping kept: Int = 0) throws(ScanFailure) -> Reading {
        guard kind == .string else { throw .value(path(), "it must be a string") }
        return Reading(kept: kept)
    }

    private func one(_ kind: Kind, _ wanted: Kind, _ spot: Spot) throws(ScanFailure) -> Reading {
        guard kind == wanted else {
            let word =
                switch wanted {
                case .string: "a string"
                case .number: "a number"
                case .object: "an object"
                case .array: "an array"
                case .bool: "true or false"
                case .null: "null"
                }
            throw .value(path(), "it must be \(word)")
        }
        return Reading(spot: spot)
    }

    /// The member of the outermost object that the scan is in.
    var rootMember: RequestMember { outer.first?.member ?? top.member }

    /// Where the scan stands, as OpenAI writes it: `messages[2].content`.
    func path() -> String { path(of: outer + [top]) }

    func path(of frames: [Frame]) -> String {
        var path = ""
        for frame in frames {
            if frame.isObject {
                guard frame.member != .unknown else { continue }
                path += path.isEmpty ? frame.member.name : ".\(frame.member.name)"
            } else {
                path += "[\(max(0, frame.count - 1))]"
            }
        }
        return path
    }
}
