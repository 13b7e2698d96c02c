import Testing

@testable import InferenceDialect

@Suite("What monitors tell of a Mac")
struct MacReadingTests {
    /// `macmon serve`, as its own page on the format has it (0.8).
    private static let newer = #"""
        {"timestamp":"2025-02-24T20:38:15.427569+00:00","temp":{"cpu_temp_avg":43.73614,"gpu_temp_avg":36.95167},
        "memory":{"ram_total":25769803776,"ram_usage":20985479168,"swap_total":4294967296,"swap_usage":2602434560},
        "fans":[{"name":"fan0","rpm":999,"max_rpm":4900}],"cpu_scaled_ratio":0.036854,"ecpu_freq_mhz":1100,
        "ecpu_cores":[{"die_id":0,"core_id":0,"freq_mhz":1600,"scaled_ratio":0.14}],"gpu_freq_mhz":461,
        "gpu_scaled_ratio":0.021497859,"gpu_active_ratio":0.09,"cpu_power":0.20486385,"sys_power":5.876533}
        """#
    private static let older = #"""
        {"temp":{"cpu_temp_avg":43.7,"gpu_temp_avg":70},"memory":{"ram_total":64e9,"ram_usage":3.2E10,"swap_total":0,
        "swap_usage":0},"ecpu_usage":[1181,0.08],"gpu_usage":[461,0.5],"all_power":0.2}
        """#

    @Test("macmon's page, as it is and as it was before 0.8")
    func macmon() throws {
        let newer = try #require(MacReading.macmon(Array(Self.newer.utf8)))
        #expect(newer.degrees == 43.73614 && newer.gpuUse == 0.021497859 && newer.swapUsed == 2_602_434_560)
        #expect(try abs(#require(newer.memoryShare) - 0.8143) < 0.0001)
        let older = try #require(MacReading.macmon(Array(Self.older.utf8)))
        #expect(older.degrees == 70 && older.gpuUse == 0.5 && older.swapUsed == 0 && older.memoryShare == 0.5)
    }

    @Test(
        "what is missing or no number is not known",
        arguments: [
            "{}", #"{"memory":null,"temp":[],"gpu_usage":"a"}"#, #"{"memory":{"ram_total":0,"ram_usage":5}}"#,
            #"{"memory":{"ram_total":"64","ram_usage":true},"gpu_usage":[],"temp":{"gpu_temp_avg":nan}}"#,
            #"{"memory":{"ram_total":1e999,"ram_usage":infinity}}"#,
        ])
    func missing(page: String) throws {
        let reading = try #require(MacReading.macmon(Array(page.utf8)))
        #expect(reading.memoryShare == nil && reading.gpuUse == nil && reading.degrees == nil)
    }

    @Test("cut at any place it is no page, and nothing breaks")
    func cut() {
        let bytes = Array(Self.newer.utf8)
        for end in 0..<bytes.count { #expect(MacReading.macmon(Array(bytes[..<end])) == nil) }
        for body in ["[]", "7", "nonsense"] { #expect(MacReading.macmon(Array(body.utf8)) == nil) }
    }

    @Test("exo's state tells of every Mac; the fullest, the hottest and the busiest count, and all their swap")
    func exo() throws {
        let page = #"""
            {"nodeMemory":{"a":{"ramTotal":{"inBytes":64000000000},"ramAvailable":{"inBytes":16000000000},
            "swapTotal":{"inBytes":4000000000},"swapAvailable":{"inBytes":1000000000}},
            "b":{"ramTotal":{"inBytes":32000000000},"ramAvailable":{"inBytes":30000000000},
            "swapTotal":{"inBytes":2000000000},"swapAvailable":{"inBytes":0}},"c":null},
            "nodeSystem":{"a":{"gpuUsage":0.1,"temp":40.5,"sysPower":9},"b":{"gpuUsage":0.9,"temp":71.2}},"tasks":{}}
            """#
        let mac = try #require(WorkerDialect.exo.loadPage?.read(status: 200, body: Array(page.utf8))?.mac)
        #expect(mac.memoryShare == 0.75 && mac.gpuUse == 0.9 && mac.degrees == 71.2 && mac.swapUsed == 5_000_000_000)
    }

    @Test(
        "vllm_mlx tells what its engine has in use; without Metal it is null",
        arguments: [("4.25", Optional(4.25)), ("null", nil)])
    func metal(value: String, gigabytes: Double?) {
        let page = #"{"num_running":0,"metal":{"active_memory_gb":\#(value),"cache_memory_gb":9},"num_waiting":0}"#
        let reading = WorkerDialect.vllmMLX.loadPage?.read(status: 200, body: Array(page.utf8))
        #expect(reading?.engineGigabytes == gigabytes && reading?.exchanges == 0)
    }
}
