/// What is known about a routed request while it passes the middleware; each later type knows more than the one before.
package import Hummingbird
package import KeyReplication

package struct EdgeContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// Set by `RequestIdentity`, the outermost middleware.
    package var requestID = ""
    /// Set by `Authentication`, in the groups that ask for a key.
    package var identity: Identity?

    package init(source: Source) { coreContext = .init(source: source) }
}

/// Who asks.
package enum Identity: Sendable {
    /// Nobody was asked, because authentication is off.
    case open
    case tenant(AuthenticatedTenant)

    package var isAdmin: Bool {
        switch self {
        case .open: true
        case .tenant(let tenant): tenant.role == .admin
        }
    }
}

/// A request whose caller was proved to be an administrator. It cannot be made for anybody else.
package struct AdminContext: ChildRequestContext {
    package var coreContext: CoreRequestContextStorage
    package let identity: Identity

    package init(context: EdgeContext) throws {
        guard let identity = context.identity else { throw EdgeError.unauthorized("This route needs a key.") }
        guard identity.isAdmin else { throw EdgeError.adminOnly }
        coreContext = context.coreContext
        self.identity = identity
    }
}
