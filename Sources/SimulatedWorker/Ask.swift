/// One request, read and understood as this kind of server would: what to say, at what length, in which form.
package struct Ask: Sendable {
    package enum Route: String, Sendable, CaseIterable {
        case chat = "/v1/chat/completions"
        case text = "/v1/completions"
        case embeddings = "/v1/embeddings"
        /// Anthropic's interface.
        case messages = "/v1/messages"
        case responses = "/v1/responses"
        /// The server's own order to load a model. It waits its turn like a request and makes no tokens.
        case load

        /// A chat whose answer has another form than a chat's.
        var isForeign: Bool { self == .messages || self == .responses }
    }

    package var route: Route
    /// The name that answers carry.
    package var modelEcho: String
    /// Position among the worker's models.
    package var model: Int
    package var stream = false
    package var includeUsage = false
    /// The request named `stream_options` without `include_usage`, on which mlx_lm stumbles at its end.
    package var losesDone = false
    package var runsAlone = false
    /// llama.cpp's `return_progress`, on a stream.
    package var wantsProgress = false
    package var severalPrompts = false
    var logprobs: Logprobs.Wish?
    var temperature = 0.0
    /// What an order to load says about how long the model is to stay.
    package var keepAlive: KeepAlive?
    package var plan: AnswerPlan
    package var embeddings: EmbeddingAsk?
    /// For faults that strike only requests containing a text.
    package var body: [UInt8] = []
}

/// Vectors to be made up, in numbers or as base64 of little-endian floats.
package struct EmbeddingAsk: Sendable {
    package var inputs: [TokenText]
    package var dimensions: Int
    package var base64: Bool
}

/// Why a request is not answered.
package enum Refusal: Error, Sendable, Equatable {
    case answer(status: Int, body: [UInt8])
    /// The connection is closed without a byte, as Python does when a handler raises.
    case hangUp
    /// The thread that computes is no more: every later request gets a 404, and this one, too, unless it is hung up on.
    case threadDies(silently: Bool)
    /// The whole process is gone.
    case processDies
}

/// What a worker knows when it reads a request.
package struct AskReader: Sendable {
    package let flavor: Flavor
    package let models: [SimulatedModel]
    package let contextTokens: Int
    package let slots: Int
    static let choicesMax = 128
    static let vocabulary = 128_256
    static let dimensionsMax = 4_096

    package init(flavor: Flavor, models: [SimulatedModel], contextTokens: Int, slots: Int) {
        self.flavor = flavor
        self.models = models
        self.contextTokens = contextTokens
        self.slots = slots
    }

    /// With a temperature that the batch imposes, if there is one.
    package func read(_ asked: Ask.Route, _ body: [UInt8], in batch: Double? = nil) throws(Refusal) -> Ask {
        var request: JSONValue
        do throws(JSONValue.Unreadable) {
            request = try JSONValue(body)
        } catch {
            throw QueryOfDeath.unreadable(flavor, body, error)
        }
        guard case .object = request else { throw ErrorText.notAnObject(flavor) }
        request = try ChatTranslation.chat(request, from: asked, by: flavor)
        let route = asked.isForeign ? .chat : asked
        try QueryOfDeath(flavor: flavor, request: request, route: route, body: body).check()
        try checkTypes(request, route)
        let model = try self.model(request)
        if route == .load { return try load(request, model) }
        if route == .embeddings { return try embeddings(request, model) }
        var prompts = try self.prompts(route, request)
        if prompts.isEmpty { prompts = [Prompt()] }
        let promptTokens = prompts.reduce(0) { $0 + $1.tokens.count }
        let longest = prompts.reduce(0) { max($0, $1.tokens.count) }
        if flavor.refusesLongPrompts, longest >= contextTokens {
            throw ErrorText.contextExceeded(flavor, promptTokens: longest, contextTokens: contextTokens)
        }
        let choices = flavor.obeysChoices ? (given("n", request)?.whole ?? 1) : 1
        guard (1...Self.choicesMax).contains(choices) else {
            throw ErrorText.invalid(flavor, "n", "n must be between 1 and \(Self.choicesMax)")
        }
        if flavor == .llamaCpp, choices * prompts.count > slots, choices > 1 {
            throw ErrorText.invalid(
                flavor, "n", "n_cmpl cannot be greater than the number of slots, please increase -np")
        }
        var plans: [ChoicePlan] = []
        let temperature = batch ?? given("temperature", request)?.number ?? 0
        let writer = ChoiceWriter(
            reader: self, request: request, route: route, model: models[model].name, temperature: temperature)
        for prompt in prompts {
            for choice in 0..<choices { plans.append(writer.choice(choice, prompt)) }
        }
        let plan = AnswerPlan(choices: plans, promptTokens: promptTokens, sequence: prompts[0].tokens)
        let options = given("stream_options", request)
        let usage = options?["include_usage"]?.flag
        let stream = given("stream", request)?.flag ?? false
        return Ask(
            route: asked,
            modelEcho: flavor == .llamaCpp ? models[model].name : request["model"]?.text ?? models[model].name,
            model: model, stream: stream, includeUsage: usage ?? false,
            losesDone: flavor == .mlxLM && options != nil && usage == nil,
            runsAlone: flavor.seedRunsAlone && given("seed", request) != nil,
            wantsProgress: flavor == .llamaCpp && !asked.isForeign && stream
                && given("return_progress", request)?.flag == true,
            severalPrompts: prompts.count > 1, logprobs: logprobs(request, route, stream: stream),
            temperature: temperature, plan: plan, embeddings: nil, body: body)
    }

    /// A member, unless it is null, which means the same as its absence wherever null is not refused.
    func given(_ name: String, _ request: JSONValue) -> JSONValue? {
        guard let value = request[name], value != .null else { return nil }
        return value
    }

    private func model(_ request: JSONValue) throws(Refusal) -> Int {
        guard let name = (request["model"] ?? request["model_id"])?.text else {
            guard flavor != .openAI else {
                throw ErrorText.invalid(flavor, "model", "you must provide a model parameter")
            }
            return 0
        }
        if let position = position(of: name) { return position }
        if flavor.isRouter(models: models.count) {
            throw .answer(
                status: 400, body: ErrorText.llama(400, "model not found", type: "invalid_request_error"))
        }
        if flavor.servesUnknownModels || (flavor == .mlxLM && name == "default_model") { return 0 }
        throw ErrorText.unknownModel(flavor, name, models)
    }

    /// ollama's names carry a tag, and `latest` is the one that is not said.
    package func position(of name: String) -> Int? {
        if let position = models.firstIndex(where: { $0.name == name }) { return position }
        guard flavor == .ollama else { return nil }
        return models.firstIndex { $0.name + ":latest" == name || $0.name == name + ":latest" }
    }

    private func load(_ request: JSONValue, _ model: Int) throws(Refusal) -> Ask {
        guard request["prompt"]?.text ?? "" == "" else {
            let message = "this simulated worker speaks through /v1 only; here it loads and unloads"
            throw .answer(status: 501, body: ErrorText.failure(flavor, 501, message, code: "not_simulated"))
        }
        return Ask(
            route: .load, modelEcho: models[model].name, model: model, keepAlive: KeepAlive(request["keep_alive"]),
            plan: AnswerPlan(choices: [], promptTokens: 0, sequence: []), body: [])
    }

    /// The types that the real server looks at before anything else.
    private func checkTypes(_ request: JSONValue, _ route: Ask.Route) throws(Refusal) {
        for rule in TypeRule.all {
            guard let value = request[rule.name] else { continue }
            if value == .null {
                if flavor == .mlxLM, rule.nullIsRefusedByMLX {
                    throw ErrorText.invalid(flavor, rule.name, "\(rule.name) must be of type \(rule.pythonType)")
                }
            } else if let refusal = rule.refusal(of: value, by: flavor, route) {
                throw refusal
            }
        }
    }

    private func prompts(_ route: Ask.Route, _ request: JSONValue) throws(Refusal) -> [Prompt] {
        switch route {
        case .chat: return [try PromptReader(flavor: flavor).chat(request)]
        case .load, .messages, .responses: return []
        case .text, .embeddings:
            let name = route == .text ? "prompt" : "input"
            return try PromptReader(flavor: flavor).texts(request[name], name)
        }
    }

    private func embeddings(_ request: JSONValue, _ model: Int) throws(Refusal) -> Ask {
        // vllm_mlx makes vectors with an allow-list of models, which are those that are called so here.
        if flavor == .vllmMLX, !models[model].name.contains("embed") {
            throw .answer(status: 400, body: ErrorText.detail("\(models[model].name) is not an embedding model"))
        }
        let prompts = try self.prompts(.embeddings, request)
        let dimensions = given("dimensions", request)?.whole ?? 64
        guard (1...Self.dimensionsMax).contains(dimensions) else {
            throw ErrorText.invalid(flavor, "dimensions", "dimensions must be between 1 and \(Self.dimensionsMax)")
        }
        let tokens = prompts.reduce(0) { $0 + $1.tokens.count }
        let inputs = prompts.map { prompt in
            var text = TokenText(model: models[model].name)
            text.read(prompt.bytes)
            return text
        }
        return Ask(
            route: .embeddings, modelEcho: request["model"]?.text ?? models[model].name, model: model,
            plan: AnswerPlan(choices: [], promptTokens: tokens, sequence: prompts.first?.tokens ?? []),
            embeddings: EmbeddingAsk(
                inputs: inputs, dimensions: dimensions, base64: request["encoding_format"]?.text == "base64"))
    }
}
