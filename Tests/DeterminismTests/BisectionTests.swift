import Determinism
import Testing

@Suite struct BisectionTests {
    @Test("every key finds its place in every small array, with keys missing and keys repeated")
    func enumerated() {
        // Each key 0 … 4 stands in the array not at all, once or twice.
        for number in 0..<243 {
            var rest = number
            var rows: [(key: Int, serial: Int)] = []
            for key in 0..<5 {
                for _ in 0..<rest % 3 { rows.append((key, rows.count)) }
                rest /= 3
            }
            for key in -1...5 {
                let place = rows.place(of: key, sortedBy: \.key)
                #expect(rows[..<place].allSatisfy { $0.key < key } && rows[place...].allSatisfy { $0.key >= key })
                #expect(rows.position(of: key, sortedBy: \.key) == rows.firstIndex { $0.key == key })
            }
        }
    }

    @Test("in a thousand rows, eleven are read at most")
    func steps() {
        let rows = Array(0..<1_000)
        for key in -1...1_000 {
            var reads = 0
            _ = rows.position(of: key) { row in
                reads += 1
                return row
            }
            #expect(reads <= 11)
        }
    }
}
