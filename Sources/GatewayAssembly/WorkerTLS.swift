/// TLS to workers, made when workers are configured and never on a request's path: contexts for the lane's connections,
/// configurations for the probes' client, by node id.
import NIOSSL
import ReplicaCore
import Settings

final class WorkerTLS: Sendable {
    struct Made: Sendable {
        var contexts: [String: NIOSSLContext] = [:]
        var configurations: [String: TLSConfiguration] = [:]
    }

    let contexts: Published<[String: NIOSSLContext]>
    let configurations: Published<[String: TLSConfiguration]>

    init(_ made: Made) {
        contexts = Published(made.contexts)
        configurations = Published(made.configurations)
    }

    func publish(_ made: Made) {
        contexts.publish(made.contexts)
        configurations.publish(made.configurations)
    }

    /// Throws the sentence for the first worker whose TLS cannot be set up.
    static func make(for nodes: [ClusterNodeSettings]) throws(GatewayFailure) -> Made {
        var made = Made()
        for node in nodes where node.tls {
            let configuration = try configuration(for: node)
            do {
                made.contexts[node.nodeID] = try NIOSSLContext(configuration: configuration)
            } catch {
                throw .settings("cluster_nodes \"\(node.nodeID)\": TLS cannot be set up (\(error))")
            }
            made.configurations[node.nodeID] = configuration
        }
        return made
    }

    private static func configuration(for node: ClusterNodeSettings) throws(GatewayFailure) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        guard !node.tlsCA.isEmpty else { return configuration }
        let authorities: [NIOSSLCertificate]
        do {
            authorities = try NIOSSLCertificate.fromPEMFile(node.tlsCA)
        } catch {
            throw .settings(
                "cluster_nodes \"\(node.nodeID)\": tls_ca \"\(node.tlsCA)\" is not a readable PEM file of certificates "
                    + "(\(error))")
        }
        guard !authorities.isEmpty else {
            throw .settings("cluster_nodes \"\(node.nodeID)\": tls_ca \"\(node.tlsCA)\" holds no certificate")
        }
        configuration.trustRoots = .certificates(authorities)
        return configuration
    }
}
