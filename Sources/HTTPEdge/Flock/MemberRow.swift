/// One member as `/v1/cluster/members` lists it. The JSON's names and their order are a promise to scripts.
package import Telemetry

package struct MemberRow: Equatable, Sendable {
    package var name: String
    /// `alive`, `suspect`, `dead`, `left`.
    package var status: String
    /// 32 hexadecimal digits.
    package var id: String
    /// 16 hexadecimal digits, another at every start.
    package var session: String
    package var incarnation: UInt32
    /// Of its gossip.
    package var address: String
    package var isReady: Bool
    /// Eight hexadecimal digits: the hash of the settings that all must say alike.
    package var agreement: String
    package var version: String
    /// Nil: not measured, as of this replica itself.
    package var rttMilliseconds: Double?
    /// Seconds since 1970: since when it has this status, as seen from here.
    package var sinceSeconds: Double
    package var detail: Detail

    /// What `?detailed=true` adds.
    package struct Detail: Equatable, Sendable {
        package var isSelf: Bool
        /// `ready`, `settled`, `draining`, `disk_full`, `stale`, `lossy`.
        package var flags: [String]
        package var httpPort: UInt16
        package var protocolMin: UInt8
        package var protocolMax: UInt8
        /// Traffic keys that it can open, the one that it seals with first.
        package var keys: [UInt16]
        package var rttP99Milliseconds: Double?
        package var lastAckSeconds: Double?
        /// UDP to it does not pass, while TCP does.
        package var isUDPBlocked: Bool
        /// Names of those who say that it is gone.
        package var accusers: [String]

        package init(
            isSelf: Bool = false, flags: [String] = [], httpPort: UInt16 = 0, protocolMin: UInt8 = 1,
            protocolMax: UInt8 = 1, keys: [UInt16] = [], rttP99Milliseconds: Double? = nil,
            lastAckSeconds: Double? = nil, isUDPBlocked: Bool = false, accusers: [String] = []
        ) {
            self.isSelf = isSelf
            self.flags = flags
            self.httpPort = httpPort
            self.protocolMin = protocolMin
            self.protocolMax = protocolMax
            self.keys = keys
            self.rttP99Milliseconds = rttP99Milliseconds
            self.lastAckSeconds = lastAckSeconds
            self.isUDPBlocked = isUDPBlocked
            self.accusers = accusers
        }
    }

    package init(
        name: String, status: String, id: String, session: String, incarnation: UInt32, address: String,
        isReady: Bool, agreement: String, version: String, rttMilliseconds: Double? = nil, sinceSeconds: Double,
        detail: Detail = Detail()
    ) {
        self.name = name
        self.status = status
        self.id = id
        self.session = session
        self.incarnation = incarnation
        self.address = address
        self.isReady = isReady
        self.agreement = agreement
        self.version = version
        self.rttMilliseconds = rttMilliseconds
        self.sinceSeconds = sinceSeconds
        self.detail = detail
    }

    package func write(to json: inout JSONText, isDetailed: Bool = false) {
        json.openObject()
        json.field("name", name)
        json.field("status", status)
        json.field("id", id)
        json.field("session", session)
        json.field("incarnation", Int(incarnation))
        json.field("address", address)
        json.field("ready", isReady)
        json.field("agreement", agreement)
        json.field("version", version)
        json.field("rtt_ms", rttMilliseconds)
        json.field("since", sinceSeconds)
        if isDetailed {
            json.key("detail")
            detail.write(to: &json)
        }
        json.closeObject()
    }
}

extension MemberRow.Detail {
    func write(to json: inout JSONText) {
        json.openObject()
        json.field("self", isSelf)
        json.field("flags", flags)
        json.field("http_port", Int(httpPort))
        json.field("protocol_min", Int(protocolMin))
        json.field("protocol_max", Int(protocolMax))
        json.key("keys")
        json.openArray()
        for key in keys { json.integer(Int(key)) }
        json.closeArray()
        json.field("rtt_p99_ms", rttP99Milliseconds)
        json.field("last_ack_seconds", lastAckSeconds)
        json.field("udp_blocked", isUDPBlocked)
        json.field("accusers", accusers)
        json.closeObject()
    }
}

extension JSONText {
    mutating func field(_ name: String, _ value: Double?) {
        key(name)
        if let value { number(value) } else { null() }
    }

    mutating func field(_ name: String, _ words: [String]) {
        key(name)
        openArray()
        for word in words { string(word) }
        closeArray()
    }
}
