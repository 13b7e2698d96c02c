/// A request after its edits is valid JSON that says what it said and what we add, and its other bytes are untouched.
import Testing

@testable import InferenceDialect

/// A body with its edits, as the worker gets it.
func spliced(_ list: SpliceList, into body: String) -> String {
    let bytes = Array(body.utf8)
    var output: [UInt8] = []
    list.forEachPiece(bodyBytes: bytes.count) { piece in
        switch piece {
        case .original(let range):
            #expect(!range.isEmpty)
            output += bytes[range]
        case .replacement(let new):
            #expect(!new.isEmpty)
            output += new
        }
    }
    #expect(output.count == list.outputBytes(bodyBytes: bytes.count))
    return String(decoding: output, as: UTF8.self)
}

/// The same without the limit that most kinds are given where the client set none, which has tests of its own.
func withoutCeiling(_ body: String) -> String {
    body.replacing(#""max_tokens":\#(ModelOnWorker.maxOutputTokensUsual),"#, with: "", maxReplacements: 1)
}

/// The same without the wish for progress, which has a test of its own.
func withoutProgress(_ body: String) -> String {
    body.replacing(#""return_progress":true,"#, with: "", maxReplacements: 1)
}

@Suite("Splicing")
struct SplicingTests {
    private let model = ModelOnWorker(name: "m", upstreamName: "m", contextTokens: nil, vocabulary: nil)
    private let renamed = ModelOnWorker(
        name: "m", upstreamName: "org/big \"4bit\"\n", contextTokens: nil, vocabulary: nil)

    private func prepared(_ body: String, _ model: ModelOnWorker, askUsage: Bool = true) throws -> String {
        withoutCeiling(
            spliced(WorkerDialect.mlxLM.prepare(try scan(body).get(), model, askUsage: askUsage), into: body))
    }

    private static let rest = #","messages":[{"role":"user"}]}"#

    @Test(
        "Usage is asked for whatever the client wrote",
        arguments: [
            ("", #""stream_options":{"include_usage":true},"#, ""),
            (#","stream_options":null"#, "", #","stream_options":{"include_usage":true}"#),
            (#","stream_options":{}"#, "", #","stream_options":{"include_usage":true}"#),
            (#","stream_options": { } "#, "", #","stream_options": {"include_usage":true } "#),
            (#","stream_options":{"include_usage":false}"#, "", #","stream_options":{"include_usage":true}"#),
            (#","stream_options":{"include_usage": null}"#, "", #","stream_options":{"include_usage": true}"#),
            (#","stream_options":{"x":true}"#, "", #","stream_options":{"include_usage":true,"x":true}"#),
            (#","stream_options":{"include_usage":true}"#, "", #","stream_options":{"include_usage":true}"#),
        ])
    func usage(written: String, atStart: String, becomes: String) throws {
        let body = #"{"model":"m","stream":true"# + written + Self.rest
        let output = try prepared(body, model)
        #expect(output == "{" + atStart + #""model":"m","stream":true"# + becomes + Self.rest)
        let again = try scan(output).get()
        #expect(again.includeUsage == true)
        #expect(again.model == "m")
    }

    @Test(
        "Progress is asked for on a stream whose client did not, once, whatever the client wrote",
        arguments: [
            ("", #""return_progress":true,"#, ""), (#","return_progress":true"#, "", #","return_progress":true"#),
            (#","return_progress": false"#, "", #","return_progress": true"#),
            (#","return_progress":null"#, "", #","return_progress":true"#),
            // What is neither is the server's to refuse.
            (#","return_progress":"x""#, "", #","return_progress":"x""#),
            (#","return_progress":{"a":1}"#, "", #","return_progress":{"a":1}"#),
        ])
    func progress(written: String, atStart: String, becomes: String) throws {
        func sent(_ body: String, by dialect: WorkerDialect = .llamaCpp, makesStream: Bool = false) throws -> String {
            let list = dialect.prepare(try scan(body).get(), model, askUsage: false, makesStream: makesStream)
            return withoutCeiling(spliced(list, into: body))
        }
        let body = #"{"model":"m","stream":true"# + written + Self.rest
        #expect(try sent(body) == "{" + atStart + #""model":"m","stream":true"# + becomes + Self.rest)
        let plain = #"{"model":"m""# + written + Self.rest
        #expect(try sent(plain) == plain, "a plain answer has no place for it")
        #expect(
            try sent(plain, makesStream: true)
                == "{" + atStart + #""stream":true,"model":"m""# + becomes + Self.rest)
        for dialect in WorkerDialect.all where dialect.kind != "llama_cpp" {
            #expect(try sent(body, by: dialect) == body)
        }
        let typed = #"{"model":"m","stream":true,"input":"hi"}"#
        let responses = InferenceRoute.other("responses")
        #expect(
            WorkerDialect.llamaCpp.prepare(try scan(typed, route: responses).get(), model, askUsage: false).isEmpty)
    }

    @Test("Usage is not asked for without a stream, or when nobody wants it")
    func silent() throws {
        for body in [#"{"model":"m""# + Self.rest, #"{"model":"m","stream":false,"stream_options":null"# + Self.rest] {
            #expect(try prepared(body, model) == body)
        }
        let stream = #"{"model":"m","stream":true"# + Self.rest
        #expect(try prepared(stream, model, askUsage: false) == stream)
    }

    @Test("An alias becomes the worker's own name, quoted as JSON wants it", arguments: [0, 1, 2])
    func alias(place: Int) throws {
        var members = [#""stream": true"#, #""messages":[{"role":"user"}]"#]
        members.insert(#""model" : "\u006d""#, at: place)
        let body = "{ " + members.joined(separator: ", ") + " }"
        let output = try prepared(body, renamed)
        let again = try scan(output).get()
        #expect(again.model == renamed.upstreamName)
        #expect(again.includeUsage == true)
        #expect(again.bodyBytes == output.utf8.count)
        members[place] = #""model" : "org/big \"4bit\"\n""#
        #expect(output == #"{"stream_options":{"include_usage":true}, "# + members.joined(separator: ", ") + " }")
    }

    @Test("A name that is already right costs no edit, however it is escaped")
    func sameName() throws {
        let found = try scan(#"{"model":"\u006d""# + Self.rest).get()
        #expect(WorkerDialect.openAI.prepare(found, model, askUsage: true).isEmpty)
    }

    @Test("An empty object gets no comma that it has no use for")
    func emptyObject() {
        var found = ScannedRequest()
        found.objectStart = 1
        found.bodyBytes = 2
        found.stream = true
        let list = WorkerDialect.openAI.prepare(found, model, askUsage: true)
        #expect(spliced(list, into: "{}") == #"{"stream_options":{"include_usage":true}}"#)
    }

    @Test("Edits come out in order whatever order they were made in")
    func order() {
        var list = SpliceList()
        #expect(list.isEmpty)
        #expect(spliced(list, into: "abcdef") == "abcdef")
        list.replace(4..<6, with: Array("EF!".utf8))
        list.replace(0..<1, with: [])
        list.insert(Array("-".utf8), at: 2)
        list.insert(Array("+".utf8), at: 4)
        #expect(spliced(list, into: "abcdef") == "b-cd+EF!")
        #expect(list.edits.map(\.range) == [0..<1, 2..<2, 4..<4, 4..<6])
        #expect(spliced(list, into: "abcdef").utf8.count == list.outputBytes(bodyBytes: 6))
    }

    @Test("A list takes its bound of edits")
    func bound() {
        var list = SpliceList()
        for place in 0..<SpliceList.editsMax { list.replace((2 * place)..<(2 * place + 1), with: [UInt8(ascii: "x")]) }
        #expect(list.edits.count == SpliceList.editsMax)
        #expect(
            spliced(list, into: String(repeating: "ab", count: SpliceList.editsMax))
                == String(repeating: "xb", count: SpliceList.editsMax))
    }

    @Test("One edit past the bound, and an edit inside another, are our own faults and stop the process")
    func misuse() async {
        await #expect(processExitsWith: .failure) {
            var list = SpliceList()
            for place in 0...SpliceList.editsMax { list.insert([0], at: place) }
        }
        await #expect(processExitsWith: .failure) {
            var list = SpliceList()
            list.replace(2..<6, with: [])
            list.insert([0], at: 4)
        }
    }
}
