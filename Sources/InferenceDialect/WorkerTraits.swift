/// How a kind of inference server behaves on the wire, as far as the lane has to know.
package struct WorkerTraits: Equatable, Sendable {
    /// Whether a connection may carry a second request.
    package var poolsConnections: Bool
    /// How long we keep an idle connection: below the server's own limit, so that it rarely closes first.
    package var idleSecondsMax: Int
    package var requestsPerConnectionMax: Int
    /// Dials that may be under way at a time: what does not fit the server's accept queue waits for a repeated SYN.
    package var connectBacklog: Int
    /// Exchanges at a time when the operator did not say.
    package var defaultSlots: Int
    /// Whether a comment of the stream shows that the prompt is being computed.
    package var commentsAreProgress: Bool
}
