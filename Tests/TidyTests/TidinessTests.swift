import Testing

/// The repository examines its own form.
@Suite struct TidinessTests {
    @Test("no room imports what its place in the house does not allow")
    func arrows() throws {
        let rooms = try Repository.rooms()
        #expect(rooms.count >= 10, "found only \(rooms)")
        for room in rooms {
            for source in try Repository.sources(in: "Sources/\(room)") {
                #expect(Arrows.starling.violations(in: source, room: room).isEmpty)
            }
        }
    }

    @Test("arrows only point to rooms that exist, and never in a circle")
    func tableIsSound() throws {
        let rooms = Set(try Repository.rooms())
        let table = Arrows.starling.allowed
        #expect(Set(table.keys) == rooms)
        var settled: Set<String> = []
        var isGrowing = true
        while isGrowing {
            let ready = table.keys.filter {
                !settled.contains($0) && table[$0, default: []].intersection(rooms).isSubset(of: settled)
            }
            settled.formUnion(ready)
            isGrowing = !ready.isEmpty
        }
        #expect(settled == rooms, "these rooms import each other in a circle: \(rooms.subtracting(settled).sorted())")
        for room in Arrows.starling.pure {
            #expect(
                table[room, default: []].intersection(rooms).isSubset(of: Arrows.starling.pure),
                "\(room) stands on an impure room")
        }
    }

    @Test("pure rooms know no clock, no chance and no task")
    func purity() throws {
        for room in Arrows.starling.pure.sorted() {
            for source in try Repository.sources(in: "Sources/\(room)") {
                #expect(Purity.inPureRooms.flatMap { $0.violations(in: source) }.isEmpty)
            }
        }
    }

    @Test("the lane awaits nothing, blocks on nothing and starts no task (L10)")
    func lane() throws {
        for folder in ["Sources/HTTPEdge/Lane", "Sources/UpstreamLane"] {
            for source in try Repository.sources(in: folder) {
                #expect(Purity.onTheLane.flatMap { $0.violations(in: source) }.isEmpty)
            }
        }
    }

    @Test("no test sleeps")
    func noSleep() throws {
        for source in try Repository.sources(in: "Tests") {
            #expect(Purity.inTests.flatMap { $0.violations(in: source) }.isEmpty)
        }
    }

    @Test("every test can fail")
    func everyTestCanFail() throws {
        let sources = try Repository.sources(in: "Tests")
        let targets = Dictionary(grouping: sources) { $0.path.split(separator: "/")[1] }
        for (_, files) in targets.sorted(by: { $0.key < $1.key }) {
            #expect(TestFunctions.cannotFail(in: files).isEmpty)
        }
    }

    @Test("names say something")
    func names() throws {
        for room in try Repository.rooms() {
            for source in try Repository.sources(in: "Sources/\(room)") {
                #expect(Names.violations(in: source, room: room).isEmpty)
            }
        }
    }

    @Test("pages name only files that exist")
    func pages() throws {
        let files = try Repository.files()
        let pages = files.filter { $0.hasSuffix(".md") }
        #expect(pages.contains("Sources/README.md") && pages.count >= 10, "found only \(pages)")
        let tree = FileTree(files)
        for page in pages {
            #expect(try Repository.page(page).violations(in: tree).isEmpty)
        }
    }

    @Test("the map's table of rooms is the table of arrows")
    func roomRows() throws {
        #expect(RoomRows.violations(in: try Repository.page("Sources/README.md"), arrows: .starling).isEmpty)
    }
}
