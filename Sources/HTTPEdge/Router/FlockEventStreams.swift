/// Server-sent events of the flock. Each watcher holds one of few places and gives it back when it goes; a replica that
/// drains ends them, since a watcher would otherwise hold its stop up.
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

final class FlockEventStreams: Sendable {
    static let countMax = 16
    /// Events that wait for a slow reader.
    static let waitingMax = 256
    /// A comment this often, so that no proxy thinks the connection dead and a reader that is gone is noticed.
    static let commentEverySeconds = 15

    private let count = Atomic(0)

    /// Nil when all places are taken.
    func take() -> Place? {
        guard count.add(1, ordering: .relaxed).newValue <= Self.countMax else {
            count.subtract(1, ordering: .relaxed)
            return nil
        }
        return Place(streams: self)
    }

    final class Place: Sendable {
        private let streams: FlockEventStreams

        init(streams: FlockEventStreams) { self.streams = streams }
        deinit { streams.count.subtract(1, ordering: .relaxed) }

        func response(of events: AsyncStream<FlockEvent>, isEnding: @escaping @Sendable () -> Bool) -> Response {
            let body = ResponseBody { writer in
                // So that the place is given back when the body ends, however it ends.
                defer { withExtendedLifetime(self) {} }
                try await Self.write(events, isEnding: isEnding, to: &writer)
                try await writer.finish(nil)
            }
            return Response(
                status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: body)
        }

        @concurrent private static func write(
            _ events: AsyncStream<FlockEvent>, isEnding: @escaping @Sendable () -> Bool,
            to writer: inout any ResponseBodyWriter
        ) async throws {
            let (pieces, feed) = AsyncStream.makeStream(
                of: ByteBuffer.self, bufferingPolicy: .bufferingNewest(waitingMax))
            // The head goes out now, not with the first event.
            try await writer.write(ByteBuffer(string: ": watching\n\n"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask {
                    for await event in events { feed.yield(event.frame) }
                    feed.finish()
                }
                group.addTask {
                    var seconds = 0
                    while !isEnding() {
                        try await Task.sleep(for: .seconds(1))
                        seconds += 1
                        if seconds.isMultiple(of: commentEverySeconds) {
                            feed.yield(ByteBuffer(string: ": still here\n\n"))
                        }
                    }
                    feed.finish()
                }
                for await piece in pieces { try await writer.write(piece) }
            }
        }
    }
}

extension FlockEvent {
    var frame: ByteBuffer {
        var buffer = ByteBuffer(string: "event: \(kind)\ndata: ")
        buffer.writeBytes(bytes)
        buffer.writeString("\n\n")
        return buffer
    }
}
