import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import SimulatedWorker
import WorkerSimulator

/// A connection that shows the bytes as they are, since framing is what the tests look at.
final class WireClient: Sendable {
    private let channel: any Channel
    private let inbox: Inbox

    private final class Inbox: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private struct State {
            var text = ""
            var isClosed = false
            var waiter: (done: @Sendable (String, Bool) -> Bool, promise: EventLoopPromise<String>)?
        }
        private let state = NIOLockedValueBox(State())

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let part = String(buffer: unwrapInboundIn(data))
            look { $0.text += part }
        }

        func channelInactive(context: ChannelHandlerContext) { look { $0.isClosed = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func wait(_ done: @escaping @Sendable (String, Bool) -> Bool, _ promise: EventLoopPromise<String>) {
            look { $0.waiter = (done, promise) }
        }

        private func look(_ change: (inout State) -> Void) {
            let ready: (EventLoopPromise<String>, String)? = state.withLockedValue { state in
                change(&state)
                guard let waiter = state.waiter, waiter.done(state.text, state.isClosed) || state.isClosed else {
                    return nil
                }
                state.waiter = nil
                return (waiter.promise, state.text)
            }
            if let (promise, text) = ready { promise.succeed(text) }
        }
    }

    init(_ port: Int) async throws {
        let inbox = Inbox()
        channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { $0.pipeline.addHandler(inbox) }
            .connect(host: "127.0.0.1", port: port).get()
        self.inbox = inbox
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }

    func post(_ path: String, _ body: String, fields: String = "") async throws {
        try await send("POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)")
    }

    /// Everything received, as soon as it contains this; whatever came, if the connection ends before.
    func read(until mark: String) async throws -> String { try await received { text, _ in text.contains(mark) } }

    func readToEnd() async throws -> String { try await received { _, isClosed in isClosed } }

    private func received(_ done: @escaping @Sendable (String, Bool) -> Bool) async throws -> String {
        let promise = channel.eventLoop.makePromise(of: String.self)
        inbox.wait(done, promise)
        return try await promise.futureResult.get()
    }

    func close() async throws { try await channel.close() }
}

/// A worker for the length of one test.
func withWorker(
    _ flavor: Flavor, timeScale: Double = 0, manual: Bool = false, slots: Int? = nil, apiKey: String? = nil,
    _ body: (SimulatorServer) async throws -> Void
) async throws {
    var settings = SimulatorSettings(chip: ChipFigures.named("M2 Ultra")!)
    settings.flavor = flavor
    settings.models = [SimulatedModel(name: "llama-7b", parametersBillions: 7)]
    // An instant worker takes no time by any clock, so a clock that is turned by hand needs durations.
    settings.timeScale = manual ? 1 : timeScale
    settings.isManual = manual
    settings.slots = slots
    settings.apiKey = apiKey
    settings.controlPort = 0
    let server = try await SimulatorServer.start(settings)
    do {
        try await body(server)
    } catch {
        await server.stop()
        throw error
    }
    await server.stop()
}

/// One question to the control port.
func control(_ server: SimulatorServer, _ method: String, _ path: String, _ body: String = "") async throws -> JSONValue
{
    let client = try await WireClient(server.controlPort!)
    try await client.send(
        "\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    )
    let text = try await client.readToEnd()
    let start = text.range(of: "\r\n\r\n")!.upperBound
    return try JSONValue(Array(text[start...].utf8))
}

let hello = #"{"model":"llama-7b","max_tokens":3,"messages":[{"role":"user","content":"hello"}]}"#
let helloStream = #"{"model":"llama-7b","max_tokens":3,"stream":true,"messages":[{"role":"user","content":"hello"}]}"#
let chatPath = "/v1/chat/completions"
