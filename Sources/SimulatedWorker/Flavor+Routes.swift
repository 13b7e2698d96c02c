/// Which paths of a server lead to its machine.
extension Flavor {
    package func route(_ path: String) -> Ask.Route? {
        switch path {
        case "/v1/chat/completions": .chat
        case "/v1/completions": hasTextCompletions ? .text : nil
        case "/v1/embeddings": hasEmbeddings ? .embeddings : nil
        case "/v1/messages": hasForeignRoutes ? .messages : nil
        case "/v1/responses": hasForeignRoutes ? .responses : nil
        case "/api/generate": self == .ollama ? .load : nil
        case "/api/v1/models/load": self == .lmStudio ? .load : nil
        default: nil
        }
    }
}
