import NIOHTTP1
import SimulatedWorker

/// exo's pages: the node, the catalogue, and one state that holds instances, runners, tasks and memory. Models are served
/// from instances, which are placed and deleted by order.
extension InformationPages {
    /// The name under which the node knows itself; a fault gives it to every worker.
    private var nodeID: String {
        machine.holds(.duplicateIdentity) ? "12D3KooWSimTwin" : "12D3KooWSim\(settings.seed)"
    }

    func exo(_ method: HTTPMethod, _ path: String, _ query: String, _ body: [UInt8]) -> Page {
        switch (method, path) {
        case (.GET, "/node_id"): return Page(.string(nodeID))
        case (.GET, "/state"): return state()
        // Without the filter it is the whole catalogue, of which most is nowhere near this Mac.
        case (.GET, "/v1/models"), (.GET, "/models"):
            let catalogue = [SimulatedModel(name: "exo-catalogue-405b", parametersBillions: 405)]
            return models(settings.models + (query.contains("status=downloaded") ? [] : catalogue))
        case (.POST, "/place_instance"):
            guard let model = position(((try? JSONValue(body))?["model_id"])?.text) else {
                return Page(status: 404, body: ErrorText.detail("Model not found"))
            }
            return Page(
                .members([
                    "message": "Command received.", "command_id": .string("place-\(model)"),
                    "model_card": .members(["model_id": .string(settings.models[model].name)]),
                ]), order: .load(model))
        // Says 200 also when the time is over: only the state tells what has become of it.
        case (.GET, "/instance/await"), (.POST, "/instance/await"): return Page(.members(["message": "Done."]))
        case (.DELETE, _) where path.hasPrefix("/instance/"):
            let instance = path.dropFirst("/instance/".count)
            guard let model = settings.models.indices.first(where: { instanceID($0) == instance }), isPlaced(model)
            else {
                return Page(status: 404, body: ErrorText.detail("Instance not found"))
            }
            return Page(
                .members(["message": "Command received.", "command_id": .string("delete-\(model)")]),
                order: .unload(model))
        // By the id that an answer carries.
        case (.POST, _) where path.hasPrefix("/v1/cancel/chatcmpl-sim"):
            guard let number = Int(path.dropFirst("/v1/cancel/chatcmpl-sim".count)) else { return notFound }
            return Page(
                .members(["message": "Command received.", "command_id": .string("cancel-\(number)")]),
                order: .cancel(ExchangeID(rawValue: number)))
        default: return notFound
        }
    }

    private func instanceID(_ model: Int) -> String { "instance-\(settings.models[model].name)" }
    private func isPlaced(_ model: Int) -> Bool { isResident(model) || machine.isLoading(model) }

    private func state() -> Page {
        let placed = settings.models.indices.filter(isPlaced)
        let memory = machine.memory
        let total = Int(settings.memoryGigabytes * 1e9)
        return Page(
            .members([
                "instances": .object(
                    placed.map {
                        .init(
                            name: instanceID($0),
                            value: .members([
                                "MlxRingInstance": .members([
                                    "instanceId": .string(instanceID($0)),
                                    "shardAssignments": .members([
                                        "modelId": .string(settings.models[$0].name),
                                        "nodeToRunner": .members([nodeID: .string("runner-\($0)")]),
                                    ]),
                                ])
                            ]))
                    }),
                "runners": .object(
                    placed.map {
                        .init(
                            name: "runner-\($0)",
                            value: !isResident($0)
                                ? .members(["RunnerLoading": .members(["layersLoaded": .integer(0)])])
                                : machine.runningCount($0) > 0
                                    ? .members(["RunnerRunning": .object([])])
                                    : .members(["RunnerReady": .object([])]))
                    }),
                "tasks": .object(placed.flatMap { tasks($0) }),
                "nodeMemory": .members([
                    nodeID: .members([
                        "ramTotal": .members(["inBytes": .integer(total)]),
                        "ramAvailable": .members([
                            "inBytes": .integer(max(0, total - Int(memory.used * 1e9)))
                        ]),
                        "swapTotal": .members(["inBytes": .integer(Int(memory.swapped * 1e9))]),
                        "swapAvailable": .members(["inBytes": .integer(0)]),
                    ])
                ]),
                "nodeSystem": .members([nodeID: system]),
            ]))
    }

    /// The figures of its monitor, under exo's own names.
    private var system: JSONValue {
        let monitor = machine.telemetry()
        return .members([
            "gpuUsage": monitor["gpu_usage"]?.items?.last ?? .real(0),
            "temp": monitor["temp"]?["gpu_temp_avg"] ?? .real(0), "sysPower": monitor["sys_power"] ?? .real(0),
            "pcpuUsage": monitor["pcpu_usage"]?.items?.last ?? .real(0),
            "ecpuUsage": monitor["ecpu_usage"]?.items?.last ?? .real(0),
        ])
    }

    private func tasks(_ model: Int) -> [JSONValue.Member] {
        let counts = [("Running", machine.runningCount(model)), ("Pending", machine.queuedCount(model))]
        return counts.flatMap { status, count in
            (0..<count).map { number in
                .init(
                    name: "task-\(model)-\(status)-\(number)",
                    value: .members([
                        "TextGeneration": .members([
                            "taskStatus": .string(status), "instanceId": .string(instanceID(model)),
                        ])
                    ]))
            }
        }
    }
}
