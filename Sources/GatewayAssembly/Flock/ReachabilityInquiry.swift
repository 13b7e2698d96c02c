/// Asks every member, over HTTP, whom it cannot reach: a bad link is seen by those at its two ends alone.
import AsyncHTTPClient
import Foundation
import HTTPEdge
import NIOCore
import NIOHTTP1
import NIOSSL
import Settings

struct ReachabilityInquiry: Sendable {
    struct Place: Sendable {
        let name: String
        let host: String
        let port: UInt16
    }

    typealias Pair = ReachabilityPage.Pair

    /// How long a member may take.
    static let patience = Duration.seconds(2)
    /// How long all of them may take; the command waits ten seconds.
    static let patienceForAll = Duration.seconds(8)
    static let atOnceMax = 64
    static let answerBytesMax = 1 << 20

    private let tls: TLSConfiguration?

    /// `tls`: as this replica serves, so do the others. Their certificates are signed by whom the system trusts, or are this
    /// replica's own; they are made for the name that clients know, not for addresses.
    init(tls: ServerSettings.TLS?) {
        self.tls = tls.map { tls in
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .noHostnameVerification
            configuration.additionalTrustRoots = [.file(tls.certificate)]
            return configuration
        }
    }

    /// What each tells, in the order of the places; nil where there was no answer in time. `authorization`: the field of whoever
    /// asks this replica, who may ask the others the same.
    func ask(_ places: [Place], authorization: String?) async -> [[Pair]?] {
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(Self.patience.components.seconds)))
        configuration.httpVersion = .http1Only
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let deadline = ContinuousClock.now + Self.patienceForAll
        var answers = [[Pair]?](repeating: nil, count: places.count)
        await withTaskGroup(of: (Int, [Pair]?).self) { group in
            var next = 0
            func askNext() {
                guard next < places.count else { return }
                let (index, place) = (next, places[next])
                next += 1
                group.addTask { (index, await ask(place, authorization, client, until: deadline)) }
            }
            for _ in 0..<Self.atOnceMax { askNext() }
            for await (index, answer) in group {
                answers[index] = answer
                askNext()
            }
        }
        try? await client.shutdown()
        return answers
    }

    private func ask(
        _ place: Place, _ authorization: String?, _ client: HTTPClient, until deadline: ContinuousClock.Instant
    ) async -> [Pair]? {
        let left = min(Self.patience, deadline - .now)
        guard place.port != 0, left > .zero else { return nil }
        let host = place.host.contains(":") ? "[\(place.host)]" : place.host
        var request = HTTPClientRequest(
            url: "\(tls == nil ? "http" : "https")://\(host):\(place.port)/v1/cluster/reachability?local=true")
        if let authorization { request.headers.add(name: "authorization", value: authorization) }
        do {
            // The deadline holds for the body as well.
            let response = try await client.execute(request, timeout: TimeAmount(left))
            guard response.status == .ok else { return nil }
            let body = try await response.body.collect(upTo: Self.answerBytesMax)
            return try JSONDecoder().decode(Page.self, from: Data(body.readableBytesView)).failures.map {
                Pair(from: place.name, to: $0.to, why: $0.why)
            }
        } catch {
            return nil
        }
    }

    private struct Page: Decodable {
        struct Failure: Decodable {
            let to: String
            let why: String
        }
        let failures: [Failure]
    }
}
