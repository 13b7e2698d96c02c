/// What the operating system knows about this process, read when somebody asks.
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

package enum ProcessFacts {
    /// A fact the system does not tell is left out rather than reported as zero.
    @Sendable package static func families() -> [MetricFamily] {
        let facts: [(MetricName, Double?)] = [
            (MetricNames.processCPU, cpuSeconds()),
            (MetricNames.processResidentMemory, residentBytes()),
            (MetricNames.processOpenFDs, openDescriptors().map(Double.init)),
            (MetricNames.processMaxFDs, maxDescriptors()),
            (MetricNames.processStartTime, startSeconds()),
        ]
        return facts.compactMap { name, value in value.map { name.family([MetricSample(value: $0)]) } }
    }

    static func cpuSeconds() -> Double? {
        var usage = rusage()
        #if canImport(Glibc)
            let answer = getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #else
            let answer = getrusage(RUSAGE_SELF, &usage)
        #endif
        guard answer == 0 else { return nil }
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    static func maxDescriptors() -> Double? {
        var limit = rlimit()
        #if canImport(Glibc)
            let answer = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        #else
            let answer = getrlimit(RLIMIT_NOFILE, &limit)
        #endif
        guard answer == 0 else { return nil }
        return Double(limit.rlim_cur)
    }

    #if os(Linux)
        static func residentBytes() -> Double? {
            // The second word of statm is the resident set in pages.
            guard let words = text(of: "/proc/self/statm")?.split(separator: " "), words.count > 1,
                let pages = Double(words[1])
            else { return nil }
            return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
        }

        static func openDescriptors() -> Int? {
            guard let folder = opendir("/proc/self/fd") else { return nil }
            defer { closedir(folder) }
            var count = 0
            while readdir(folder) != nil { count += 1 }
            // Less ".", "..", and the descriptor that reads the folder.
            return max(0, count - 3)
        }

        static func startSeconds() -> Double? {
            // The program's name in the second field may hold spaces and brackets; the last bracket ends it. The start, in
            // clock ticks since boot, is the 22nd field, so the 20th after the name.
            guard let stat = text(of: "/proc/self/stat"), let close = stat.lastIndex(of: ")") else { return nil }
            let fields = stat[stat.index(after: close)...].split(separator: " ")
            guard fields.count > 19, let ticks = Double(fields[19]), let boot = bootSeconds() else { return nil }
            return boot + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        }

        private static func bootSeconds() -> Double? {
            guard let line = text(of: "/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") })
            else { return nil }
            return Double(line.dropFirst(6))
        }

        private static func text(of path: String) -> String? {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return nil }
            defer { close(descriptor) }
            // /proc/stat has a line per core before the one we want; a megabyte is room for thousands of cores.
            var bytes: [UInt8] = []
            var room = [UInt8](repeating: 0, count: 16384)
            while bytes.count < 1_048_576 {
                let got = room.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
                guard got > 0 else { break }
                bytes += room[..<got]
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    #else
        static func residentBytes() -> Double? {
            var facts = mach_task_basic_info()
            var count = mach_msg_type_number_t(MemoryLayout<mach_task_basic_info>.size / MemoryLayout<natural_t>.size)
            let answer = withUnsafeMutablePointer(to: &facts) { pointer in
                pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                    task_info(mach_task_self_, task_flavor_t(MACH_TASK_BASIC_INFO), $0, &count)
                }
            }
            return answer == KERN_SUCCESS ? Double(facts.resident_size) : nil
        }

        static func openDescriptors() -> Int? {
            // Asked without room, the call tells an upper bound; asked again with it, the truth.
            let size = proc_pidinfo(getpid(), PROC_PIDLISTFDS, 0, nil, 0)
            guard size > 0 else { return nil }
            let stride = MemoryLayout<proc_fdinfo>.stride
            var room = [proc_fdinfo](repeating: proc_fdinfo(), count: Int(size) / stride + 16)
            let used = room.withUnsafeMutableBytes {
                proc_pidinfo(getpid(), PROC_PIDLISTFDS, 0, $0.baseAddress, Int32($0.count))
            }
            return used > 0 ? Int(used) / stride : nil
        }

        static func startSeconds() -> Double? {
            var facts = proc_bsdinfo()
            let size = Int32(MemoryLayout<proc_bsdinfo>.size)
            guard proc_pidinfo(getpid(), PROC_PIDTBSDINFO, 0, &facts, size) == size else { return nil }
            return Double(facts.pbi_start_tvsec) + Double(facts.pbi_start_tvusec) / 1e6
        }
    #endif
}
