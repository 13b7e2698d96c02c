/// Whole lines or none, never a wait for the reader, and nothing lost without being counted.
import Foundation
import Telemetry
import Testing

@Suite("the line writer")
struct LineWriterTests {
    @Test("writes every line in order before it closes")
    func order() throws {
        let pipe = Pipe()
        let writer = LineWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor, bytesMax: 65_536)
        for number in 0..<1_000 { writer.append(Array("line \(number)\n".utf8)) }
        writer.close()
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        #expect(text == (0..<1_000).map { "line \($0)\n" }.joined())
        #expect(writer.dropped == 0)
    }

    @Test("drops whole lines and counts them while nobody reads")
    func full() throws {
        let pipe = Pipe()
        let writer = LineWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor, bytesMax: 4_096)
        let line = Array((String(repeating: "x", count: 99) + "\n").utf8)
        // More than the pipe, the buffer being written and the one being filled can hold together.
        let count = 20_000
        for _ in 0..<count { writer.append(line) }
        let droppedWhileFull = writer.dropped
        #expect(droppedWhileFull > 0)
        // Someone reads at last: what was taken comes out whole.
        let reader = pipe.fileHandleForReading
        let done = DispatchSemaphore(value: 0)
        nonisolated(unsafe) var text = ""
        Thread.detachNewThread {
            text = String(decoding: (try? reader.readToEnd()) ?? Data(), as: UTF8.self)
            done.signal()
        }
        writer.close()
        try pipe.fileHandleForWriting.close()
        done.wait()
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.allSatisfy { $0.count == 99 })
        #expect(lines.count + writer.dropped == count)
    }

    @Test("a line of the buffer's size fits, one byte more does not")
    func bound() throws {
        let pipe = Pipe()
        let writer = LineWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor, bytesMax: 100)
        writer.append([UInt8](repeating: 97, count: 101))
        #expect(writer.dropped == 1)
        writer.append([UInt8](repeating: 98, count: 99) + [10])
        #expect(writer.dropped == 1)
        writer.close()
        try pipe.fileHandleForWriting.close()
        #expect(try pipe.fileHandleForReading.readToEnd()?.count == 100)
    }

    @Test("lines from many threads stay whole")
    func threads() async throws {
        let pipe = Pipe()
        let writer = LineWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor, bytesMax: 1_048_576)
        let reader = pipe.fileHandleForReading
        await withTaskGroup(of: Void.self) { group in
            for name in 0..<4 {
                group.addTask {
                    let line = [UInt8](repeating: UInt8(97 + name), count: 30) + [10]
                    for _ in 0..<250 { writer.append(line) }
                }
            }
        }
        writer.close()
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: try reader.readToEnd() ?? Data(), as: UTF8.self)
        let lines = text.split(separator: "\n")
        #expect(lines.count == 1_000)
        #expect(lines.allSatisfy { $0.count == 30 && Set($0).count == 1 })
    }

    @Test("a reader that went away costs lines, not the process")
    func brokenPipe() throws {
        let pipe = Pipe()
        let writer = LineWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor, bytesMax: 4_096)
        try pipe.fileHandleForReading.close()
        for _ in 0..<3 { writer.append(Array("lost\n".utf8)) }
        writer.close()
        #expect(writer.dropped == 3)
    }

    @Test("after closing, lines are dropped and counted")
    func closed() {
        let pipe = Pipe()
        let writer = LineWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor, bytesMax: 4_096)
        writer.close()
        writer.append(Array("late\n".utf8))
        #expect(writer.dropped == 1)
    }
}
