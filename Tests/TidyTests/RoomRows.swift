/// The table of rooms in `Sources/README.md`, held against the arrows that the code is held against.
enum RoomRows {
    /// Rooms without a row, rows without a room, and arrows on the page that the table of arrows does not have.
    static func violations(in page: Page, arrows: Arrows) -> [Violation] {
        var found: [Violation] = []
        var missing = Set(arrows.allowed.keys)
        for (number, line) in page.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            // | `Room` | owns | stands on |
            guard cells.count == 5, let room = quoted(cells[1]).first, quoted(cells[1]).count == 1 else { continue }
            guard let allowed = arrows.allowed[room] else {
                found.append(Violation(path: page.path, line: number + 1, sentence: "\(room) is no room"))
                continue
            }
            missing.remove(room)
            found += quoted(cells[3]).filter { !allowed.contains($0) }.map {
                Violation(path: page.path, line: number + 1, sentence: "\(room) does not stand on \($0)")
            }
        }
        return found
            + missing.sorted().map { Violation(path: page.path, line: 1, sentence: "the room \($0) has no row") }
    }

    private static func quoted(_ cell: Substring) -> [String] {
        let spans = cell.split(separator: "`", omittingEmptySubsequences: false)
        return spans.indices.filter { $0 % 2 == 1 }.map { String(spans[$0]) }
    }
}
