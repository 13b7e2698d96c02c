/// What a kind of worker tells of its own load, where it tells it: one page beside the probes.
///
/// The page proves nothing: a worker without it, or with one that is switched off, is as well as any other.
package struct LoadPage: Sendable {
    package let path: String
    private let reading: @Sendable (inout JSONCursor) -> LoadReading

    init(path: String, reading: @escaping @Sendable (inout JSONCursor) -> LoadReading) {
        self.path = path
        self.reading = reading
    }

    /// Nil for a page that is not there, or is no JSON.
    package func read(status: Int, body: [UInt8]) -> LoadReading? {
        guard (200..<300).contains(status) else { return nil }
        return body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            let reading = reading(&cursor)
            return cursor.isBroken ? nil : reading
        }
    }
}

package struct LoadReading: Equatable, Sendable {
    /// More than any worker runs or queues; a larger number is no count.
    static let exchangesMax = 4_096

    /// Exchanges that it has taken on, whoever sent them, running and waiting; nil when it does not say.
    package var exchanges: Int?
    /// Gigabytes of the GPU's memory that its engine has in use.
    package var engineGigabytes: Double?
    /// What it tells of its Mac, or Macs.
    package var mac: MacReading?

    package init(exchanges: Int? = nil) { self.exchanges = exchanges }

    private mutating func add(_ count: Int) { exchanges = min((exchanges ?? 0) + count, Self.exchangesMax) }
}

// MARK: - Pages

extension LoadReading {
    /// `{"num_running":2,"num_waiting":0,…}`: what runs, what waits, under the kind's own names.
    static func counts(_ cursor: inout JSONCursor, _ names: StaticString...) -> LoadReading {
        var reading = LoadReading()
        cursor.forEachMember { cursor, key in
            guard names.contains(where: { cursor.isWord(key, $0) }) else { return cursor.skipValue() }
            if let count = cursor.integer() { reading.add(count) }
        }
        return reading
    }

    /// vllm-mlx's `/v1/status`: `{"num_running":2,"num_waiting":0,"metal":{"active_memory_gb":4.1,…},…}`; null without Metal.
    static func vllmStatus(_ cursor: inout JSONCursor) -> LoadReading {
        var page = cursor
        var reading = counts(&cursor, "num_running", "num_waiting")
        page.forEachMember { cursor, key in
            guard cursor.isWord(key, "metal") else { return cursor.skipValue() }
            cursor.forEachNumber { cursor, key, value in
                // Freed buffers that it keeps are not in use.
                if cursor.isWord(key, "active_memory_gb"), value >= 0 { reading.engineGigabytes = value }
            }
        }
        return reading
    }

    /// llama-server's `/slots`: `[{"id":0,"is_processing":true,…},…]`. What waits for a slot is not told.
    static func slots(_ cursor: inout JSONCursor) -> LoadReading {
        var reading = LoadReading()
        cursor.forEachElement { cursor in
            guard cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
            cursor.forEachMember { cursor, key in
                let isState = cursor.isWord(key, "is_processing")
                let value = cursor.value()
                if isState { reading.add(cursor.isWord(value, "true") ? 1 : 0) }
            }
        }
        return reading
    }

    /// exo's `/state`: `{"tasks":{"…":{"TextGeneration":{"taskStatus":"Running",…}},…},…}`. Loads and warm-ups are tasks,
    /// too, and nobody's exchange. Beside them stand the Macs, in `nodeMemory` and `nodeSystem`.
    static func exoState(_ cursor: inout JSONCursor) -> LoadReading {
        var reading = LoadReading()
        cursor.forEachMember { cursor, key in
            let isMemory = cursor.isWord(key, "nodeMemory")
            if isMemory || cursor.isWord(key, "nodeSystem"), cursor.peek() == UInt8(ascii: "{") {
                return cursor.forEachMember { cursor, _ in
                    guard cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
                    let one = isMemory ? MacReading.exoMemory(&cursor) : MacReading.exoSystem(&cursor)
                    reading.mac = reading.mac.map { $0.worse(one) } ?? one
                }
            }
            guard cursor.isWord(key, "tasks"), cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
            reading.add(0)
            cursor.forEachMember { cursor, _ in
                guard cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
                cursor.forEachMember { cursor, kind in
                    let isExchange = exoExchanges.contains { cursor.isWord(kind, $0) }
                    guard isExchange, cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
                    cursor.forEachMember { cursor, member in
                        let isStatus = cursor.isWord(member, "taskStatus")
                        let value = cursor.value()
                        guard isStatus else { return }
                        let isOpen = cursor.isWord(value, "\"Running\"") || cursor.isWord(value, "\"Pending\"")
                        reading.add(isOpen ? 1 : 0)
                    }
                }
            }
        }
        return reading
    }

    private static let exoExchanges: [StaticString] = [
        "TextGeneration", "ChatCompletion", "ImageGeneration", "ImageEdits",
    ]
}
