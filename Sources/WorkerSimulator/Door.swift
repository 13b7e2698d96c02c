/// How a worker's port meets those who connect.
enum Door: Sendable, Equatable {
    case open
    /// Connects are refused.
    case closed
    /// It listens and takes nobody, and its accept queue is full: connects wait and find no end.
    case stuffed

    static let stuffedBacklog: Int32 = 1
}
