/// Servers that tell in ways of their own which models are in memory.
extension ProbeReading {
    /// llama-server's list. As a router of several models it tells the state of each: `{"id":"…","status":{"value":"…"}}`.
    static func routerList(_ reply: ProbeReply) -> ProbeReading {
        var reading = ProbeReading.list(reply, .llamaCpp)
        guard reading.models != nil else { return reading }
        var resident: [String] = []
        var isRouter = false
        reply.body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            cursor.forEachMember { cursor, key in
                guard cursor.isWord(key, "data"), cursor.peek() == UInt8(ascii: "[") else { return cursor.skipValue() }
                var count = 0
                cursor.forEachElement { cursor in
                    count += 1
                    guard count <= modelsMax, cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
                    guard let (name, isLoaded) = routed(&cursor) else { return }
                    isRouter = true
                    if isLoaded, !resident.contains(name) { resident.append(name) }
                }
            }
        }
        reading.resident = isRouter ? .only(resident) : .all
        return reading
    }

    /// A model of a router; nil for one without a state. One that sleeps is woken by a request and loaded by none.
    private static func routed(_ cursor: inout JSONCursor) -> (name: String, isLoaded: Bool)? {
        var name: String?
        var isLoaded: Bool?
        cursor.forEachMember { cursor, key in
            if cursor.isWord(key, "id"), cursor.peek() == UInt8(ascii: "\"") {
                name = cursor.string().flatMap { Self.name(cursor.bytes[$0]) }
            } else if cursor.isWord(key, "status"), cursor.peek() == UInt8(ascii: "{") {
                cursor.forEachMember { cursor, key in
                    guard cursor.isWord(key, "value"), cursor.peek() == UInt8(ascii: "\""), let value = cursor.string()
                    else { return cursor.skipValue() }
                    isLoaded = cursor.isWord(value, "loaded") || cursor.isWord(value, "sleeping")
                }
            } else {
                cursor.skipValue()
            }
        }
        guard let name, let isLoaded else { return nil }
        return (name, isLoaded)
    }

    /// Runners and instances that are looked at.
    static let instancesMax = 256

    /// exo's state: a model can be used when an instance of it stands and all its runners are ready or run.
    ///
    /// `{"instances":{"…":{"<kind>":{"shardAssignments":{"modelId":"…","nodeToRunner":{"…":"<runner>"}}}}},
    ///   "runners":{"<runner>":{"RunnerReady":…}}}`
    static func instances(_ reply: ProbeReply) -> ProbeReading {
        guard (200..<300).contains(reply.status) else { return ProbeReading(life: .alive) }
        var ready: Set<String> = []
        var placed: [(model: String, runners: [String])] = []
        reply.body.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            cursor.forEachMember { cursor, key in
                guard cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
                if cursor.isWord(key, "runners") {
                    cursor.forEachMember { cursor, runner in
                        let isReady = firstKey(&cursor) { $0 == "RunnerReady" || $0 == "RunnerRunning" }
                        if isReady, ready.count < instancesMax, let name = Self.name(cursor.bytes[runner]) {
                            ready.insert(name)
                        }
                    }
                } else if cursor.isWord(key, "instances") {
                    cursor.forEachMember { cursor, _ in
                        if let instance = instance(&cursor), placed.count < instancesMax { placed.append(instance) }
                    }
                } else {
                    cursor.skipValue()
                }
            }
        }
        var resident: [String] = []
        for instance in placed where !instance.runners.isEmpty && instance.runners.allSatisfy(ready.contains) {
            if !resident.contains(instance.model) { resident.append(instance.model) }
        }
        return ProbeReading(life: .alive, resident: .only(resident))
    }

    /// What `fits` says of the first key of the object at the cursor; passes the value.
    private static func firstKey(_ cursor: inout JSONCursor, _ fits: (String) -> Bool) -> Bool {
        guard cursor.peek() == UInt8(ascii: "{") else {
            cursor.skipValue()
            return false
        }
        var isFirst = true
        var result = false
        cursor.forEachMember { cursor, key in
            if isFirst { result = Self.name(cursor.bytes[key]).map(fits) ?? false }
            isFirst = false
            cursor.skipValue()
        }
        return result
    }

    private static func instance(_ cursor: inout JSONCursor) -> (model: String, runners: [String])? {
        guard cursor.peek() == UInt8(ascii: "{") else {
            cursor.skipValue()
            return nil
        }
        var model: String?
        var runners: [String] = []
        // Its kind is the only key, and says nothing that is wanted here.
        cursor.forEachMember { cursor, _ in
            guard cursor.peek() == UInt8(ascii: "{") else { return cursor.skipValue() }
            cursor.forEachMember { cursor, key in
                guard cursor.isWord(key, "shardAssignments"), cursor.peek() == UInt8(ascii: "{") else {
                    return cursor.skipValue()
                }
                cursor.forEachMember { cursor, key in
                    if cursor.isWord(key, "modelId"), cursor.peek() == UInt8(ascii: "\"") {
                        model = cursor.string().flatMap { Self.name(cursor.bytes[$0]) }
                    } else if cursor.isWord(key, "nodeToRunner"), cursor.peek() == UInt8(ascii: "{") {
                        cursor.forEachMember { cursor, _ in
                            guard cursor.peek() == UInt8(ascii: "\""), let runner = cursor.string() else {
                                return cursor.skipValue()
                            }
                            if runners.count < instancesMax, let name = Self.name(cursor.bytes[runner]) {
                                runners.append(name)
                            }
                        }
                    } else {
                        cursor.skipValue()
                    }
                }
            }
        }
        return model.map { ($0, runners) }
    }
}
