/// A lock one can wait at, which `Synchronization` does not have: a mutex and a condition of the system.
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

final class ThreadGate: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        precondition(pthread_mutex_init(mutex, nil) == 0, "the system refused a mutex")
        #if canImport(Darwin)
            precondition(pthread_cond_init(condition, nil) == 0, "the system refused a condition")
        #else
            // Waiting by the wall clock would wait wrongly when somebody sets it.
            var attributes = pthread_condattr_t()
            pthread_condattr_init(&attributes)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
            precondition(pthread_cond_init(condition, &attributes) == 0, "the system refused a condition")
            pthread_condattr_destroy(&attributes)
        #endif
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func lock() { pthread_mutex_lock(mutex) }
    func unlock() { pthread_mutex_unlock(mutex) }
    func signal() { pthread_cond_broadcast(condition) }

    /// Gives the lock away until somebody signals; may wake without a reason, so callers look again.
    func wait() { pthread_cond_wait(condition, mutex) }

    /// As `wait`, and back after this long at the latest.
    func wait(milliseconds: Int) {
        #if canImport(Darwin)
            var span = timespec(tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000)
            pthread_cond_timedwait_relative_np(condition, mutex, &span)
        #else
            var until = timespec()
            clock_gettime(CLOCK_MONOTONIC, &until)
            let nanoseconds = until.tv_nsec + milliseconds % 1_000 * 1_000_000
            until.tv_sec += milliseconds / 1_000 + nanoseconds / 1_000_000_000
            until.tv_nsec = nanoseconds % 1_000_000_000
            pthread_cond_timedwait(condition, mutex, &until)
        #endif
    }
}

/// Starts a detached thread that runs `body` with `context`; false when the system has none left.
func startThread(
    _ context: UnsafeMutableRawPointer, _ body: @escaping @convention(c) (UnsafeMutableRawPointer) -> Void
) -> Bool {
    let start = ThreadStart(context: context, body: body)
    let box = Unmanaged.passRetained(start)
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    defer { pthread_attr_destroy(&attributes) }
    #if canImport(Darwin)
        var thread: pthread_t?
        let answer = pthread_create(&thread, &attributes, { ThreadStart.run($0) }, box.toOpaque())
    #else
        var thread = pthread_t()
        let answer = pthread_create(&thread, &attributes, { $0.flatMap { ThreadStart.run($0) } }, box.toOpaque())
    #endif
    guard answer != 0 else { return true }
    box.release()
    return false
}

private final class ThreadStart {
    let context: UnsafeMutableRawPointer
    let body: @convention(c) (UnsafeMutableRawPointer) -> Void

    init(context: UnsafeMutableRawPointer, body: @escaping @convention(c) (UnsafeMutableRawPointer) -> Void) {
        self.context = context
        self.body = body
    }

    static func run(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        let start = Unmanaged<ThreadStart>.fromOpaque(pointer).takeRetainedValue()
        start.body(start.context)
        return nil
    }
}
