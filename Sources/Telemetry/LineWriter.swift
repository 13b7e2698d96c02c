import Determinism

/// Lines to a file descriptor without ever waiting for whoever reads it.
///
/// A full pipe blocks `write(2)`, and a log that blocks an event loop stops every stream on it. So a caller only copies
/// its line into a buffer under a lock held for one `memcpy`; one thread swaps the buffer for an empty one and writes.
/// What finds no room is dropped whole, never cut, and counted.
///
/// Waking a sleeping thread costs a system call, more than the line itself. The caller pays it only for the first line
/// of a batch; the thread then gives the batch `gatherMilliseconds` to grow before it writes.
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

package final class LineWriter: Sendable {
    /// How long the first line of a batch may wait for company. People do not see a hundredth of a second.
    static let gatherMilliseconds = 10
    /// A reader that takes nothing for this long must not keep the process from ending.
    static let closeMillisecondsMax = 2_000

    private let state: LineWriterState

    /// `bytesMax` bytes may wait while as many are being written. The descriptor stays the caller's to close.
    package init(descriptor: Int32, bytesMax: Int) {
        precondition(bytesMax > 0, "a line writer without room would drop every line")
        state = LineWriterState(descriptor: descriptor, bytesMax: bytesMax)
        state.start()
    }

    deinit { state.close() }

    /// One whole line, its newline included.
    package func append(_ line: UnsafeRawBufferPointer) { state.append(line) }

    /// The same for an array, which most lines are made in.
    package func append(_ line: [UInt8]) { line.withUnsafeBytes { state.append($0) } }

    /// Lines lost since the start, for want of room or because the descriptor failed.
    package var dropped: Int { state.dropped }

    /// Writes what waits, then ends the thread; returns at the latest after two seconds. Later lines are dropped.
    package func close() { state.close() }
}

/// What the caller and the writing thread share. The thread keeps it alive, so a `LineWriter` may go first.
private final class LineWriterState: @unchecked Sendable {
    private let gate = ThreadGate()
    private let descriptor: Int32
    private let bytesMax: Int
    // All below is touched only with the gate locked, but for `writing`, which is the thread's own.
    private var waiting: UnsafeMutableRawPointer
    private var writing: UnsafeMutableRawPointer
    private var count = 0
    private var lines = 0
    private var isAsleep = false
    private var isClosed = false
    private var hasEnded = false
    private var droppedLines = 0

    init(descriptor: Int32, bytesMax: Int) {
        self.descriptor = descriptor
        self.bytesMax = bytesMax
        waiting = .allocate(byteCount: bytesMax, alignment: 16)
        writing = .allocate(byteCount: bytesMax, alignment: 16)
    }

    deinit {
        waiting.deallocate()
        writing.deallocate()
    }

    var dropped: Int {
        gate.lock()
        defer { gate.unlock() }
        return droppedLines
    }

    func start() {
        let box = Unmanaged.passRetained(self)
        let isStarted = startThread(box.toOpaque()) { context in
            Unmanaged<LineWriterState>.fromOpaque(context).takeRetainedValue().run()
        }
        guard !isStarted else { return }
        box.release()
        Fault.report("telemetry: no thread for writing lines; all of them are dropped")
        isClosed = true
        hasEnded = true
    }

    func append(_ line: UnsafeRawBufferPointer) {
        guard let base = line.baseAddress, line.count > 0 else { return }
        gate.lock()
        guard !isClosed, count + line.count <= bytesMax else {
            droppedLines += 1
            return gate.unlock()
        }
        (waiting + count).copyMemory(from: base, byteCount: line.count)
        let wasBelowHalf = count < bytesMax / 2
        count += line.count
        lines += 1
        // Only a sleeping thread needs waking, and a gathering one only when the buffer has passed its half.
        let wakes = isAsleep || (wasBelowHalf && count >= bytesMax / 2)
        isAsleep = false
        gate.unlock()
        if wakes { gate.signal() }
    }

    func close() {
        gate.lock()
        isClosed = true
        gate.signal()
        var patience = LineWriter.closeMillisecondsMax
        while !hasEnded, patience > 0 {
            gate.wait(milliseconds: 50)
            patience -= 50
        }
        gate.unlock()
    }

    private func run() {
        blockBrokenPipeSignal()
        gate.lock()
        while true {
            while count == 0, !isClosed {
                isAsleep = true
                gate.wait()
            }
            isAsleep = false
            if count == 0 { break }
            if !isClosed, count < bytesMax / 2 { gate.wait(milliseconds: LineWriter.gatherMilliseconds) }
            swap(&waiting, &writing)
            let (bytes, written) = (count, lines)
            count = 0
            lines = 0
            gate.unlock()
            let lost = writeAll(bytes, lines: written)
            gate.lock()
            droppedLines += lost
        }
        hasEnded = true
        gate.signal()
        gate.unlock()
    }

    /// The number of lines that did not get out whole.
    private func writeAll(_ bytes: Int, lines: Int) -> Int {
        var offset = 0
        while offset < bytes {
            let wrote = write(descriptor, writing + offset, bytes - offset)
            if wrote > 0 {
                offset += wrote
            } else if wrote < 0, errno == EINTR {
                continue
            } else if wrote < 0, errno == EAGAIN {
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&entry, 1, 1_000)
            } else {
                let rest = UnsafeRawBufferPointer(start: writing + offset, count: bytes - offset)
                return min(lines, rest.reduce(0) { $0 + ($1 == 10 ? 1 : 0) })
            }
        }
        return 0
    }

    /// A reader that went away must not end the process; the thread then sees EPIPE instead.
    private func blockBrokenPipeSignal() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }
}
