/// Errors as SDKs read them, ours and the workers'.
import Testing

@testable import InferenceDialect

@Suite("Errors have OpenAI's shape")
struct ErrorBodyTests {
    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func reshaped(_ body: String, status: Int = 400) -> String? {
        ErrorBody.reshaped(Array(body.utf8), status: status).map { text($0) }
    }

    private static func rejected(_ message: String, type: String = "invalid_request_error") -> String {
        #"{"error":{"message":"\#(message)","type":"\#(type)","param":null,"code":"worker.rejected"}}"#
    }

    @Test("members stand in their order, absent ones are null, text is quoted")
    func json() {
        let full = ErrorBody.json(message: "a \"b\" \\ \n\t é", type: "t", param: "model", code: "c")
        #expect(
            Self.text(full) == #"{"error":{"message":"a \"b\" \\ \n\u0009 é","type":"t","param":"model","code":"c"}}"#)
        let bare = ErrorBody.json(message: "", type: "t", param: nil, code: nil)
        #expect(Self.text(bare) == #"{"error":{"message":"","type":"t","param":null,"code":null}}"#)
    }

    @Test("the event is the same object in a frame that a cutter takes for an error")
    func event() {
        let event = ErrorBody.event(message: "m\nn", type: "t", param: nil, code: nil)
        let json = ErrorBody.json(message: "m\nn", type: "t", param: nil, code: nil)
        #expect(event == Array("data: ".utf8) + json + Array("\n\n".utf8))
        let run = cut(event)
        #expect(run.kinds == [.error] && run.facts.errorBody == json)
    }

    @Test("a body in that shape travels as it is")
    func untouched() {
        #expect(Self.reshaped(#"{"error":{"message":"m","type":"x","code":400}}"#) == nil)
        #expect(Self.reshaped(#" {"id":1,"error" : {"code":500, "message":"m"}}"#) == nil)
    }

    @Test("flat, FastAPI's, old and textual bodies are re-shaped with the worker's words")
    func shapes() {
        #expect(Self.reshaped(#"{"error": "no \"x\"\nhere"}"#) == Self.rejected(#"no \"x\"\nhere"#))
        #expect(Self.reshaped(#"{"detail":"Not Found"}"#, status: 404) == Self.rejected("Not Found"))
        #expect(
            Self.reshaped(#"{"detail":[{"loc":["body","stop"],"msg":"bad"}]}"#, status: 422)
                == Self.rejected(#"[{\"loc\":[\"body\",\"stop\"],\"msg\":\"bad\"}]"#))
        #expect(Self.reshaped(#"{"object":"error","message":"old","code":400}"#) == Self.rejected("old"))
        #expect(Self.reshaped(#"{"message":"less","error":"more","detail":"least"}"#) == Self.rejected("more"))
        #expect(Self.reshaped("Not Found", status: 404) == Self.rejected("Not Found"))
        #expect(Self.reshaped("<h1>No</h1>", status: 501) == Self.rejected("<h1>No</h1>", type: "server_error"))
        #expect(Self.reshaped(#"{"error":{"code":3}}"#) == Self.rejected(#"{\"code\":3}"#))
        #expect(Self.reshaped(#"{"error":null,"message":"told"}"#) == Self.rejected("told"))
        #expect(Self.reshaped(#"{"x":1}"#) == Self.rejected(#"{\"x\":1}"#))
    }

    @Test("no explanation is told as such, and broken JSON as it is")
    func nothing() {
        #expect(
            Self.reshaped("", status: 500)
                == Self.rejected("The worker answered with status 500 and no explanation.", type: "server_error"))
        #expect(Self.reshaped(#"{"error":"#) != nil)
        #expect(Self.reshaped("{\"a\\") == Self.rejected(#"{\"a\\"#))
    }

    @Test("the worker's words end at the bound, between two characters")
    func bound() {
        let max = ErrorBody.workerTextBytesMax
        let fits = String(repeating: "a", count: max)
        #expect(Self.reshaped(fits) == Self.rejected(fits))
        #expect(Self.reshaped(fits + "b") == Self.rejected(fits))
        #expect(Self.reshaped("{\"error\":\"\(fits)b\"}") == Self.rejected(fits))
        let short = String(repeating: "a", count: max - 2)
        for body in [short + "世", "{\"error\":\"\(short)世界\"}"] { #expect(Self.reshaped(body) == Self.rejected(short)) }
    }

    @Test("a keepalive is a comment")
    func keepalive() {
        #expect(cut(Keepalive.comment).kinds == [.comment(progress: false)])
    }
}
