import Foundation
import SimulatedWorker

/// Tells whoever started the worker where it listens, in one atomic step: the file is whole or absent.
package enum ReadyFile {
    package static func write(_ server: SimulatorServer, to path: String) throws(SimulatorServer.CannotListen) {
        var members: [JSONValue.Member] = [.init(name: "port", value: .integer(server.port))]
        if let control = server.controlPort { members.append(.init(name: "control_port", value: .integer(control))) }
        members.append(.init(name: "pid", value: .integer(Int(ProcessInfo.processInfo.processIdentifier))))
        do {
            try Data(JSONValue.object(members).bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw SimulatorServer.CannotListen(description: "--ready-file \(path) cannot be written: \(error)")
        }
    }
}
