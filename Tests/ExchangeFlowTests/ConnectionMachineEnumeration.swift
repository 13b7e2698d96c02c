import Determinism
import ExchangeFlow
import Testing

/// Every story of a length, told once: two stories that lead to the same world continue alike, so only worlds not yet
/// seen at a depth are told on. That is the whole enumeration, without the repetitions.
@Suite("ConnectionMachine, enumerated")
struct ConnectionMachineEnumeration {
    private struct Found: Error, CustomStringConvertible {
        let description: String
    }

    private func enumerate(
        _ start: ConnectionWorld, depth: Int
    ) throws -> (worlds: Int, answered: Int, endings: Set<ConnectionMachine.Stage>) {
        var layer: [ConnectionWorld: [ConnectionWorld.Event]] = [start: []]
        var worlds = 0
        var answered = 0
        var endings: Set<ConnectionMachine.Stage> = []
        let faults = try Fault.collected {
            for _ in 0..<depth {
                var next: [ConnectionWorld: [ConnectionWorld.Event]] = [:]
                for (world, story) in layer {
                    for event in ConnectionWorld.Event.allCases where world.isPossible(event) {
                        var copy = world
                        copy.play(event)
                        if let violation = copy.violation {
                            let told = (story + [event]).map(\.rawValue).joined(separator: " → ")
                            throw Found(description: "\(violation) after \(told)")
                        }
                        answered = max(answered, copy.answered.count)
                        endings.insert(copy.machine.stage)
                        if next[copy] == nil { next[copy] = story + [event] }
                    }
                }
                worlds += next.count
                layer = next
            }
        }
        if let fault = faults.first { throw Found(description: fault) }
        return (worlds, answered, endings)
    }

    @Test(
        "every sequence of six events keeps L1, L2, L3, L7 and L9 over HTTP/1",
        arguments: ConnectionLimits.HalfClose.allCases)
    func http1(halfClose: ConnectionLimits.HalfClose) throws {
        let seen = try enumerate(ConnectionWorld(.http1, halfClose: halfClose), depth: 6)
        #expect(seen.worlds > 10_000)
        #expect(seen.answered >= 2)
        #expect(seen.endings == [.idle, .lane, .routed, .closing, .closed])
    }

    @Test("every sequence of six events keeps them on an HTTP/2 stream")
    func http2() throws {
        let seen = try enumerate(ConnectionWorld(.http2, halfClose: .abort), depth: 6)
        #expect(seen.answered == 1)
        #expect(seen.endings == [.idle, .lane, .routed, .closing, .closed])
    }

    @Test("after a whole exchange, every five events more keep them too")
    func afterOne() throws {
        var world = ConnectionWorld(.http1, halfClose: .finish)
        for event in [ConnectionWorld.Event.laneHead, .end, .routedHead, .end, .laneHead] { world.play(event) }
        _ = try enumerate(world, depth: 5)
    }
}
