/// The port: Hummingbird's server with our router behind it and the lane's handlers inside every connection.
///
/// Plain HTTP/1, or TLS with HTTP/1 and HTTP/2 by negotiation. The HTTP/1 idle clock stays off: Hummingbird does not see
/// the lane's requests and would close connections in the middle of a stream; the lane has its
/// own. On HTTP/2 the clock counts open streams and may be set.
package import Hummingbird
import HummingbirdCore
import HummingbirdHTTP2
package import Logging
package import NIOCore
import NIOSSL
package import Settings

/// Why the port could not be opened as the settings say.
package struct ListenerFailure: Error, Equatable, CustomStringConvertible {
    /// The setting to look at, what is wrong, and with which file.
    package let description: String
}

package enum Listener {
    package typealias Responder = RouterResponder<EdgeContext>

    /// Connections accepted in one turn of a loop. With NIO's four, each of a thousand clients that come at once makes
    /// the turns longer that the others wait through: the last was let in after seconds.
    static let acceptsPerTurn: UInt = 256

    /// The lane answers 431 above `server.header_bytes_max`. The decoder's own limit only breaks the connection, so it
    /// stands well above and is met by those who send without end.
    static func decoderBytesMax(_ headerBytesMax: Int) -> Int { max(80 * 1024, 2 * headerBytesMax) }

    /// `makeLaneHandlers` is called once per HTTP/1 connection and once per HTTP/2 stream, on its event loop.
    /// `onBound` is told the port once connections are accepted.
    package static func application(
        settings: ServerSettings, group: any EventLoopGroup, router: Router<EdgeContext>,
        makeLaneHandlers: @escaping @Sendable () -> [any RemovableChannelHandler], logger: Logger,
        onBound: @escaping @Sendable (_ port: Int) async -> Void
    ) throws(ListenerFailure) -> Application<Responder> {
        let bytesMax = decoderBytesMax(settings.headerBytesMax)
        let limits = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: bytesMax, maxHeaderListSize: bytesMax)
        let channel = HTTP1Channel.Configuration(
            additionalChannelHandlers: makeLaneHandlers(), idleTimeout: nil, httpDecoderConfiguration: limits)
        return Application(
            router: router, server: try server(settings, channel),
            configuration: ApplicationConfiguration(
                address: .hostname(bindHost(settings.host), port: settings.port), serverName: nil,
                backlog: settings.backlog),
            onServerRunning: { channel in
                // Best effort: with the default a crowd is let in slowly, and nothing worse.
                try? await channel.setOption(.maxMessagesPerRead, value: acceptsPerTurn).get()
                await onBound(channel.localAddress?.port ?? settings.port)
            },
            eventLoopGroupProvider: .shared(group), logger: logger)
    }

    private static func server(
        _ settings: ServerSettings, _ channel: HTTP1Channel.Configuration
    ) throws(ListenerFailure) -> HTTPServerBuilder {
        guard let tls = settings.tls else { return .http1(configuration: channel) }
        let configuration = try tlsConfiguration(tls)
        do {
            return try .http2Upgrade(
                tlsConfiguration: configuration,
                configuration: .init(idleTimeout: .seconds(settings.idleSeconds), streamConfiguration: channel))
        } catch {
            throw ListenerFailure(description: "server.tls: \(error)")
        }
    }

    private static func tlsConfiguration(
        _ tls: ServerSettings.TLS
    ) throws(ListenerFailure) -> TLSConfiguration {
        let chain: [NIOSSLCertificate]
        do { chain = try NIOSSLCertificate.fromPEMFile(tls.certificate) } catch {
            throw ListenerFailure(
                description:
                    "server.tls.certificate: \"\(tls.certificate)\" is not a readable PEM file of certificates "
                    + "(\(error))")
        }
        guard !chain.isEmpty else {
            throw ListenerFailure(description: "server.tls.certificate: \"\(tls.certificate)\" holds no certificate")
        }
        let key: NIOSSLPrivateKey
        do { key = try NIOSSLPrivateKey(file: tls.key, format: .pem) } catch {
            throw ListenerFailure(
                description: "server.tls.key: \"\(tls.key)\" is not a readable PEM file of a private key (\(error))")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        // Building a context once shows now, and not at the first connection, that the two belong together.
        do { _ = try NIOSSLContext(configuration: configuration) } catch {
            throw ListenerFailure(
                description: "server.tls: \"\(tls.key)\" is not the key of \"\(tls.certificate)\" (\(error))")
        }
        return configuration
    }

    /// Brackets belong to URLs; the system's resolver does not know them.
    private static func bindHost(_ host: String) -> String {
        host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    }
}
