/// Orders come as lines of JSON over TCP on loopback, each answered by a line: `{"ok":true,…}`, or what was wrong with it.
import Foundation
import NIOCore
import NIOPosix

final class ControlConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    static let lineBytesMax = 65_536

    private let board: Switchboard
    private var line: [UInt8] = []

    init(_ board: Switchboard) { self.board = board }

    static func listen(_ port: Int, _ board: NIOLoopBound<Switchboard>, _ loop: any EventLoop) async throws
        -> any Channel
    {
        try await ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ControlConnection(board.value))
                }
            }.bind(host: "127.0.0.1", port: port).get()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        for byte in unwrapInboundIn(data).readableBytesView {
            guard byte == UInt8(ascii: "\n") else {
                guard line.count < Self.lineBytesMax else { return context.close(promise: nil) }
                line.append(byte)
                continue
            }
            var answer = context.channel.allocator.buffer(bytes: board.answer(to: line))
            answer.writeInteger(UInt8(ascii: "\n"))
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
            line.removeAll(keepingCapacity: true)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

extension Switchboard {
    func answer(to line: [UInt8]) -> [UInt8] {
        let answer: [String: Any]
        do throws(RelayOrder.Mistake) {
            answer = try obey(RelayOrder(line: line))
        } catch {
            answer = ["ok": false, "error": error.sentence]
        }
        let data = try? JSONSerialization.data(withJSONObject: answer, options: [.sortedKeys, .withoutEscapingSlashes])
        return data.map { Array($0) } ?? []
    }

    private func obey(_ order: RelayOrder) throws(RelayOrder.Mistake) -> [String: Any] {
        switch order {
        case .link(let from, let to, let both, let datagrams, let streams):
            let source = try place(from)
            let target = try place(to)
            set(from: source, to: target, datagrams, streams)
            if both { set(from: target, to: source, datagrams, streams) }
            return ["ok": true]
        case .heal:
            set(from: nil, to: nil, DatagramFaults.none, StreamFaults.none)
            return ["ok": true]
        case .bind(let name, let endpoint):
            guard let address = try? SocketAddress(ipAddress: endpoint.host, port: endpoint.port) else {
                throw .init(sentence: "\"\(endpoint.host)\" is no IP address")
            }
            guard bind(name, address) else { throw .init(sentence: "there is no replica \"\(name)\"") }
            return ["ok": true]
        case .stats: return stats
        case .record(true):
            recording.start()
            return ["ok": true]
        case .record(false):
            recording.stop()
            return ["ok": true, "packets": recording.count, "bytes": recording.bytes]
        case .replay(let speed, let name):
            let target = try name.map { name throws(RelayOrder.Mistake) in
                guard let target = fronts.firstIndex(where: { $0.name == name }) else {
                    throw RelayOrder.Mistake(sentence: "there is no replica \"\(name)\"")
                }
                return target
            }
            return ["ok": true, "packets": replay(speed: speed, to: target)]
        }
    }

    /// Nil for all.
    private func place(_ name: String) throws(RelayOrder.Mistake) -> Int? {
        if name == "*" { return nil }
        if name == "other" { return other }
        guard let index = fronts.firstIndex(where: { $0.name == name }) else {
            throw .init(sentence: "there is no replica \"\(name)\"")
        }
        return index
    }

    private var stats: [String: Any] {
        var rows: [[String: Any]] = []
        for source in fronts.indices {
            for target in fronts.indices {
                let counts = links[link(source, target)].counts
                guard counts != Counts() else { continue }
                var row: [String: Any] = [
                    "from": fronts[source].name, "to": fronts[target].name, "passed": counts.passed,
                    "bytes": counts.bytes, "duplicated": counts.duplicated, "damaged": counts.damaged,
                    "delayed": counts.delayed,
                ]
                for (reason, count) in zip(PacketLottery.Reason.allCases, counts.dropped) {
                    row["dropped_\(reason.rawValue)"] = count
                }
                rows.append(row)
            }
        }
        return [
            "ok": true, "links": rows, "strangers": totals.strangers, "overflowed": totals.overflowed,
            "replayed": totals.replayed, "recorded": recording.count, "streams": totals.streams,
            "streams_open": pairs.count, "streams_refused": totals.streamsRefused, "streams_reset": totals.streamsReset,
            "listening": fronts.filter { $0.listener != nil }.map(\.name),
        ]
    }
}
