import NIOCore
import NIOPosix
import Synchronization

/// A small HTTP server on a loopback port: one answer per connection, whatever a test's script says.
final class ScriptedServer: Sendable {
    struct Asked: Sendable {
        let line: String
        let head: String
        let body: String
        /// Requests for a token up to this one.
        var canaries = 0
        func field(_ name: String) -> String? {
            for line in head.split(separator: "\r\n").dropFirst() {
                let halves = line.split(separator: ":", maxSplits: 1)
                if halves.count == 2, halves[0].lowercased() == name { return String(halves[1].drop { $0 == " " }) }
            }
            return nil
        }
    }

    enum Reply: Sendable {
        case status(Int, String)
        /// Accepts the question and says nothing.
        case silence
        /// Closes without a word.
        case hangUp
    }

    typealias Script = @Sendable (Asked) -> Reply

    private let seen = Mutex<[Asked]>([])
    private let script: Mutex<Script>
    private let listener = Mutex<(any Channel)?>(nil)
    let port: Int

    var asked: [Asked] { seen.withLock { $0 } }
    var lines: [String] { asked.map(\.line) }

    func change(_ next: @escaping Script) { script.withLock { $0 = next } }

    private init(_ channel: any Channel, _ box: Box) {
        port = channel.localAddress?.port ?? 0
        script = Mutex(box.first)
        listener.withLock { $0 = channel }
        box.server.withLock { $0 = self }
    }

    /// Where connections find the server, which exists only after it is bound.
    private final class Box: Sendable {
        let first: Script
        let server = Mutex<ScriptedServer?>(nil)
        init(_ first: @escaping Script) { self.first = first }
    }

    static func start(_ script: @escaping Script) async throws -> ScriptedServer {
        let box = Box(script)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Handler { asked in
                            guard let server = box.server.withLock({ $0 }) else { return .hangUp }
                            var asked = asked
                            asked.canaries = server.seen.withLock { seen in
                                seen.append(asked)
                                return seen.count { $0.line.hasPrefix("POST") }
                            }
                            let script = server.script.withLock { $0 }
                            return script(asked)
                        })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ScriptedServer(channel, box)
    }

    /// Nobody listens on the port any more.
    func stop() async throws {
        let channel = listener.withLock { kept -> (any Channel)? in
            defer { kept = nil }
            return kept
        }
        try await channel?.close().get()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var received = ""
        private var isAnswered = false
        private let answer: (Asked) -> Reply

        init(_ answer: @escaping (Asked) -> Reply) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            received += String(decoding: bytes.readableBytesView, as: UTF8.self)
            guard !isAnswered, let asked = whole() else { return }
            isAnswered = true
            switch answer(asked) {
            case .silence: break
            case .hangUp: context.close(promise: nil)
            case .status(let status, let body):
                let head = "HTTP/1.1 \(status) X\r\ncontent-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n"
                context.writeAndFlush(NIOAny(ByteBuffer(string: head + body)), promise: nil)
            }
        }

        private func whole() -> Asked? {
            let parts = received.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            let head = String(parts[0])
            let line = head.split(separator: " HTTP/").first.map(String.init) ?? ""
            let asked = Asked(line: line, head: head, body: String(parts[1]))
            let length = asked.field("content-length").flatMap { Int($0) } ?? 0
            return asked.body.utf8.count >= length ? asked : nil
        }
    }
}
