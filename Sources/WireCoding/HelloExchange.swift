/// A seal proves who speaks, a cookie that it is now: whoever recorded a session's packets could play them back to a
/// replica that has forgotten that session, or never knew it. So a session is believed once it has returned a number
/// that only I can have made, for the address it speaks from, within the last minute.
///
/// Nothing is stored before that, and what is answered is never longer than what came.
package enum HelloExchange {
    package typealias Hello = ClearHeader.Hello

    /// A time slot of cookies. The current and the one before are good.
    package static let slotSeconds: Int64 = 30

    /// The smallest packet that is answered before proof: the answer has this size too.
    package static let bytesMin = Datagram.bytesMin + Datagram.helloBytes

    package enum Verdict: Hashable, Sendable {
        /// Apply nothing. Answer with this, if there is one.
        case unproven(Hello?)
        /// Apply it, and say this with what else there is to say.
        case apply(Hello?)
    }

    /// What an authentic packet earns. `hello` is nil for data. `isEchoed`: the echo is a cookie of mine for its source.
    /// `cookie` is what I would give that source now.
    package static func verdict(
        on hello: Hello?, isProven: Bool, isEchoed: Bool, bytes: Int, cookie: UInt64
    ) -> Verdict {
        guard let hello else {
            if isProven { return .apply(nil) }
            return .unproven(bytes >= bytesMin ? Hello(echo: 0, challenge: cookie) : nil)
        }
        // Without a challenge nothing is asked: that is how the exchange ends.
        let isAsked = hello.challenge != 0
        if isProven || isEchoed { return .apply(isAsked ? Hello(echo: hello.challenge, challenge: 0) : nil) }
        if isAsked { return .unproven(Hello(echo: hello.challenge, challenge: cookie)) }
        // It returns the cookie of another address: asked where it is known to live, it speaks from elsewhere.
        return .unproven(hello.echo != 0 ? Hello(echo: 0, challenge: cookie) : nil)
    }
}
