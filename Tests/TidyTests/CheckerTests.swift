import Testing

/// The checkers are shown bad samples: a check that finds nothing anywhere would be content with everything.
@Suite struct CheckerTests {
    private func source(_ text: String, path: String = "Sources/Room/File.swift") -> SourceText {
        SourceText(path: path, text: text)
    }

    // Source text

    @Test("three quotes begin a long string only at the end of their line")
    func quotesBetweenDelimiters() {
        let lines = ["let a = [\"\", #\"\"\"\"#, #\"\"\"#]", "let b = 1", "let c = \"await\""]
        let text = source(lines.joined(separator: "\n"))
        #expect(text.lines.count == 3 && text.lines[1] == "let b = 1" && !text.code.contains("await"))
    }

    @Test("comments and strings are not code, and lines keep their numbers")
    func codeOnly() {
        let text = source(
            #"""
            let a = "await \(f("await")) // await" // await
            /* await /* await */ await
            */ let b = 1
            let c = """
                await "quoted" await
                """
            let d = #"await "# + "\"await"
            let e = 2
            """#)
        #expect(!text.code.contains("await"))
        #expect(text.lines[2].contains("let b = 1"))
        #expect(text.lines[6].contains("let d ="))
        #expect(text.lines[7] == "let e = 2")
        #expect(text.lines.count == 8)
    }

    @Test("an unfinished string or comment ends with its line or file, not with a crash")
    func unfinished() {
        #expect(source("let a = \"open\nlet b = 2").lines[1] == "let b = 2")
        #expect(source("/* open").code.allSatisfy { $0 == " " })
        #expect(source("let a = \"\\(").lines.count == 1)
    }

    // Arrows

    @Test(
        "every form of import is found",
        arguments: [
            ("import NIOCore", "NIOCore"), ("package import NIOCore", "NIOCore"),
            ("@testable import NIOCore", "NIOCore"),
            ("@preconcurrency internal import NIOCore", "NIOCore"), ("import struct NIOCore.ByteBuffer", "NIOCore"),
            ("    import NIOCore", "NIOCore"), ("public import NIOCore;", "NIOCore"),
        ])
    func imports(_ line: String, _ module: String) {
        #expect(Arrows.imports(of: source("// first\n" + line)) == [Arrows.Import(module: module, line: 2)])
    }

    @Test(
        "what only looks like an import is not one",
        arguments: ["// import NIOCore", "let x = \"import NIOCore\"", "important(x)"])
    func noImports(_ line: String) {
        #expect(Arrows.imports(of: source(line)).isEmpty)
    }

    @Test(
        "an arrow upward, a package in a pure room and an unknown room are refused",
        arguments: [
            ("Placement", "import Balancing"), ("Balancing", "import Foundation"), ("ReplicaCore", "import NIOCore"),
            ("ReplicaCore", "import InferenceDialect"), ("Settings", "import HTTPEdge"),
            ("HTTPEdge", "import AsyncHTTPClient"),
            ("Placement", "import Synchronization"), ("Cellar", "import Determinism"),
        ])
    func refusedArrows(_ room: String, _ line: String) {
        #expect(Arrows.starling.violations(in: source(line), room: room).count == 1)
    }

    @Test(
        "an arrow that the table has is accepted",
        arguments: [
            ("Balancing", "package import Placement"), ("ReplicaCore", "import Synchronization"),
            ("HTTPEdge", "import Foundation"),
            ("UpstreamLane", "import NIOSSL"),
        ])
    func acceptedArrows(_ room: String, _ line: String) {
        #expect(Arrows.starling.violations(in: source(line), room: room).isEmpty)
    }

    // Purity

    @Test(
        "clocks, chance and tasks are found in code",
        arguments: [
            "let d = Date()", "let t = ContinuousClock.now", "let t = clock.now", "Int.random(in: 0..<3)",
            "list.shuffled()",
            "Task { work() }", "x.hashValue", "var h = Hasher()", "await other()",
        ])
    func impure(_ line: String) {
        let found = Purity.inPureRooms.flatMap { $0.violations(in: source("\n" + line)) }
        #expect(!found.isEmpty)
        #expect(found.allSatisfy { $0.line == 2 })
    }

    @Test(
        "words that merely contain a forbidden one are fine",
        arguments: [
            "let nowhere = x.nowhere", "awaited(x)", "let date = candidate()", "struct Hashing {}",
            "// Date() and Task { await }",
            "generator.random.below(3)", "var myTask = 3", "list.shuffled(using: &generator)",
        ])
    func pure(_ line: String) {
        #expect(Purity.inPureRooms.flatMap { $0.violations(in: source(line)) }.isEmpty)
    }

    @Test("waiting on the lane and sleeping in tests are found")
    func waiting() {
        #expect(Purity.onTheLane.flatMap { $0.violations(in: source("try await x()")) }.count == 1)
        #expect(!Purity.inTests.flatMap { $0.violations(in: source("try await Task.sleep(for: .seconds(1))")) }.isEmpty)
        #expect(Purity.inTests.flatMap { $0.violations(in: source("let sleeper = 1 // sleep")) }.isEmpty)
    }

    // Tests that cannot fail

    @Test("a test that expects nothing is found")
    func emptyTest() {
        let found = TestFunctions.cannotFail(in: [
            source("@Suite struct S {\n    @Test(\"x\")\n    func nothing() {\n        work()\n    }\n}")
        ])
        #expect(found.map(\.line) == [2])
    }

    @Test("a comment or string is no expectation")
    func fakeExpectation() {
        #expect(
            TestFunctions.cannotFail(in: [source("@Test func a() {\n    // #expect(true)\n    print(\"#expect\")\n}")])
                .count == 1)
    }

    @Test("an expectation in a helper counts, also behind another helper and in another file")
    func helpers() {
        let test = source("@Test func a() { outer(1) }")
        let helper = source("func outer(_ x: Int) { inner(x) }\nfunc inner(_ x: Int) { #expect(x == 1) }")
        #expect(TestFunctions.cannotFail(in: [test, helper]).isEmpty)
        #expect(TestFunctions.cannotFail(in: [test]).count == 1)
    }

    @Test("a helper that throws can fail its test, one that only passes errors on can not")
    func throwing() {
        let test = source("@Test func a() throws { try helper() }")
        #expect(TestFunctions.cannotFail(in: [test, source("func helper() throws { throw Bad() }")]).isEmpty)
        #expect(TestFunctions.cannotFail(in: [test, source("func helper() throws {}")]).count == 1)
    }

    @Test("the neighbour's expectation is not ours")
    func neighbour() {
        let text = source("@Test func a() { work() }\n@Test func b() { #expect(work()) }\nfunc work() -> Bool { true }")
        #expect(TestFunctions.cannotFail(in: [text]).map(\.line) == [1])
    }

    @Test("attributes, arguments and closures before the body do not confuse it")
    func shapes() {
        let text = source(
            """
            @Test("x", arguments: [{ 1 }, { 2 }])
            @MainActor func a(_ f: () -> Int = { 3 }) async throws -> Void where Int: Equatable {
                #expect(f() > 0)
            }
            """)
        let functions = TestFunctions.functions(in: text)
        #expect(functions.count == 1)
        #expect(functions.first?.isTest == true)
        #expect(functions.first?.body.contains("#expect") == true)
        #expect(TestFunctions.cannotFail(in: [text]).isEmpty)
    }

    // Names

    @Test(
        "empty words and shared names are refused",
        arguments: [
            ("Sources/Room/Utils.swift", ""), ("Sources/Room/StringHelper.swift", ""),
            ("Sources/Room/WorkerManager.swift", ""),
            ("Sources/Room/Stub.swift", ""), ("Sources/Room/A.swift", "struct Room {}"),
            ("Sources/Room/A.swift", "package final class Room: X {}"),
        ])
    func badNames(_ path: String, _ text: String) {
        #expect(Names.violations(in: source(text, path: path), room: "Room").count == 1)
    }

    @Test("names with meaning are accepted")
    func goodNames() {
        #expect(
            Names.violations(
                in: source("struct RoomKey {}\nlet Room = 1", path: "Sources/Room/RoomKey.swift"), room: "Room"
            ).isEmpty)
    }
}
