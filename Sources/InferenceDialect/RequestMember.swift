/// The members of a request that are read, by name. Everything else passes unread.
enum RequestMember: UInt8 {
    case unknown
    // Of the outermost object.
    case model, stream, streamOptions, messages, prompt, input, maxTokens, maxCompletionTokens, maxOutputTokens
    case temperature, topP, minP, topK, frequencyPenalty, presencePenalty, repetitionPenalty, n, seed, stop, logitBias
    case logprobs, topLogprobs, tools, toolChoice, responseFormat, user, templateArguments, loaderField, returnProgress
    case aside
    // Of inner objects.
    case role, content, toolCalls, type, text, imageURL, url, function, name, arguments, parameters, includeUsage

    /// One bit per member, to see duplicates.
    var bit: UInt64 { 1 << UInt64(rawValue) }

    static let longestName = 24

    /// Whether a server that does not take null for absent would refuse it: mlx_lm does, for each of these.
    var mayNotBeNull: Bool {
        switch self {
        case .stream, .maxTokens, .maxCompletionTokens, .temperature, .topP, .topK, .minP, .frequencyPenalty,
            .presencePenalty, .repetitionPenalty, .logprobs, .topLogprobs:
            true
        default: false
        }
    }

    /// Whether the answer is the same without it, but for its form.
    var isAside: Bool {
        switch self {
        case .aside, .stream, .streamOptions, .user, .returnProgress: true
        default: false
        }
    }

    /// A member of the outermost object.
    static func outer(_ key: KeptText) -> RequestMember {
        switch key.count {
        case 1: return named(key, "n", .n)
        case 4:
            if key[0] == UInt8(ascii: "s") { return either(key, "stop", .stop, "seed", .seed) }
            return named(key, "user", .user)
        case 5:
            return either(
                key, "model", .model,
                either(
                    key, "tools", .tools,
                    either(
                        key, "input", .input,
                        either(
                            key, "top_p", .topP,
                            either(
                                key, "min_p", .minP,
                                either(key, "top_k", .topK, named(key, "store", .aside)))))))
        case 6: return either(key, "stream", .stream, named(key, "prompt", .prompt))
        case 8:
            return either(
                key, "messages", .messages,
                either(
                    key, "logprobs", .logprobs,
                    either(key, "adapters", .loaderField, named(key, "metadata", .aside))))
        case 10: return either(key, "max_tokens", .maxTokens, named(key, "logit_bias", .logitBias))
        case 11:
            return either(
                key, "temperature", .temperature,
                either(key, "tool_choice", .toolChoice, named(key, "draft_model", .loaderField)))
        case 12: return either(key, "top_logprobs", .topLogprobs, named(key, "role_mapping", .loaderField))
        case 14: return named(key, "stream_options", .streamOptions)
        case 15: return either(key, "response_format", .responseFormat, "return_progress", .returnProgress)
        case 16: return either(key, "presence_penalty", .presencePenalty, named(key, "num_draft_tokens", .loaderField))
        case 17:
            return either(
                key, "frequency_penalty", .frequencyPenalty, named(key, "max_output_tokens", .maxOutputTokens))
        case 18: return named(key, "repetition_penalty", .repetitionPenalty)
        case 20: return named(key, "chat_template_kwargs", .templateArguments)
        case 21: return named(key, "max_completion_tokens", .maxCompletionTokens)
        default: return .unknown
        }
    }

    /// A member of an inner object that is looked into.
    static func inner(_ key: KeptText) -> RequestMember {
        switch key.count {
        case 3: named(key, "url", .url)
        case 4:
            either(
                key, "role", .role, either(key, "type", .type, either(key, "text", .text, named(key, "name", .name))))
        case 7: named(key, "content", .content)
        case 8: named(key, "function", .function)
        case 9: either(key, "image_url", .imageURL, named(key, "arguments", .arguments))
        case 10: either(key, "tool_calls", .toolCalls, named(key, "parameters", .parameters))
        case 13: named(key, "include_usage", .includeUsage)
        default: .unknown
        }
    }

    private static func named(_ key: KeptText, _ name: StaticString, _ member: RequestMember) -> RequestMember {
        key.says(name) ? member : .unknown
    }

    private static func either(
        _ key: KeptText, _ name: StaticString, _ member: RequestMember, _ rest: @autoclosure () -> RequestMember
    ) -> RequestMember {
        let found = named(key, name, member)
        return found == .unknown ? rest() : found
    }

    private static func either(
        _ key: KeptText, _ one: StaticString, _ first: RequestMember, _ other: StaticString, _ second: RequestMember
    ) -> RequestMember { either(key, one, first, named(key, other, second)) }

    /// As the client writes it.
    var name: String {
        switch self {
        case .unknown: "unknown"
        case .model: "model"
        case .stream: "stream"
        case .streamOptions: "stream_options"
        case .messages: "messages"
        case .prompt: "prompt"
        case .input: "input"
        case .maxTokens: "max_tokens"
        case .maxCompletionTokens: "max_completion_tokens"
        case .maxOutputTokens: "max_output_tokens"
        case .temperature: "temperature"
        case .topP: "top_p"
        case .minP: "min_p"
        case .topK: "top_k"
        case .frequencyPenalty: "frequency_penalty"
        case .presencePenalty: "presence_penalty"
        case .repetitionPenalty: "repetition_penalty"
        case .n: "n"
        case .seed: "seed"
        case .stop: "stop"
        case .logitBias: "logit_bias"
        case .logprobs: "logprobs"
        case .topLogprobs: "top_logprobs"
        case .tools: "tools"
        case .toolChoice: "tool_choice"
        case .responseFormat: "response_format"
        case .user: "user"
        case .templateArguments: "chat_template_kwargs"
        case .loaderField: "adapters"
        case .returnProgress: "return_progress"
        case .aside: "metadata"
        case .role: "role"
        case .content: "content"
        case .toolCalls: "tool_calls"
        case .type: "type"
        case .text: "text"
        case .imageURL: "image_url"
        case .url: "url"
        case .function: "function"
        case .name: "name"
        case .arguments: "arguments"
        case .parameters: "parameters"
        case .includeUsage: "include_usage"
        }
    }
}
