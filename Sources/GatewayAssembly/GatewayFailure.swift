/// Why a replica could not start or had to stop, for the person at the terminal.
package struct GatewayFailure: Error, CustomStringConvertible {
    /// What, where, and what to do.
    package let description: String
    /// As sysexits.h numbers them: 78 for settings, 69 for what the machine does not give.
    package let exitCode: Int32

    static func settings(_ sentence: String) -> GatewayFailure { GatewayFailure(description: sentence, exitCode: 78) }
    static func unavailable(_ sentence: String) -> GatewayFailure {
        GatewayFailure(description: sentence, exitCode: 69)
    }
}
