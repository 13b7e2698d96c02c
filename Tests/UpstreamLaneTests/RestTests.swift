import Determinism
import ExchangeFlow
import NIOCore
import NIOEmbedded
import Testing

@testable import UpstreamLane

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// One upstream connection in a pipeline without a socket, on a loop whose time is moved by hand.
private final class ReadBench {
    let channel = EmbeddedChannel()
    let connection: UpstreamConnection
    private let reads = ReadCount()
    private let user = StreamUser()
    private let clock = Clock()

    final class Clock { var now = Instant(nanoseconds: 1) }

    /// Stands where the socket is and counts what it is asked for.
    final class ReadCount: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var count = 0
        func read(context: ChannelHandlerContext) { count += 1 }
    }

    /// An exchange whose answer is a stream that goes on.
    final class StreamUser: UpstreamUser {
        var connection: UpstreamConnection?
        var clock: Clock!
        var isProven = false
        var failures = 0
        func upstreamConnected() {}
        func upstreamHead(_ head: ResponseHead, bytes: ByteBuffer) {}
        func upstreamBody(_ bytes: ByteBuffer) {}
        func upstreamEnd(byEOF: Bool) {}
        func upstreamReadComplete() { if !isProven { connection?.restIfBurst(at: clock.now) } }
        func upstreamFailed(_ failure: UpstreamFailure) { failures += 1 }
    }

    init() throws {
        let clock = clock
        let rests = RestList(eventLoop: channel.embeddedEventLoop) { clock.now }
        let flushes = FlushList(eventLoop: channel.embeddedEventLoop)
        connection = UpstreamConnection(isTLS: false, flushes: flushes, rests: rests)
        try channel.pipeline.syncOperations.addHandlers([reads, connection])
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        user.connection = connection
        user.clock = clock
        connection.lease(to: user)
        connection.dialed()
        receive("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    }

    func receive(_ text: String) {
        channel.pipeline.fireChannelRead(ByteBuffer(string: text))
        channel.pipeline.fireChannelReadComplete()
        // What a socket does by itself.
        channel.pipeline.read()
    }

    func pass(_ duration: Duration) {
        clock.now = clock.now + duration
        channel.embeddedEventLoop.advanceTime(by: .nanoseconds(duration.wholeNanoseconds))
    }

    /// Reads since the last look.
    func takeReads() -> Int {
        defer { reads.count = 0 }
        return reads.count
    }

    var failures: Int { user.failures }
    func prove() { user.isProven = true }
}

@Suite("Reads of a burst")
struct RestTests {
    @Test("after bytes that came quickly the next read waits until the rest is over, and is asked for once")
    func rests() throws {
        let bench = try ReadBench()
        bench.pass(.milliseconds(20))
        #expect(bench.takeReads() == 1, "after the head")
        bench.receive("data: 1\n\n")
        #expect(bench.takeReads() == 1)
        bench.pass(.milliseconds(1))
        bench.receive("data: 2\n\n")
        #expect(bench.takeReads() == 0)
        bench.pass(.milliseconds(3))
        #expect(bench.takeReads() == 0)
        bench.pass(.milliseconds(1))
        #expect(bench.takeReads() == 1)
        bench.receive("data: 3\n\ndata: 4\n\n")
        #expect(bench.takeReads() == 0, "those had been waiting")
        bench.pass(BurstRest.length)
        #expect(bench.takeReads() == 1)
        bench.pass(BurstRest.length)
        bench.receive("data: 5\n\n")
        #expect(bench.takeReads() == 1)
    }

    @Test("slow events, and an answer that has shown its finish, are read as they come")
    func noRest() throws {
        let bench = try ReadBench()
        for event in 0..<10 {
            bench.pass(BurstRest.length)
            bench.receive("data: \(event)\n\n")
        }
        #expect(bench.takeReads() == 11)
        bench.prove()
        bench.receive("data: finish\n\n")
        bench.receive("data: [DONE]\n\n")
        #expect(bench.takeReads() == 2)
    }

    @Test("a client that takes no more and a rest end in either order, and the read comes after both")
    func pausedToo() throws {
        let bench = try ReadBench()
        bench.receive("data: 1\n\n")
        bench.receive("data: 2\n\n")
        _ = bench.takeReads()
        bench.connection.pause(true)
        bench.pass(BurstRest.length)
        #expect(bench.takeReads() == 0)
        bench.connection.pause(false)
        #expect(bench.takeReads() == 1)
        bench.receive("data: 3\n\n")
        bench.connection.pause(true)
        bench.connection.pause(false)
        #expect(bench.takeReads() == 0)
        bench.pass(BurstRest.length)
        #expect(bench.takeReads() == 1)
    }

    @Test("a worker's end during a rest is heard at once, and the rest then ends in nothing")
    func endDuringRest() throws {
        let bench = try ReadBench()
        bench.receive("data: 1\n\n")
        bench.receive("data: 2\n\n")
        bench.channel.pipeline.fireErrorCaught(IOError(errnoCode: ECONNRESET, reason: "read"))
        bench.channel.embeddedEventLoop.run()
        #expect(bench.failures == 1)
        _ = bench.takeReads()
        bench.pass(BurstRest.length)
        #expect(bench.takeReads() == 0)
    }
}
