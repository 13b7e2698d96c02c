import Testing

/// The checks of pages are shown good and bad samples.
@Suite struct PageTests {
    private let tree = FileTree([
        "Sources/README.md", "Sources/Room/File.swift", "Sources/Room/File+Part.swift", "cluster/bench/run", "Makefile",
    ])

    private func violations(_ text: String, path: String = "Sources/README.md") -> [Violation] {
        Page(path: path, text: text).violations(in: tree)
    }

    @Test(
        "a name of a file that is not there is found",
        arguments: [
            "see `Gone.swift`", "see `Room/Gone.swift`", "see `Sources/Room/Gone`", "see `Sources/Rooms/File.swift`",
            "see `cluster/bench/gone`", "see `Elsewhere/Gone.swift`", "see `Gone.swift:12`", "see `gone.py::test_it`",
            "see [it](Room/Gone.swift)", "see [it](../Gone)", "see [it](../../Sources/README.md)",
            "    cluster/bench/gone some words", "run `make` and `cluster/gone/run now`",
        ])
    func gone(_ line: String) {
        #expect(violations("first\n" + line).map(\.line) == [2])
    }

    @Test(
        "a file that is there may be named from the root, from the page's folder or alone",
        arguments: [
            "`File.swift`", "`Room/File+Part.swift`", "`Sources/Room/File.swift`", "`Room/`", "`cluster/bench`",
            "`README.md`", "`Room/File.swift:12`", "[it](Room/File.swift#place)", "[it](../cluster/bench/run)",
            "[it](..)", "    cluster/bench/run --quick",
        ])
    func present(_ line: String) { #expect(violations(line).isEmpty) }

    @Test(
        "what is no name of ours is left alone",
        arguments: [
            "`/v1/models`", "`application/json`", "`http://host/Gone.swift`", "[it](https://host/Gone.swift)",
            "`Gone`", "`.build/debug/gone.swift`", "`--file=Gone.swift`", "`Sources/<Room>/Gone.swift`", "Gone.swift",
            "[here](#below)", "```\n`Gone.swift`\n```",
        ])
    func others(_ line: String) { #expect(violations(line).isEmpty) }

    // The table of rooms

    private let arrows = Arrows(allowed: ["Upper": ["Lower"], "Lower": []], system: [], pure: [])

    private func rows(_ lines: String...) -> [Violation] {
        RoomRows.violations(in: Page(path: "README.md", text: lines.joined(separator: "\n")), arrows: arrows)
    }

    @Test("a table that agrees with the arrows is accepted, other tables are not its business")
    func agreed() {
        let found = rows(
            "| room | owns | stands on |", "|---|---|---|", "| `Upper` | all | `Lower` · NIO |", "| `Lower` | | – |",
            "| Which `Gone`? | `Room/File.swift` |")
        #expect(found.isEmpty)
    }

    @Test("a room without a row, a row without a room and an arrow too many are found")
    func disagreed() {
        #expect(rows("| `Upper` | all | – |").map(\.sentence) == ["the room Lower has no row"])
        #expect(rows("| `Upper` | | |", "| `Lower` | | |", "| `Attic` | | |").map(\.line) == [3])
        #expect(rows("| `Upper` | | |", "| `Lower` | | `Upper` |").map(\.line) == [2])
    }
}
