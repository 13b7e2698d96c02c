package import Determinism

/// Sessions that have proven that they are alive now, each with what was seen of it. A session stays for ten minutes
/// after its last packet, far longer than a cookie is good for: once it is forgotten its recorded hellos are stale.
///
/// A full table gives up the session that is silent for longest, members last.
package struct SessionTable: Sendable {
    package struct Session: Hashable, Sendable {
        package var window: ReplayWindow
        package var rate = PacketRate()
        package var heardAt: Instant
        /// Not answered with echoes before this, but for one.
        package var echoAfter = Instant.zero
        var hasSecondEcho = false

        /// Once in `pause`, and once more: who asked at another address than this side speaks from asks again at once.
        mutating func mayEcho(at now: Instant, every pause: Nanoseconds) -> Bool {
            if now >= echoAfter {
                echoAfter = now + pause
                hasSecondEcho = true
                return true
            }
            guard hasSecondEcho else { return false }
            hasSecondEcho = false
            return true
        }
    }

    private let bound: Int
    private let kept: Nanoseconds
    private let width: Int
    private var members: RecencyTable<SessionID, Session>
    private var others: RecencyTable<SessionID, Session>

    package init(bound: Int, kept: Nanoseconds, windowWidth: Int) {
        self.bound = bound
        self.kept = kept
        width = windowWidth
        members = RecencyTable(bound: bound)
        others = RecencyTable(bound: bound)
    }

    package var count: Int { members.count + others.count }

    /// Where a session lies: good until the next proof or mark.
    package struct Place: Hashable, Sendable {
        fileprivate let isMember: Bool
        fileprivate let place: Int
    }

    package func place(of session: SessionID) -> Place? {
        if let place = members.place(of: session) { return Place(isMember: true, place: place) }
        return others.place(of: session).map { Place(isMember: false, place: $0) }
    }

    package func contains(_ session: SessionID) -> Bool { place(of: session) != nil }

    package func hasSeen(_ counter: UInt64, at place: Place) -> Bool {
        place.isMember
            ? members.read(place.place) { $0.window.hasSeen(counter) }
            : others.read(place.place) { $0.window.hasSeen(counter) }
    }

    package mutating func update<R>(_ place: Place, _ body: (inout Session) -> R) -> R {
        place.isMember ? members.update(place.place, body) : others.update(place.place, body)
    }

    /// A packet of it was authentic.
    package mutating func hear(_ place: Place, at now: Instant) {
        if place.isMember { members.touch(place.place) } else { others.touch(place.place) }
        update(place) { $0.heardAt = now }
    }

    /// It has proven itself. What it sent before counts as seen: nothing older than the proof is heard later.
    package mutating func insert(_ session: SessionID, after counter: UInt64 = 0, at now: Instant) -> Place {
        expire(at: now)
        if count >= bound { if others.count > 0 { others.removeOldest() } else { members.removeOldest() } }
        let new = Session(window: ReplayWindow(width: width, after: counter), heardAt: now)
        return Place(isMember: false, place: others.insert(new, for: session))
    }

    /// Says whether the session is a member's. Nothing happens when it is not here.
    package mutating func mark(_ session: SessionID, isMember: Bool) {
        if isMember {
            if let moved = others.remove(session) { _ = members.insert(moved, for: session) }
        } else if let moved = members.remove(session) {
            _ = others.insert(moved, for: session)
        }
    }

    private mutating func expire(at now: Instant) {
        while let oldest = others.oldest, now.span(since: oldest.value.heardAt) >= kept { others.removeOldest() }
        while let oldest = members.oldest, now.span(since: oldest.value.heardAt) >= kept { members.removeOldest() }
    }
}
