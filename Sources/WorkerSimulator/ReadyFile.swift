import Foundation
import SimulatedWorker

/// Tells whoever started the workers where they listen, in one atomic step: the file is whole or absent.
package enum ReadyFile {
    package static func write(_ server: SimulatorServer, to path: String) throws(SimulatorServer.CannotListen) {
        try write(ports(server) + [pid], path)
    }

    /// `{"pid": …, "workers": [{"name": …, "port": …, "control_port": …}, …]}`
    package static func write(_ fleet: RunningFleet, to path: String) throws(SimulatorServer.CannotListen) {
        let workers = zip(fleet.names, fleet.servers).map { name, server in
            JSONValue.object([.init(name: "name", value: .string(name))] + ports(server))
        }
        try write([pid, .init(name: "workers", value: .array(workers))], path)
    }

    private static var pid: JSONValue.Member {
        .init(name: "pid", value: .integer(Int(ProcessInfo.processInfo.processIdentifier)))
    }

    private static func ports(_ server: SimulatorServer) -> [JSONValue.Member] {
        let port = JSONValue.Member(name: "port", value: .integer(server.port))
        return [port] + (server.controlPort.map { [.init(name: "control_port", value: .integer($0))] } ?? [])
    }

    private static func write(
        _ members: [JSONValue.Member], _ path: String
    ) throws(SimulatorServer.CannotListen) {
        do {
            try Data(JSONValue.object(members).bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw SimulatorServer.CannotListen(description: "--ready-file \(path) cannot be written: \(error)")
        }
    }
}
