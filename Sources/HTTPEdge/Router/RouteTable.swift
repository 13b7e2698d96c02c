/// Which path takes which methods: the list the router is built from, and what tells 404 from 405.
///
/// The lane's routes are in it too. They never reach the router with their own method, but a browser that opens
/// `/v1/chat/completions` should read "POST", not "unknown".
import HTTPTypes

struct RouteTable: Sendable {
    struct Entry: Sendable {
        let path: String
        let methods: [HTTPRequest.Method]
        /// True when everything below the path belongs to it.
        var isPrefix = false
    }

    static let standard = RouteTable(entries: [
        Entry(path: "/", methods: [.get, .head]),
        Entry(path: "/health", methods: [.get, .head]),
        Entry(path: "/livez", methods: [.get, .head]),
        Entry(path: "/readyz", methods: [.get, .head]),
        Entry(path: "/metrics", methods: [.get, .head]),
        Entry(path: "/v1/models", methods: [.get, .head]),
        Entry(path: "/v1/models/", methods: [.get, .head], isPrefix: true),
        Entry(path: "/v1/cluster/status", methods: [.get, .head]),
        Entry(path: "/v1/cluster/members", methods: [.get, .head]),
        Entry(path: "/v1/cluster/reachability", methods: [.get, .head]),
        Entry(path: "/v1/cluster/events", methods: [.get, .head]),
        Entry(path: "/v1/cluster/join", methods: [.post]),
        Entry(path: "/v1/cluster/leave", methods: [.post]),
        Entry(path: "/v1/cluster/force-leave", methods: [.post]),
        Entry(path: "/v1/cluster/keyring", methods: [.get, .head]),
        Entry(path: "/v1/cluster/keyring/", methods: [.post], isPrefix: true),
        Entry(path: "/admin/blocks", methods: [.get, .head, .post]),
        Entry(path: "/admin/blocks/", methods: [.delete], isPrefix: true),
        Entry(path: "/admin/config/reload", methods: [.post]),
        Entry(path: "/admin/workers", methods: [.get, .head]),
        Entry(path: "/admin/workers/", methods: [.get, .head, .post, .delete], isPrefix: true),
        Entry(path: "/admin/decisions/", methods: [.get, .head], isPrefix: true),
        Entry(path: "/admin/poison", methods: [.get, .head, .delete]),
        Entry(path: "/admin/poison/", methods: [.delete], isPrefix: true),
        Entry(path: "/v1/chat/completions", methods: [.post]),
        Entry(path: "/v1/completions", methods: [.post]),
        Entry(path: "/v1/embeddings", methods: [.post]),
        Entry(path: "/v1/responses", methods: [.post]),
        Entry(path: "/v1/messages", methods: [.post]),
    ])

    let entries: [Entry]

    /// Methods of a path; nil when nobody knows the path.
    func methods(of path: String) -> [HTTPRequest.Method]? {
        entries.first { entry in
            entry.isPrefix ? path.hasPrefix(entry.path) && path != entry.path : path == entry.path
        }?.methods
    }

    func refusal(of method: HTTPRequest.Method, _ path: String) -> EdgeError {
        guard let methods = methods(of: path), !methods.contains(method) else { return .notFound(method, path) }
        return .wrongMethod(method, path, allowed: methods)
    }
}
