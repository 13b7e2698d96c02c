/// What a monitor of the Mac would show, in the shape of macmon's JSON: the figures that the machine has are true to it, the
/// others (temperatures, watts) are in plausible proportion and assumed.
extension WorkerMachine {
    package func telemetry() -> JSONValue {
        let use = memory
        let foreign = faults.reduce(0) { $0 + ($1.kind == .foreignLoad && $1.isAwake ? $1.factor : 0) }
        let own = prefilling != nil || decodeEnds != nil ? 1.0 : 0
        let busy = min(1, own + foreign)
        // A hot chip is a slow chip: nominal stands at 45 degrees, the hottest at 105.
        let degrees = 45 + 25 * busy + 35 * (1 - heat)
        let watts = 4 + 40 * busy
        func bytes(_ gigabytes: Double) -> JSONValue { .integer(Int(gigabytes * 1e9)) }
        return .members([
            "temp": .members(["cpu_temp_avg": .real(degrees - 5), "gpu_temp_avg": .real(degrees)]),
            "memory": .members([
                "ram_total": bytes(memoryGigabytes), "ram_usage": bytes(min(memoryGigabytes, use.used)),
                "swap_total": bytes(use.swapped > 0 ? (use.swapped / 4).rounded(.up) * 4 : 0),
                "swap_usage": bytes(use.swapped),
            ]),
            "ecpu_usage": .array([.integer(1_000), .real(0.1)]),
            "pcpu_usage": .array([.integer(3_200), .real(0.1 + 0.1 * own)]),
            "gpu_usage": .array([.integer(busy > 0 ? 1_400 : 338), .real(busy)]),
            "cpu_power": .real(2), "gpu_power": .real(watts), "ane_power": .real(0), "all_power": .real(watts + 2),
            "sys_power": .real(watts + 10),
        ])
    }
}
