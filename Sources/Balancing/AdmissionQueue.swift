/// Exchanges that wait for a slot of one model: tenants take turns, inside a tenant the first comes first.
///
/// One who sends a thousand requests waits for its own thousand; another's single one waits for one turn. Every
/// operation is a few steps whatever the length: tickets are links of a chain per tenant, tenants links of a ring, both
/// in one slab that grows as needed up to the bound.
package import Determinism

package struct AdmissionQueue: Sendable {
    private static let nobody = -1

    private struct Link: Sendable {
        var ticket: TicketID
        var deadline: Instant
        /// Position in `lines`.
        var line: Int
        var before: Int
        var after: Int
    }

    private struct Line: Sendable {
        var tenant: UInt64
        var first: Int
        var last: Int
        /// Neighbours in the ring of tenants that wait.
        var before: Int
        var after: Int
    }

    package let bound: Int
    package private(set) var count = 0
    private var links: [Link] = []
    private var freeLinks: [Int] = []
    private var lines: [Line] = []
    private var freeLines: [Int] = []
    private var placeOfTicket: [TicketID: Int] = [:]
    private var lineOfTenant: [UInt64: Int] = [:]
    /// Whose turn is next.
    private var turn = nobody

    package init(bound: Int) {
        precondition(bound > 0, "a queue without room is a bug")
        self.bound = bound
    }

    /// False when full, or when the ticket waits already.
    package mutating func enqueue(_ ticket: TicketID, tenant: UInt64, deadline: Instant) -> Bool {
        guard count < bound, placeOfTicket[ticket] == nil else { return false }
        let line = lineOfTenant[tenant] ?? openLine(of: tenant)
        let link = Link(ticket: ticket, deadline: deadline, line: line, before: lines[line].last, after: Self.nobody)
        let place = freeLinks.popLast() ?? links.count
        if place == links.count { links.append(link) } else { links[place] = link }
        if link.before == Self.nobody { lines[line].first = place } else { links[link.before].after = place }
        lines[line].last = place
        placeOfTicket[ticket] = place
        count += 1
        return true
    }

    /// The next in turn; its tenant goes behind all others that wait.
    package mutating func popNext() -> TicketID? { popNext(at: Instant(nanoseconds: .min)) }

    /// The next in turn whose deadline has not come. Those whose deadline has come are removed on the way: whoever
    /// waited with them has given up by its own clock.
    package mutating func popNext(at now: Instant) -> TicketID? {
        while turn != Self.nobody {
            let place = lines[turn].first
            let link = links[place]
            // A late ticket costs its tenant no turn.
            if link.deadline > now { turn = lines[turn].after }
            remove(place)
            if link.deadline > now { return link.ticket }
        }
        return nil
    }

    /// Whether it waited.
    package mutating func cancel(_ ticket: TicketID) -> Bool {
        guard let place = placeOfTicket[ticket] else { return false }
        remove(place)
        return true
    }

    private mutating func remove(_ place: Int) {
        let link = links[place]
        if link.before == Self.nobody {
            lines[link.line].first = link.after
        } else {
            links[link.before].after = link.after
        }
        if link.after == Self.nobody {
            lines[link.line].last = link.before
        } else {
            links[link.after].before = link.before
        }
        placeOfTicket[link.ticket] = nil
        freeLinks.append(place)
        count -= 1
        if lines[link.line].first == Self.nobody { closeLine(link.line) }
    }

    /// A new tenant comes last: just before the one whose turn is next.
    private mutating func openLine(of tenant: UInt64) -> Int {
        let place = freeLines.popLast() ?? lines.count
        let line = Line(tenant: tenant, first: Self.nobody, last: Self.nobody, before: place, after: place)
        if place == lines.count { lines.append(line) } else { lines[place] = line }
        if turn == Self.nobody {
            turn = place
        } else {
            let last = lines[turn].before
            lines[place].before = last
            lines[place].after = turn
            lines[last].after = place
            lines[turn].before = place
        }
        lineOfTenant[tenant] = place
        return place
    }

    private mutating func closeLine(_ place: Int) {
        let line = lines[place]
        lineOfTenant[line.tenant] = nil
        lines[line.before].after = line.after
        lines[line.after].before = line.before
        if turn == place { turn = line.after == place ? Self.nobody : line.after }
        freeLines.append(place)
    }
}
