/// What a monitor of a Mac tells: memory, swap, the GPU, heat. One form per source, read with bounds and leniently: what
/// is not there is not known.
package struct MacReading: Equatable, Sendable {
    /// A page of a monitor is a few kilobytes; ours are cut here.
    package static let bytesMax = 64 << 10

    /// Bytes of memory in use, by all programs and the system, and in all.
    package var memoryUsed: Double?
    package var memoryTotal: Double?
    package var swapUsed: Double?
    /// The share of its capacity that the GPU works with, 0…1.
    package var gpuUse: Double?
    /// Degrees Celsius of the hottest of chip and GPU.
    package var degrees: Double?

    package init() {}

    /// Of memory, 0…1.
    package var memoryShare: Double? {
        guard let memoryUsed, let memoryTotal, memoryTotal > 0 else { return nil }
        return min(max(memoryUsed / memoryTotal, 0), 1)
    }

    /// macmon's page (`macmon serve`, `/json`): `{"temp":{…},"memory":{…},"gpu_scaled_ratio":0.02,…}`. Versions before 0.8
    /// wrote `"gpu_usage":[461,0.02]`, frequency and share. Nil for what is no JSON object.
    package static func macmon(_ body: [UInt8]) -> MacReading? {
        body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            var reading = MacReading()
            cursor.forEachMember { cursor, key in
                if cursor.isWord(key, "memory") {
                    cursor.forEachNumber { cursor, key, value in
                        if cursor.isWord(key, "ram_total") { reading.memoryTotal = value }
                        if cursor.isWord(key, "ram_usage") { reading.memoryUsed = value }
                        if cursor.isWord(key, "swap_usage") { reading.swapUsed = value }
                    }
                } else if cursor.isWord(key, "temp") {
                    cursor.forEachNumber { cursor, key, value in
                        guard cursor.isWord(key, "cpu_temp_avg") || cursor.isWord(key, "gpu_temp_avg") else { return }
                        reading.degrees = max(reading.degrees ?? 0, value)
                    }
                } else if cursor.isWord(key, "gpu_scaled_ratio") {
                    reading.gpuUse = cursor.number()
                } else if cursor.isWord(key, "gpu_usage"), cursor.peek() == UInt8(ascii: "[") {
                    var place = 0
                    cursor.forEachElement { cursor in
                        let value = cursor.number()
                        if place == 1 { reading.gpuUse = value }
                        place += 1
                    }
                } else {
                    cursor.skipValue()
                }
            }
            return cursor.isBroken ? nil : reading
        }
    }

    /// The worse of two Macs, figure by figure: a model that lies on several runs as the slowest of them.
    func worse(_ other: MacReading) -> MacReading {
        var reading = (other.memoryShare ?? -1) > (memoryShare ?? -1) ? other : self
        reading.swapUsed = Self.sum(swapUsed, other.swapUsed)
        reading.gpuUse = Self.larger(gpuUse, other.gpuUse)
        reading.degrees = Self.larger(degrees, other.degrees)
        return reading
    }

    private static func larger(_ one: Double?, _ other: Double?) -> Double? {
        guard let one, let other else { return one ?? other }
        return max(one, other)
    }

    private static func sum(_ one: Double?, _ other: Double?) -> Double? {
        guard let one, let other else { return one ?? other }
        return one + other
    }
}

// MARK: - exo

extension MacReading {
    /// exo's `/state` has each Mac's figures by its node: `{"ramTotal":{"inBytes":…},"ramAvailable":{…},"swapTotal":{…},
    /// "swapAvailable":{…}}`.
    static func exoMemory(_ cursor: inout JSONCursor) -> MacReading {
        var total: Double?
        var available: Double?
        var swapTotal: Double?
        var swapAvailable: Double?
        cursor.forEachMember { cursor, key in
            guard cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
            cursor.forEachNumber { cursor, unit, value in
                guard cursor.isWord(unit, "inBytes") else { return }
                if cursor.isWord(key, "ramTotal") { total = value }
                if cursor.isWord(key, "ramAvailable") { available = value }
                if cursor.isWord(key, "swapTotal") { swapTotal = value }
                if cursor.isWord(key, "swapAvailable") { swapAvailable = value }
            }
        }
        var reading = MacReading()
        reading.memoryTotal = total
        if let total, let available { reading.memoryUsed = max(0, total - available) }
        if let swapTotal, let swapAvailable { reading.swapUsed = max(0, swapTotal - swapAvailable) }
        return reading
    }

    /// `{"gpuUsage":0.9,"temp":71.2,"sysPower":40.1,…}`
    static func exoSystem(_ cursor: inout JSONCursor) -> MacReading {
        var reading = MacReading()
        cursor.forEachNumber { cursor, key, value in
            if cursor.isWord(key, "gpuUsage") { reading.gpuUse = value }
            if cursor.isWord(key, "temp") { reading.degrees = value }
        }
        return reading
    }
}

// MARK: - Numbers

extension JSONCursor {
    /// Longer text is no figure of a Mac.
    private static let digitsMax = 32

    /// A number of any form, passed over; nil for anything else, which is passed over too.
    mutating func number() -> Double? {
        let range = value()
        guard (1...Self.digitsMax).contains(range.count), let first = bytes[range].first,
            first == UInt8(ascii: "-") || first &- 0x30 < 10,
            let value = Double(String(decoding: bytes[range], as: UTF8.self)), value.isFinite
        else { return nil }
        return value
    }

    /// Walks the members of an object that are numbers; what is no object is passed over.
    mutating func forEachNumber(_ body: (JSONCursor, Range<Int>, Double) -> Void) {
        guard peek() == UInt8(ascii: "{") else { return skipValue() }
        forEachMember { cursor, key in
            if let value = cursor.number() { body(cursor, key, value) }
        }
    }
}
