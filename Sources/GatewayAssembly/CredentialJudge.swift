/// From an `Authorization` field to a tenant: the same judgement for the lane and for the router.
///
/// A wrong secret, an unknown key and a word that is no key get one and the same sentence, so an answer tells nobody
/// which keys exist.
import HTTPEdge
import KeyReplication
import ReplicaCore
import UpstreamLane

struct CredentialJudge: Authenticating {
    let keys: Published<KeyTable>

    static let missing = "You did not provide an API key. Send it as a header: Authorization: Bearer YOUR_KEY."
    static let wrong = "Incorrect API key provided. Ask the administrator of this gateway for a key."

    /// Called on event loops: one hash, one look-up, no waiting.
    @Sendable static func judge(
        _ field: String?, _ table: KeyTable
    ) -> Result<AuthenticatedTenant, LaneAuthenticationFailure> {
        if let anonymous = table.anonymous { return .success(anonymous) }
        guard let field, let credential = UnverifiedBearer.credential(inField: field) else {
            return .failure(LaneAuthenticationFailure(message: missing))
        }
        guard let parts = UnverifiedBearer.Parts(String(credential)) else {
            return .failure(LaneAuthenticationFailure(message: wrong))
        }
        let bearer = UnverifiedBearer(keyID: parts.keyID, digest: BootstrapKey.digest(of: parts.secret))
        guard let tenant = table.authenticate(bearer) else {
            return .failure(LaneAuthenticationFailure(message: wrong))
        }
        return .success(tenant)
    }

    func authenticate(field: String?) -> Authentication {
        let table = keys.value
        if table.isOpen { return .open }
        switch Self.judge(field, table) {
        case .success(let tenant): return .tenant(tenant)
        case .failure(let failure): return .refused(message: failure.message)
        }
    }
}
