/// What all event loops of the lane share: published views to read, boards to count on, and the doors out.
package import KeyReplication
import NIOCore
package import NIOSSL
package import ReplicaCore

package final class LaneShared: Sendable {
    package let routing: Published<RoutingView>
    package let keys: Published<KeyTable>
    package let configuration: Published<LaneConfiguration>
    package let board: WorkerBoard
    package let desk: AdmissionDesk
    package let poison: PoisonTable
    package let beliefs = BeliefBoard()
    /// Judges an `Authorization` field's value against a table; called on a loop, must not block.
    package let judge: @Sendable (String?, KeyTable) -> Result<AuthenticatedTenant, LaneAuthenticationFailure>
    /// Takes one access line, newline included; must not block.
    package let writeLine: @Sendable (UnsafeRawBufferPointer) -> Void
    /// TLS to workers, by worker id; made when the workers are configured, never on a request path.
    package let workerTLS: Published<[String: NIOSSLContext]>
    package let seed: UInt64

    package init(
        routing: Published<RoutingView>, keys: Published<KeyTable>, configuration: Published<LaneConfiguration>,
        board: WorkerBoard, desk: AdmissionDesk, poison: PoisonTable, workerTLS: Published<[String: NIOSSLContext]>,
        seed: UInt64,
        judge: @escaping @Sendable (String?, KeyTable) -> Result<AuthenticatedTenant, LaneAuthenticationFailure>,
        writeLine: @escaping @Sendable (UnsafeRawBufferPointer) -> Void
    ) {
        self.routing = routing
        self.keys = keys
        self.configuration = configuration
        self.board = board
        self.desk = desk
        self.poison = poison
        self.workerTLS = workerTLS
        self.seed = seed
        self.judge = judge
        self.writeLine = writeLine
    }
}

/// Why a credential was not believed, in a sentence for the client that says nothing of which keys exist.
package struct LaneAuthenticationFailure: Error {
    package let message: String
    package init(message: String) { self.message = message }
}
