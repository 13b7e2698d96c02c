/// How much of its memory a Mac needs, before anybody measured it:
///
///     kv bytes  = 2 · layers · kv_heads · head_dim · 2 · tokens        keys and values of 16 bits
///     memory    = weights of what is in memory + kv(running + cached) + 2 GB
///     share     = memory / what the GPU may have
package enum MemoryForecast {
    /// The system's own.
    static let systemGigabytes = 2.0
    /// What macOS lets the GPU wire down of a Mac's memory: two thirds of a small one, three quarters of a large one.
    static let smallGigabytesMax = 36.0
    static let smallShare = 0.67
    static let largeShare = 0.75

    /// Gigabytes that the GPU may have; `configured`: `iogpu.wired_limit_mb`, by the operator's word.
    package static func limit(memoryGB: Int?, configured: Int?) -> Double? {
        if let configured { return Double(configured) }
        guard let memory = memoryGB.map(Double.init) else { return nil }
        return memory * (memory > smallGigabytesMax ? largeShare : smallShare)
    }

    /// `resident`: what is in memory; `tokens`: of prompts and answers that it keeps for them. Nil where the size of the
    /// models or of the memory is not declared: a guess would take a well worker out.
    package static func share(resident: [WorkerModel], tokens: Int, limit: Double?) -> Double? {
        guard let limit, limit > 0, !resident.isEmpty, resident.allSatisfy(\.tellsItsSize) else { return nil }
        let weights = resident.reduce(0) { $0 + $1.weightBytes } / 1e9
        let perToken = resident.map(\.cacheBytesPerToken).max() ?? 0
        return (weights + perToken * Double(max(0, tokens)) / 1e9 + systemGigabytes) / limit
    }
}

extension WorkerModel {
    var tellsItsSize: Bool { bytes != nil || parametersBillions != nil }

    /// Keys and values of one token; 0 where the shape is not declared.
    package var cacheBytesPerToken: Double {
        guard let layers, let kvHeads, let headDim else { return 0 }
        return 2 * Double(layers) * Double(kvHeads) * Double(headDim) * 2
    }
}
