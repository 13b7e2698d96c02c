package import Determinism

/// What may be set while a worker runs: `{"slots": 2, "heat": 0.6, "memory": "refuse",
/// "version": "1.2"}`.
package struct MachineSetting: Sendable, Equatable {
    package var slots: Int?
    package var heat: Double?
    package var memory: MemoryPolicy?
    package var version: String?
    static let versionBytesMax = 64

    package init(_ order: JSONValue) throws(ScriptedFault.Unreadable) {
        for member in order.members ?? [] {
            switch member.name {
            case "slots":
                guard let slots = member.value.whole, (1...WorkerMachine.slotsMax).contains(slots) else {
                    throw .init(message: "slots must be from 1 to \(WorkerMachine.slotsMax)")
                }
                self.slots = slots
            case "heat":
                guard let heat = member.value.number, (0.01...1).contains(heat) else {
                    throw .init(message: "heat must be from 0.01 to 1: the share of its rates that a hot chip keeps")
                }
                self.heat = heat
            case "memory":
                guard let memory = member.value.text.flatMap(MemoryPolicy.init) else {
                    let known = MemoryPolicy.allCases.map(\.rawValue).joined(separator: ", ")
                    throw .init(message: "memory must be one of: \(known)")
                }
                self.memory = memory
            case "version":
                guard let version = member.value.text, (1...Self.versionBytesMax).contains(version.utf8.count) else {
                    throw .init(message: "version must be text of 1 to \(Self.versionBytesMax) bytes")
                }
                self.version = version
            default: throw .init(message: "\(member.name): unknown; slots, heat, memory and version can be set")
            }
        }
    }
}

extension WorkerMachine {
    package mutating func set(_ setting: MachineSetting, at now: Instant) {
        set(
            slots: setting.slots, heat: setting.heat, memoryPolicy: setting.memory, version: setting.version, at: now)
    }
}
