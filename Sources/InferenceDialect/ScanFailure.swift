/// Why a request cannot be forwarded, in the words that the client gets.
package struct ScanFailure: Error, Equatable, Sendable {
    package let status: Int
    /// A stable word, such as `invalid_json` or `invalid_value`.
    package let code: String
    /// The member at fault, where one is.
    package let param: String?
    package let message: String

    package init(status: Int, code: String, param: String?, message: String) {
        self.status = status
        self.code = code
        self.param = param
        self.message = message
    }

    static func notJSON(_ why: String, at offset: Int) -> ScanFailure {
        ScanFailure(
            status: 400, code: "invalid_json", param: nil,
            message: "The request body is not valid JSON: \(why) at byte \(offset).")
    }

    static func value(_ param: String, _ sentence: String) -> ScanFailure {
        ScanFailure(status: 400, code: "invalid_value", param: param, message: "Invalid '\(param)': \(sentence).")
    }

    static func missing(_ param: String) -> ScanFailure {
        ScanFailure(
            status: 400, code: "missing_required_parameter", param: param,
            message: "Missing required parameter: '\(param)'.")
    }
}
