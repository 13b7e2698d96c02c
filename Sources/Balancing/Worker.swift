/// A worker and its models, as configuration and probes know them.
import Determinism

package struct WorkerModel: Equatable, Sendable {
    /// What clients ask for.
    package let name: String
    /// What this worker calls it.
    package let upstreamName: String
    package let contextTokens: Int?
    package let vocabulary: Int?
    /// Tokens of an answer whose client set no limit.
    package let maxOutputTokens: Int?
    package let parametersBillions: Double?
    /// Of a mixture of experts: what one token reads.
    package let activeBillions: Double?
    package let bits: Int?
    /// What a token costs in memory.
    package let layers: Int?
    package let kvHeads: Int?
    package let headDim: Int?
    /// Of the weights; nil: computed from parameters and bits.
    package let bytes: Int?

    package init(
        name: String, upstreamName: String, contextTokens: Int? = nil, vocabulary: Int? = nil,
        maxOutputTokens: Int? = nil, parametersBillions: Double? = nil, activeBillions: Double? = nil, bits: Int? = nil,
        layers: Int? = nil, kvHeads: Int? = nil, headDim: Int? = nil, bytes: Int? = nil
    ) {
        self.name = name
        self.upstreamName = upstreamName
        self.contextTokens = contextTokens
        self.vocabulary = vocabulary
        self.maxOutputTokens = maxOutputTokens
        self.parametersBillions = parametersBillions
        self.activeBillions = activeBillions
        self.bits = bits
        self.layers = layers
        self.kvHeads = kvHeads
        self.headDim = headDim
        self.bytes = bytes
    }
}

/// Whether plain answers of a worker are asked for as streams and put together by the gateway.
package enum PlainAssembly: String, CaseIterable, Sendable {
    /// For kinds that compute on when the client of a plain answer has left.
    case auto
    case always
    case never
}

/// An object, since the lane hands it on often and never changes it.
package final class Worker: Sendable, CustomStringConvertible {
    package let id: WorkerID
    package let index: WorkerIndex
    package let kind: WorkerKind
    package let host: String
    package let port: Int
    package let useTLS: Bool
    package let apiKey: String?
    /// What stands in the `Host` field of requests to it.
    package let hostHeader: String
    package let weight: Double
    /// Exchanges that may run on it at a time.
    package let slots: Int
    package let chip: Chip?
    package let memoryGB: Int?
    /// What of it the GPU may have, by the operator's word.
    package let gpuMemoryGB: Int?
    /// Where a monitor of its Mac answers in macmon's JSON.
    package let telemetryURL: String?
    package let models: [WorkerModel]
    package let plainAssembly: PlainAssembly
    /// Its name on rings: the same on every replica.
    package let ringKey: UInt64

    package init(
        id: WorkerID, index: WorkerIndex, kind: WorkerKind, host: String, port: Int, useTLS: Bool, apiKey: String?,
        hostHeader: String, weight: Double, slots: Int, chip: Chip?, memoryGB: Int?, models: [WorkerModel],
        plainAssembly: PlainAssembly = .auto, gpuMemoryGB: Int? = nil, telemetryURL: String? = nil
    ) {
        self.id = id
        self.index = index
        self.kind = kind
        self.host = host
        self.port = port
        self.useTLS = useTLS
        self.apiKey = apiKey
        self.hostHeader = hostHeader
        self.weight = weight
        self.slots = slots
        self.chip = chip
        self.memoryGB = memoryGB
        self.gpuMemoryGB = gpuMemoryGB
        self.telemetryURL = telemetryURL
        self.models = models
        self.plainAssembly = plainAssembly
        ringKey = StableHash64.hash(id.rawValue)
    }

    /// The same worker with the models it told.
    package func with(models: [WorkerModel]) -> Worker {
        Worker(
            id: id, index: index, kind: kind, host: host, port: port, useTLS: useTLS, apiKey: apiKey,
            hostHeader: hostHeader, weight: weight, slots: slots, chip: chip, memoryGB: memoryGB, models: models,
            plainAssembly: plainAssembly, gpuMemoryGB: gpuMemoryGB, telemetryURL: telemetryURL)
    }
    /// Without the key, since a worker may end up in a log line.
    package var description: String { "\(id) (\(kind.rawValue) at \(host):\(port))" }

    /// What models may fill. Nil when its memory is not known.
    package var modelBytesMax: Double? {
        MemoryForecast.limit(memoryGB: memoryGB, configured: gpuMemoryGB).map { $0 * 1e9 }
    }
}
