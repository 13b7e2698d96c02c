/// What the edge needs from the rest of the house, in three words: facts about the replica, a judge of credentials, and
/// the settings' reload. Assembly plugs them, so the edge builds and tests without stores, probes or clusters.
package import KeyReplication
package import Settings

/// What the router tells about the replica. Every answer is a snapshot; nothing here waits but the reload.
package protocol GatewayFacts: Sendable {
    var replicaName: String { get }
    var version: String { get }

    /// True from the stop signal on: running exchanges finish, new ones should go elsewhere.
    var isDraining: Bool { get }

    /// Why new requests should not come yet, in sentences; empty when they may. Draining is added by the router.
    var reasonsNotReady: [String] { get }

    /// The models that clients may ask for, aliases included, in the order to list them.
    var models: [ServedModel] { get }

    /// The page of `/v1/cluster/status`, one JSON object. `flock` is nil where replicas do not gossip.
    func clusterStatus(_ flock: FlockStatus?) -> [UInt8]

    /// The page of `/admin/workers`, one JSON object.
    func workers() -> [UInt8]

    /// One worker as a JSON object; nil when there is none of that id.
    func worker(_ id: String) -> [UInt8]?

    /// Changes what an operator wants of a worker. False when there is none of that id.
    func tellWorker(_ id: String, _ order: WorkerOrder) -> Bool

    /// Why a request went where it went, one JSON object; nil for one that is not remembered.
    func decision(for requestID: String) -> [UInt8]?

    /// The requests that are thought to end workers, one JSON object.
    func poison() -> [UInt8]

    /// Forgets one of them, or all. False when there is none of that fingerprint.
    func forgetPoison(_ fingerprint: String?) -> Bool

    /// Reads the settings again and applies what can change while running.
    func reload() async -> ReloadOutcome
}

/// A model as `/v1/models` lists it.
package struct ServedModel: Equatable, Sendable {
    package let id: String
    /// `owned_by`: who serves it, for example the cluster's name.
    package let owner: String
    /// Names of the workers that have it.
    package let workers: [String]
    /// Seconds since 1970; the SDKs insist on a number.
    package let createdSeconds: Int

    package init(id: String, owner: String, workers: [String], createdSeconds: Int) {
        self.id = id
        self.owner = owner
        self.workers = workers
        self.createdSeconds = createdSeconds
    }
}

package enum WorkerOrder: String, CaseIterable, Sendable {
    /// No new exchange; running ones finish.
    case drain
    /// Back to work, after it has shown that it lives.
    case resume
    /// Out of the registry until it is resumed.
    case remove
}

package enum ReloadOutcome: Sendable {
    case applied(SettingsChanges)
    /// The file's faults, a line each. The settings in use stay.
    case rejected([String])
}

/// Judges a bearer credential. The same table judges on the lane; the router asks through this.
package protocol Authenticating: Sendable {
    /// `field` is the value of the Authorization field, nil when there is none.
    func authenticate(field: String?) -> Authentication
}

package enum Authentication: Sendable {
    /// Authentication is off: everybody may do everything.
    case open
    case tenant(AuthenticatedTenant)
    /// The sentence for the client; it must not tell a wrong key from an unknown one.
    case refused(message: String)
}
