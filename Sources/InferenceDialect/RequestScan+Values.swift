/// What values mean: ranges, needs, and what is noted for the lane.
import Determinism

extension RequestScan {
    static let imageBytesMax = 20 << 20
    static let stopBytesMax = 1_024
    static let functionNameBytesMax = 64
    /// Token ids of a prompt that its fingerprint is made of, about as much text as of a prompt in words.
    static let idPrefixCount = 256
    static let ceilingMax: Int64 = 1 << 40
    static let topKMax: Int64 = 1 << 31
    static let choicesMax: Int64 = 128

    mutating func scalarEnded(_ kind: Kind, end: Int) throws(ScanFailure) {
        let frame = top
        switch frame.spot {
        case .root: try outerEnded(frame.member, kind, end: end)
        case .message:
            if frame.member == .role, kind == .string {
                guard scalarBytes <= Self.roleBytesMax else {
                    throw .value(path(), "a role has at most \(Self.roleBytesMax) bytes")
                }
                top.word = captured.says("user") ? .user : .otherRole
            } else if frame.member == .content, kind == .string {
                found.promptBytes += scalarBytes
            }
        case .part:
            guard kind == .string else { break }
            if frame.member == .text {
                found.promptBytes += scalarBytes
            } else if frame.member == .type {
                top.word =
                    captured.says("text")
                    ? .text : captured.says("image_url") ? .image : .otherType
            } else if frame.member == .imageURL {
                try imageEnded()
            }
        case .imageURL: if frame.member == .url { try imageEnded() }
        case .prompt:
            if kind == .string {
                notePrompt()
                if found.promptRanges.count <= WorkerDialect.promptsOneByOneMax {
                    found.promptRanges.append(scalarStart..<end)
                }
                if frame.count > 1 { found.needs.insert(.listPrompt) }
            } else {
                try checkPromptID()
            }
        case .promptIDs: try checkPromptID()
        case .streamOptions:
            if frame.member == .includeUsage {
                found.includeUsageRange = scalarStart..<end
                found.includeUsage = kind == .bool ? literalIsTrue : nil
            }
        case .stop:
            if scalarBytes > Self.stopBytesMax { throw .value(path(), "more than \(Self.stopBytesMax) bytes") }
            if scalarBytes > 0 { found.needs.insert(.stop) }
            found.emptyStops.begins(at: scalarStart)
            found.emptyStops.ends(at: end, isUnwanted: scalarBytes == 0)
        case .logitBias: _ = try number("logit_bias", in: -100...100)
        case .tool, .toolCall:
            if frame.member == .type {
                top.word = captured.says("function") ? .function : .otherType
            }
        case .toolFunction: if frame.member == .name { try checkFunctionName() }
        case .responseFormat:
            if frame.member == .type, !captured.says("text") { found.needs.insert(.structuredOutput) }
        case .skip, .messages, .parts, .toolCalls, .toolCallFunction, .tools, .toolChoice, .templateArguments: break
        }
    }

    private mutating func outerEnded(_ member: RequestMember, _ kind: Kind, end: Int) throws(ScanFailure) {
        found.asides.ends(at: end, isUnwanted: member.isAside)
        if kind == .null {
            if member == .streamOptions { found.streamOptionsRange = scalarStart..<end }
            if member == .returnProgress { found.returnProgressRange = scalarStart..<end }
            if member == .maxTokens { found.maxTokensNull = scalarStart..<end }
            if member == .stream {
                found.streamRange = scalarStart..<end
                found.streamIsNull = true
            }
            found.nulls.ends(at: end, isUnwanted: member.mayNotBeNull)
            return
        }
        found.nulls.ends(at: end, isUnwanted: false)
        switch member {
        case .model:
            guard (1...Self.modelBytesMax).contains(scalarBytes) else {
                throw .value("model", "a model's name has 1 to \(Self.modelBytesMax) bytes")
            }
            found.model = captured.text
            found.modelRange = scalarStart..<end
        case .user: found.user = captured.text
        case .stream:
            found.stream = literalIsTrue
            found.streamRange = scalarStart..<end
        case .prompt, .input: notePrompt()
        case .maxTokens, .maxCompletionTokens, .maxOutputTokens:
            let least: Int64 = route == .completions ? 0 : 1
            let ceiling = Int(try integer(member.name, in: least...Self.ceilingMax))
            found.outputCeiling = min(found.outputCeiling ?? .max, ceiling)
            if ceiling == 0 { found.needs.insert(.zeroCeiling) }
            if member == .maxTokens { found.hasMaxTokens = true }
            if member == .maxCompletionTokens { found.completionCeilingKey = rootKey }
        case .temperature: _ = try number(member.name, in: 0...100)
        case .topP, .minP: _ = try number(member.name, in: 0...1)
        case .topK:
            found.topK = try integer(member.name, in: -1...Self.topKMax)
            found.topKRange = scalarStart..<end
        case .frequencyPenalty, .presencePenalty: _ = try number(member.name, in: -100...100)
        case .repetitionPenalty:
            _ = try number(member.name, in: -100...100)
            found.needs.insert(.repetitionPenalty)
        case .n:
            found.choices = Int(try integer("n", in: 1...Self.choicesMax))
            if found.choices > 1 { found.needs.insert(.manyChoices) }
        case .seed:
            found.seed = try integer("seed", in: .min ... .max)
            found.seedRange = scalarStart..<end
            found.needs.insert(.seed)
        case .stop:
            if scalarBytes > Self.stopBytesMax { throw .value("stop", "more than \(Self.stopBytesMax) bytes") }
            found.stopTextRange = scalarStart..<end
            if scalarBytes == 0 { found.stopRange = scalarStart..<end } else { found.needs.insert(.stop) }
        case .logprobs:
            if kind == .number {
                _ = try integer("logprobs", in: 0...20)
                found.needs.insert([.logprobs, .countedLogprobs])
            } else if literalIsTrue {
                found.needs.insert(.logprobs)
            }
        case .topLogprobs:
            let places = try integer("top_logprobs", in: 0...20)
            if places > 0 { found.needs.insert(.logprobs) }
            if places > 11 { found.needs.insert(.manyTopLogprobs) }
        case .toolChoice:
            if captured.says("required") {
                found.needs.insert(.requiredTool)
            } else if !captured.says("auto"), !captured.says("none") {
                throw .value("tool_choice", "it must be \"none\", \"auto\", \"required\" or an object")
            }
        case .loaderField: found.needs.insert(.loaderFields)
        case .returnProgress:
            found.wantsProgress = kind != .bool || literalIsTrue
            found.returnProgressRange = scalarStart..<end
        case .templateArguments: found.needs.insert(.templateArguments)
        default: break
        }
    }

    mutating func containerEnded(_ frame: Frame, end: Int) throws(ScanFailure) {
        if outer.count == 1 {
            found.nulls.ends(at: end, isUnwanted: false)
            found.asides.ends(at: end, isUnwanted: outer[0].member.isAside)
        }
        switch frame.spot {
        case .message:
            guard Self.has(.role, frame) else { throw missing("role") }
        case .messages:
            guard frame.count > 0 else { throw .value("messages", "there is no message") }
        case .part:
            guard Self.has(.type, frame) else { throw missing("type") }
            if frame.word == .text, !Self.has(.text, frame) { throw missing("text") }
            if frame.word == .image, !Self.has(.imageURL, frame) { throw missing("image_url") }
        case .imageURL:
            guard Self.has(.url, frame) else { throw missing("url") }
        case .prompt:
            guard frame.count > 0 else { throw .value(rootMember.name, "the array is empty") }
            if frame.word != .strings { found.needs.insert(.tokenPrompt) }
            found.promptListRange = frame.start..<end
            if frame.word == .strings, frame.count == 1, let only = found.promptRanges.first {
                found.promptBrackets = ScannedRequest.Brackets(
                    opening: frame.start..<only.lowerBound, closing: only.upperBound..<end)
            }
            if frame.word == .lists { found.needs.insert(.listPrompt) }
            // A token id is about four bytes of text.
            if frame.word == .numbers { found.promptBytes += 4 * frame.count }
        case .promptIDs:
            guard frame.count > 0 else { throw .value(rootMember.name, "an inner array is empty") }
            found.promptBytes += 4 * frame.count
        case .streamOptions:
            found.streamOptionsRange = frame.start..<end
            found.streamOptionsIsObject = true
            found.streamOptionsIsEmpty = frame.count == 0
        case .logitBias: if frame.count > 0 { found.needs.insert(.logitBias) }
        case .tools: if frame.count > 0 { found.needs.insert(.tools) }
        case .tool, .toolCall:
            // Of another type, it has a member of another name.
            guard frame.word == .otherType || Self.has(.function, frame) else { throw missing("function") }
        case .toolCallFunction:
            guard Self.has(.name, frame) else { throw missing("name") }
            guard Self.has(.arguments, frame) else { throw missing("arguments") }
        case .toolFunction:
            guard Self.has(.name, frame) else { throw missing("name") }
        case .toolChoice: found.needs.insert(.requiredTool)
        case .responseFormat:
            guard Self.has(.type, frame) else { throw missing("type") }
        case .skip:
            guard outer.count == 1 else { break }
            if rootMember == .loaderField { found.needs.insert(.loaderFields) }
            if rootMember == .returnProgress { found.wantsProgress = true }
            if rootMember == .templateArguments { found.needs.insert(.templateArguments) }
        case .stop: if !found.emptyStops.ranges.isEmpty { found.stopRange = frame.start..<end }
        case .root, .parts, .toolCalls, .templateArguments: break
        }
    }

    /// What a request of this route cannot be without.
    mutating func checkPresence() throws(ScanFailure) {
        guard found.model != nil else { throw .missing("model") }
        switch route {
        case .chatCompletions: if !hasMessages { throw .missing("messages") }
        case .completions: if !hasPrompt { throw .missing("prompt") }
        case .embeddings: if !hasPrompt { throw .missing("input") }
        case .other: break
        }
    }

    /// The container that is about to close lacks a member.
    private func missing(_ member: String) -> ScanFailure { .missing("\(path(of: outer)).\(member)") }

    // MARK: Values

    private mutating func notePrompt() {
        found.promptBytes += scalarBytes
        if scalarBytes == 0 { found.needs.insert(.emptyPrompt) }
        if !hasPrompt { captured.withBytes { prefix.update($0) } }
        hasPrompt = true
    }

    private mutating func imageEnded() throws(ScanFailure) {
        found.needs.insert(.images)
        if captured.begins(with: "data:") {
            guard scalarBytes <= Self.imageBytesMax else {
                throw .value(path(), "an image has at most \(Self.imageBytesMax >> 20) MiB as a data URL")
            }
        } else if captured.begins(with: "http://") || captured.begins(with: "https://") {
            found.needs.insert(.remoteImages)
        } else {
            throw .value(path(), "an image is a data: or an http(s): URL")
        }
    }

    private mutating func checkPromptID() throws(ScanFailure) {
        hasPrompt = true
        let id = try integer(rootMember.name, in: 0...Int64(Int32.max))
        let isOfFirst = outer.count == 1 || outer[1].count == 1
        if isOfFirst, top.count <= Self.idPrefixCount { prefix.update(UInt64(id)) }
    }

    /// A key of `logit_bias`.
    mutating func checkTokenID() throws(ScanFailure) {
        let isID =
            (1...10).contains(scalarBytes) && captured.allSatisfy { $0 &- 0x30 < 10 }
            && (captured.integer ?? .max) <= Int64(Int32.max)
        guard isID, let id = captured.integer else {
            throw .value("logit_bias", "its keys are token ids from 0 to \(Int32.max)")
        }
        found.largestBias = max(found.largestBias ?? 0, id)
    }

    private func checkFunctionName() throws(ScanFailure) {
        let isName =
            (1...Self.functionNameBytesMax).contains(scalarBytes)
            && captured.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
        guard isName else {
            throw .value(path(), "a function's name has 1 to \(Self.functionNameBytesMax) letters, digits, '_' and '-'")
        }
    }

    /// The number at hand, if it is written as a whole number.
    private func integer(_ param: String, in range: ClosedRange<Int64>) throws(ScanFailure) -> Int64 {
        guard let value = captured.integer, range.contains(value) else {
            throw .value(param, "it must be an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    private func number(_ param: String, in range: ClosedRange<Double>) throws(ScanFailure) -> Double {
        guard let value = captured.number, range.contains(value) else {
            throw .value(param, "it must be a number from \(Int(range.lowerBound)) to \(Int(range.upperBound))")
        }
        return value
    }
}
