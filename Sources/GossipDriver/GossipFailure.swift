/// Why a replica's part in the flock cannot begin, with place and remedy.
package struct GossipFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case secret = "gossip.secret"
        case dataDirectory = "gossip.data_directory"
        case identity = "gossip.identity"
        case keyring = "gossip.keyring"
        case seed = "gossip.seed"
        case listen = "gossip.listen"
    }

    package let code: Code
    package let description: String

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
