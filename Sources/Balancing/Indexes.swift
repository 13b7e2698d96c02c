/// Names and numbers of workers and models. An index is a cell of the boards for the life of the process and is never
/// given to another; an id is what the operator wrote.

package struct WorkerIndex: Hashable, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }
}

package struct ModelIndex: Hashable, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }
}

package struct WorkerID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package var description: String { rawValue }
}

/// One place in an admission queue. Whoever hands out tickets never gives a number twice.
package struct TicketID: Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}
