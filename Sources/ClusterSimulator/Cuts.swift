/// Who cannot reach whom: one partition at a time, and single links besides.
struct Cuts: Sendable {
    enum Traffic: UInt8, Sendable { case datagram, stream }

    /// A single link, in one direction.
    struct Link: Sendable, Hashable {
        var from: Int
        var to: Int
        var cutsDatagrams: Bool
        var cutsStreams: Bool
        /// Of the line of the script that cut it.
        var owner: Int
    }

    /// Groups of processes that hear each other; empty: all do.
    private(set) var groups: [UInt8] = []
    private(set) var isOneWay = false
    private(set) var owner = -1
    private(set) var links: [Link] = []

    /// In this group one hears and is heard by all.
    static let bridge: UInt8 = 255

    var isEmpty: Bool { groups.isEmpty && links.isEmpty }

    mutating func part(_ groups: [UInt8], isOneWay: Bool, by owner: Int) {
        self.groups = groups
        self.isOneWay = isOneWay
        self.owner = owner
    }

    mutating func cut(_ link: Link) { links.append(link) }

    mutating func heal(_ owner: Int) {
        if self.owner == owner { groups.removeAll() }
        links.removeAll { $0.owner == owner }
    }

    mutating func healAll() {
        groups.removeAll()
        links.removeAll()
    }

    func isCut(_ from: Int, _ to: Int, _ traffic: Traffic) -> Bool {
        if !groups.isEmpty {
            let (a, b) = (groups[from], groups[to])
            if a != b, a != Self.bridge, b != Self.bridge, !isOneWay || a < b { return true }
        }
        for link in links where link.from == from && link.to == to {
            if traffic == .datagram ? link.cutsDatagrams : link.cutsStreams { return true }
        }
        return false
    }
}
