/// Requests as they stand on the wire, and answers taken apart: what the lane handler's tests speak.
let chat = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
let get = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"

func post(_ body: String, _ fields: String = "") -> String {
    chat + fields + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
}

func bodies(_ output: String) -> [String] {
    output.components(separatedBy: "HTTP/1.").dropFirst().map { answer in
        String(answer.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false).last ?? "")
    }
}

extension String {
    func components(separatedBy separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}
