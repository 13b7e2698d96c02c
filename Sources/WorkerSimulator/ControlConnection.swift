import Determinism
import NIOCore
import NIOHTTP1
import SimulatedWorker

/// The control port: questions and orders for the simulation, answered even while the worker itself hangs.
final class ControlConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    static let bodyBytesMax = 64 << 10

    private let host: SimulatorHost
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(host: SimulatorHost) { self.host = host }

    struct Reply {
        var status = HTTPResponseStatus.ok
        var value: JSONValue

        static func error(_ status: HTTPResponseStatus, _ message: String) -> Reply {
            Reply(status: status, value: .members(["error": .string(message)]))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let part):
            guard body.count + part.readableBytes <= Self.bodyBytesMax else { return context.close(promise: nil) }
            body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head else { return }
            self.head = nil
            send(reply(head.method, head.uri), head, context)
        }
    }

    private func send(_ reply: Reply, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let bytes = reply.value.bytes
        let fields: HTTPHeaders = ["content-type": "application/json", "content-length": String(bytes.count)]
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: reply.status, headers: fields))),
            promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
        let written = context.eventLoop.makePromise(of: Void.self)
        let channel = context.channel
        if !head.isKeepAlive { written.futureResult.whenComplete { _ in channel.close(promise: nil) } }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }

    func reply(_ method: HTTPMethod, _ uri: String) -> Reply {
        let parts = uri.split(separator: "?", maxSplits: 1)
        let path = String(parts.first ?? "")
        let order = (try? JSONValue(body)) ?? (body.isEmpty ? .members([:]) : .null)
        guard case .object = order else { return .error(.badRequest, "the body must be a JSON object") }
        switch (method, path) {
        case (.GET, "/_sim/state"):
            host.run { machine, now in machine.advance(to: now) }
            return Reply(value: host.machine.stateReport())
        case (.GET, "/_sim/journal"):
            return journal(after: parts.count > 1 ? String(parts[1]) : "")
        case (.POST, "/_sim/faults"): return addFault(order)
        case (.DELETE, "/_sim/faults"):
            _ = host.run { machine, now in machine.removeFault(nil, at: now) }
            return Reply(value: .members(["removed": "all"]))
        case (.DELETE, _) where path.hasPrefix("/_sim/faults/"):
            guard let id = Int(path.dropFirst("/_sim/faults/".count)),
                host.run({ machine, now in machine.removeFault(id, at: now) })
            else { return .error(.notFound, "there is no fault with this id") }
            return Reply(value: .members(["removed": .integer(id)]))
        case (.POST, "/_sim/set"): return set(order)
        case (.POST, "/_sim/advance"): return advance(order)
        case (.POST, "/_sim/restart"): return restart(order)
        case (.POST, "/_sim/terminate"):
            host.terminate()
            return Reply(value: .members(["terminated": .bool(true)]))
        // macmon serves its figures under /json.
        case (.GET, "/_sim/telemetry"), (.GET, "/json"):
            host.run { machine, now in machine.advance(to: now) }
            return Reply(value: host.machine.telemetry())
        case (.POST, "/_sim/reset"):
            host.run { machine, now in machine.reset(at: now) }
            return Reply(value: .members(["reset": .bool(true)]))
        default:
            return .error(
                .notFound,
                "known: GET /_sim/state, GET /_sim/journal?after=N, GET /_sim/telemetry, POST and DELETE /_sim/faults, "
                    + "DELETE /_sim/faults/ID, POST /_sim/set, /_sim/advance, /_sim/restart, /_sim/terminate, /_sim/reset"
            )
        }
    }

    private func journal(after query: String) -> Reply {
        var after = 0
        if query.hasPrefix("after=") {
            guard let number = Int(query.dropFirst("after=".count)) else {
                return .error(.badRequest, "after must be the number of an entry")
            }
            after = number
        }
        let machine = host.machine
        let entries = machine.journal.entries(after: after).map { machine.report($0) }
        return Reply(value: .members(["end": .integer(machine.journal.lastNumber), "entries": .array(entries)]))
    }

    private func addFault(_ order: JSONValue) -> Reply {
        let added: Result<Int?, ScriptedFault.Unreadable> = host.run { machine, now in
            Result { () throws(ScriptedFault.Unreadable) in machine.add(try ScriptedFault(order), at: now) }
        }
        switch added {
        case .success(let id?): return Reply(value: .members(["id": .integer(id)]))
        case .success(nil): return .error(.conflict, "there are \(WorkerMachine.faultsMax) faults already")
        case .failure(let problem): return .error(.badRequest, problem.message)
        }
    }

    private func set(_ order: JSONValue) -> Reply {
        do throws(ScriptedFault.Unreadable) {
            let setting = try MachineSetting(order)
            host.run { machine, now in machine.set(setting, at: now) }
            return Reply(value: host.machine.stateReport())
        } catch {
            return .error(.badRequest, error.message)
        }
    }

    private func advance(_ order: JSONValue) -> Reply {
        guard let ms = order["ms"]?.number, ms >= 0, ms <= 1e9 else {
            return .error(.badRequest, "ms must be a number of milliseconds")
        }
        guard host.advance(.milliseconds(ms)) else {
            return .error(.conflict, "this worker's time passes by itself; start it with --clock manual")
        }
        return Reply(value: .members(["now_ms": .real(Double(host.machine.now.nanoseconds) / 1e6)]))
    }

    /// A new process. With `ms` the port stays closed that long; with `cold` models must load first.
    private func restart(_ order: JSONValue) -> Reply {
        let pause = order["ms"]?.number ?? 0
        guard (0...1e9).contains(pause) else { return .error(.badRequest, "ms must be a number of milliseconds") }
        let isCold = order["cold"]?.flag ?? false
        host.run { machine, now in
            guard !isCold else { return machine.restart(at: now, after: .milliseconds(pause)) }
            machine.restart(at: now)
            guard pause > 0 else { return }
            var fault = ScriptedFault(kind: .closeListener)
            fault.lasts = .milliseconds(pause)
            _ = machine.add(fault, at: now)
        }
        host.closeAllConnections()
        return Reply(value: .members(["restarted": .bool(true)]))
    }
}
