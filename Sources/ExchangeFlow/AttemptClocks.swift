/// The clocks of one attempt: how long its worker may be silent, and after how much of that silence it is asked whether it
/// lives.
package import Balancing
import Determinism

package struct AttemptClocks: Sendable, Equatable {
    /// Request written → first content event.
    package var firstEvent: Duration
    /// Request written → first byte of an answer that does not come by events.
    package var whole: Duration
    /// Event → event.
    package var stall: Duration
    /// Nil: the worker cannot be asked, and its clocks alone decide.
    package var asking: Asking?

    package struct Asking: Sendable, Equatable {
        package var firstEvent: Duration
        /// A sign of progress in the prompt → the next.
        package var progress: Duration
        package var whole: Duration
        package var betweenEvents: Duration
        /// What a worker's answer to our question may take.
        package var answer: Duration
    }

    /// A worker that cannot be asked is given up after this silence between two events.
    static let stallUnasked = Duration.seconds(60)
    /// What one token takes at the most, beyond what stands before it.
    static let answerMin = Duration.seconds(5)

    package init(_ policy: ExchangePolicy) {
        firstEvent = policy.firstByteStream
        whole = policy.firstBytePlain
        stall = min(policy.stall, Self.stallUnasked)
    }

    /// For a worker that may be asked, with what was forecast for it.
    package init(_ policy: ExchangePolicy, _ forecast: WaitForecast) {
        func seconds(_ seconds: Double) -> Duration { .nanoseconds(Int64(seconds * 1e9)) }
        firstEvent = policy.firstByteStream
        whole = policy.firstBytePlain
        stall = policy.stall
        asking = Asking(
            firstEvent: seconds(forecast.firstEvent), progress: seconds(forecast.progress),
            whole: seconds(forecast.wholeAnswer), betweenEvents: seconds(forecast.betweenEvents),
            answer: Self.answerMin + seconds(min(forecast.ahead, 60)))
    }
}
