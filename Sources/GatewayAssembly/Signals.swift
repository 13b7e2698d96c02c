/// What the operating system tells a replica: stop (once: gracefully; twice: at once) and read your settings again.
import Logging
import ServiceLifecycle
import UnixSignals

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct Signals: Sendable {
    let group: ServiceGroup
    let reloader: Reloader
    let logger: Logger
    /// Lets what was logged reach its file before the process ends.
    let flush: @Sendable () -> Void

    /// Never returns by itself; cancel its task.
    func listen(to signals: UnixSignalsSequence) async {
        var isStopping = false
        for await signal in signals {
            if signal == .sighup {
                _ = await reloader.reload()
            } else if isStopping {
                logger.warning("stopping at once: second \(signal)")
                flush()
                // 128 + SIGTERM, as shells tell it: running answers were cut.
                exit(143)
            } else {
                isStopping = true
                logger.notice("stopping: \(signal) received, a second signal ends at once")
                await group.triggerGracefulShutdown()
            }
        }
    }
}
