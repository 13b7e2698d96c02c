import Testing

@testable import ReplicaCore

struct PublishedTests {
    @Test("a copy is refreshed once per publication, and the first time always")
    func refresh() {
        let published = Published("one")
        var copy = ""
        var seen = UInt64.max
        published.refresh(&copy, seen: &seen)
        #expect(copy == "one")
        copy = "mine"
        published.refresh(&copy, seen: &seen)
        #expect(copy == "mine")
        published.publish("two")
        published.refresh(&copy, seen: &seen)
        #expect(copy == "two")
        #expect(published.value == "two")
    }

    @Test("readers on other threads see whole values, and the last one in the end")
    func parallel() async {
        let published = Published([0, 0])
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var copy = [0, 0]
                    var seen = UInt64.max
                    var isWhole = true
                    for _ in 0..<10_000 {
                        published.refresh(&copy, seen: &seen)
                        if copy[0] != copy[1] { isWhole = false }
                    }
                    return isWhole
                }
            }
            for number in 1...1_000 { published.publish([number, number]) }
            for await isWhole in group { #expect(isWhole) }
        }
        #expect(published.value == [1_000, 1_000])
    }
}
