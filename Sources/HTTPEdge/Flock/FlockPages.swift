/// What the flock tells besides its members: how gossip does, which pairs cannot reach each other, keys, and events.
package import Telemetry

/// What `/v1/cluster/status` adds where replicas gossip.
package struct FlockStatus: Equatable, Sendable {
    package struct Ring: Equatable, Sendable {
        /// 16 hexadecimal digits; equal everywhere as soon as everybody knows the same.
        package var version: String
        package var participants: Int

        package init(version: String, participants: Int) {
            self.version = version
            self.participants = participants
        }
    }

    package struct Gossip: Equatable, Sendable {
        /// `joining`, `alone`, `joined`, `leaving`.
        package var state: String
        /// `direct` to everybody, or `epidemic`.
        package var mode: String
        /// 0 is well; up to 7 for a replica that hears others late.
        package var awareness: Int
        /// Loss around here is heavy.
        package var isLossy: Bool
        package var bytesSentPerSecond: Double
        package var bytesReceivedPerSecond: Double
        /// Rumours that wait, by lane.
        package var rumours: [Int]
        /// Packets that were not taken, by reason.
        package var dropped: [Dropped]
        package var primaryKey: UInt16
        /// Of this replica's settings.
        package var agreement: String
        /// Names of the members whose settings differ.
        package var disagreeing: [String]

        package struct Dropped: Equatable, Sendable {
            package var reason: String
            package var count: Int

            package init(reason: String, count: Int) {
                self.reason = reason
                self.count = count
            }
        }

        package init(
            state: String, mode: String, awareness: Int = 0, isLossy: Bool = false, bytesSentPerSecond: Double = 0,
            bytesReceivedPerSecond: Double = 0, rumours: [Int] = [], dropped: [Dropped] = [], primaryKey: UInt16 = 0,
            agreement: String, disagreeing: [String] = []
        ) {
            self.state = state
            self.mode = mode
            self.awareness = awareness
            self.isLossy = isLossy
            self.bytesSentPerSecond = bytesSentPerSecond
            self.bytesReceivedPerSecond = bytesReceivedPerSecond
            self.rumours = rumours
            self.dropped = dropped
            self.primaryKey = primaryKey
            self.agreement = agreement
            self.disagreeing = disagreeing
        }
    }

    package var members: [MemberRow]
    package var replicaRing: Ring
    package var workerRing: Ring
    /// Names of the members that hold another ring for longer than they should.
    package var ringDisagreements: [String]
    package var gossip: Gossip

    package init(
        members: [MemberRow], replicaRing: Ring, workerRing: Ring, ringDisagreements: [String] = [], gossip: Gossip
    ) {
        self.members = members
        self.replicaRing = replicaRing
        self.workerRing = workerRing
        self.ringDisagreements = ringDisagreements
        self.gossip = gossip
    }

    /// The members `members`, `rings` and `gossip` of an object that is open.
    package func write(to json: inout JSONText) {
        json.key("members")
        json.openArray()
        for member in members { member.write(to: &json) }
        json.closeArray()
        json.key("rings")
        json.openObject()
        for (name, ring) in [("replicas", replicaRing), ("workers", workerRing)] {
            json.key(name)
            json.openObject()
            json.field("version", ring.version)
            json.field("participants", ring.participants)
            json.closeObject()
        }
        json.field("disagreeing", ringDisagreements)
        json.closeObject()
        json.key("gossip")
        gossip.write(to: &json)
    }

    /// The same of a replica that does not gossip.
    package static func writeOff(to json: inout JSONText) {
        json.key("gossip")
        json.openObject()
        json.field("state", "off")
        json.closeObject()
    }
}

extension FlockStatus.Gossip {
    func write(to json: inout JSONText) {
        json.openObject()
        json.field("state", state)
        json.field("mode", mode)
        json.field("awareness", awareness)
        json.field("lossy", isLossy)
        json.field("bytes_sent_per_second", bytesSentPerSecond)
        json.field("bytes_received_per_second", bytesReceivedPerSecond)
        json.key("rumours")
        json.openArray()
        for count in rumours { json.integer(count) }
        json.closeArray()
        json.key("dropped")
        json.openObject()
        for entry in dropped { json.field(entry.reason, entry.count) }
        json.closeObject()
        json.field("primary_key", Int(primaryKey))
        json.field("agreement", agreement)
        json.field("disagreeing", disagreeing)
        json.closeObject()
    }
}

/// Who cannot reach whom: it finds the one bad link behind a member that is dead now and then.
package struct ReachabilityPage: Equatable, Sendable {
    package struct Pair: Equatable, Sendable {
        package var from: String
        package var to: String
        package var why: String

        package init(from: String, to: String, why: String) {
            self.from = from
            self.to = to
            self.why = why
        }
    }

    package var asked: Int
    /// Names of the members that did not answer.
    package var silent: [String]
    package var failures: [Pair]

    package init(asked: Int, silent: [String] = [], failures: [Pair] = []) {
        self.asked = asked
        self.silent = silent
        self.failures = failures
    }

    package var bytes: [UInt8] {
        var json = JSONText()
        json.openObject()
        json.field("object", "cluster.reachability")
        json.field("asked", asked)
        json.field("silent", silent)
        json.key("failures")
        json.openArray()
        for pair in failures {
            json.openObject()
            json.field("from", pair.from)
            json.field("to", pair.to)
            json.field("why", pair.why)
            json.closeObject()
        }
        json.closeArray()
        json.closeObject()
        return json.bytes
    }
}

/// Traffic keys, never their bytes.
package struct KeyringPage: Equatable, Sendable {
    package struct Key: Equatable, Sendable {
        package var id: UInt16
        /// `staged`, `primary`, `retired`.
        package var state: String
        /// How many of the members hold it.
        package var holders: Int

        package init(id: UInt16, state: String, holders: Int) {
            self.id = id
            self.state = state
            self.holders = holders
        }
    }

    package var keys: [Key]
    package var members: Int
    /// Names of the members that did not answer.
    package var silent: [String]

    package init(keys: [Key], members: Int, silent: [String] = []) {
        self.keys = keys
        self.members = members
        self.silent = silent
    }

    package var bytes: [UInt8] {
        var json = JSONText()
        json.openObject()
        json.field("object", "cluster.keyring")
        json.key("keys")
        json.openArray()
        for key in keys {
            json.openObject()
            json.field("id", Int(key.id))
            json.field("state", key.state)
            json.field("holders", key.holders)
            json.closeObject()
        }
        json.closeArray()
        json.field("members", members)
        json.field("silent", silent)
        json.closeObject()
        return json.bytes
    }
}

package struct FlockEvent: Equatable, Sendable {
    /// Counts from 1 in one process; a gap is what a slow reader missed.
    package var number: Int
    /// Seconds since 1970.
    package var atSeconds: Double
    /// `member_alive`, `member_suspect`, `member_dead`, `member_left`, `member_forgotten`, `detection`, `link`, `ring`,
    /// `workers`, `agreement`, `key`, `clock`, `disk`, `self`.
    package var kind: String
    /// Of the member that it is about; empty when it is about none.
    package var name: String
    package var id: String
    /// For people: `accusers=[gw-2] waited=2.3s`.
    package var text: String

    package init(number: Int, atSeconds: Double, kind: String, name: String = "", id: String = "", text: String = "") {
        self.number = number
        self.atSeconds = atSeconds
        self.kind = kind
        self.name = name
        self.id = id
        self.text = text
    }

    package var bytes: [UInt8] {
        var json = JSONText(capacity: 256)
        json.openObject()
        json.field("number", number)
        json.field("at", atSeconds)
        json.field("kind", kind)
        json.field("name", name)
        json.field("id", id)
        json.field("text", text)
        json.closeObject()
        return json.bytes
    }
}
