import Determinism
import ExchangeFlow
import HTTPEdge
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import UpstreamLane

@Suite("LaneHandler: the client's going")
struct LaneHandlerGoneTests {
    enum Phase: CaseIterable { case collecting, waiting, headSent, answering }
    enum Going: CaseIterable { case fin, reset, inactive }

    private func bench(in phase: Phase, limits: ConnectionLimits = .init()) throws -> LaneBench {
        let bench = try LaneBench(limits: limits)
        try bench.receive(phase == .collecting ? chat + "Content-Length: 9\r\n\r\nabc" : post("abc"))
        let exchange = bench.exchanges[0]
        if phase == .headSent || phase == .answering { exchange.head() }
        if phase == .answering { exchange.client.sendBody(ByteBuffer(string: "part")) }
        exchange.client.sendFlush()
        return bench
    }

    @Test("cancels the exchange at once, once, in every phase", arguments: Phase.allCases, Going.allCases)
    func goes(phase: Phase, going: Going) throws {
        let bench = try bench(in: phase)
        defer { bench.finish() }
        switch going {
        case .fin: bench.fin()
        case .reset:
            bench.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
            bench.channel.pipeline.fireChannelInactive()
        case .inactive: bench.channel.pipeline.fireChannelInactive()
        }
        #expect(bench.exchanges[0].seen.filter { $0 == "gone" }.count == 1)
        #expect(bench.exchanges[0].seen.last == "gone")
        bench.pass(.seconds(3))
        // What only says that the socket is gone does not close the test's.
        #expect(!bench.isOpen || going != .fin)
    }

    @Test("under finish the answer is completed and the channel closed after it")
    func finish() throws {
        for phase in [Phase.waiting, .headSent, .answering] {
            let bench = try bench(in: phase, limits: .init(halfClose: .finish))
            defer { bench.finish() }
            bench.fin()
            #expect(bench.isOpen && !bench.exchanges[0].seen.contains("gone"))
            #expect(bench.router.events.isEmpty, "L9")
            if phase == .waiting { bench.exchanges[0].head() }
            bench.exchanges[0].finish()
            #expect(bench.takeOutput().hasSuffix("0\r\n\r\n"))
            #expect(!bench.isOpen)
            #expect(bench.socket.closes == ["all"])
        }
    }

    @Test("under finish a FIN inside the request body still cancels: it can never become whole")
    func finishIncomplete() throws {
        let bench = try bench(in: .collecting, limits: .init(halfClose: .finish))
        defer { bench.finish() }
        bench.fin()
        #expect(bench.exchanges[0].seen.contains("gone"))
    }

    @Test("under finish what was pipelined before the FIN is answered too")
    func finishPipelined() throws {
        let bench = try LaneBench(limits: .init(halfClose: .finish))
        defer { bench.finish() }
        bench.factory.whenWhole = { exchange in if exchange.path.hasSuffix("2") { exchange.answer("two") } }
        try bench.receive(
            post("a") + get + "POST /v1/completions?2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb")
        bench.fin()
        bench.exchanges[0].answer("one")
        #expect(bodies(bench.takeOutput()) == ["one", "routed", "two"])
        #expect(!bench.isOpen)
    }

    @Test("a FIN while idle is the framework's, which closes")
    func idle() throws {
        let bench = try LaneBench()
        defer { bench.finish() }
        bench.fin()
        #expect(bench.router.events == ["ChannelEvent.inputClosed"])
        bench.pass(.seconds(3))
        #expect(!bench.isOpen)
    }

    @Test("an idle connection is closed by its clock, and one with an open answer is not")
    func idleClock() throws {
        let bench = try LaneBench(limits: .init(idle: .seconds(20)))
        defer { bench.finish() }
        bench.pass(.seconds(15))
        try bench.receive(post("x"))
        bench.pass(.seconds(100))
        #expect(bench.isOpen)
        bench.exchanges[0].answer("slow")
        bench.pass(.seconds(19))
        #expect(bench.isOpen)
        bench.pass(.seconds(2))
        #expect(!bench.isOpen)
    }

    @Test("a body that stops arriving: 408 and close")
    func bodyGap() throws {
        let bench = try LaneBench(limits: .init(bodyGap: .seconds(5)))
        defer { bench.finish() }
        try bench.receive(chat + "Content-Length: 9\r\n\r\nabc")
        bench.channel.read()
        bench.pass(.seconds(4))
        #expect(bench.takeOutput() == "")
        bench.pass(.seconds(3))
        #expect(bench.takeOutput().hasPrefix("HTTP/1.1 408"))
        #expect(bench.exchanges[0].seen.last == "gone")
        #expect(bench.socket.closes == ["output"])
    }

    @Test("an exchange told that the client is full, and that it reads again")
    func writability() throws {
        let bench = try bench(in: .answering)
        defer { bench.finish() }
        bench.channel.isWritable = false
        bench.channel.pipeline.fireChannelWritabilityChanged()
        bench.channel.isWritable = true
        bench.channel.pipeline.fireChannelWritabilityChanged()
        #expect(bench.exchanges[0].seen.suffix(2) == ["full", "writable"])
    }

    @Test("reads withheld for an exchange are remembered and go on when it has room")
    func readGate() throws {
        let bench = try bench(in: .collecting)
        defer { bench.finish() }
        bench.channel.read()
        #expect(bench.socket.reads == 1)
        bench.exchanges[0].client.holdReads(true)
        bench.channel.read()
        bench.channel.read()
        #expect(bench.socket.reads == 1)
        bench.exchanges[0].client.holdReads(false)
        #expect(bench.socket.reads == 2)
    }
}
