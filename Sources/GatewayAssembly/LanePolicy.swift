/// From settings to what the lane obeys: clocks, attempts, bounds.
import Balancing
import ExchangeFlow
import HTTPEdge
import Settings
import UpstreamLane

enum LanePolicy {
    /// What a reload may change. `started` are the settings of the start: the server's own part stays theirs.
    static func configuration(
        _ settings: GatewaySettings, started: GatewaySettings
    ) throws(GatewayFailure) -> LaneConfiguration {
        let proxies: TrustedProxies
        do { proxies = try TrustedProxies(parsing: started.server.trustedProxies) } catch {
            throw .settings("server.trusted_proxies: \(error)")
        }
        var configuration = LaneConfiguration(replicaName: started.replica.name, trustedProxies: proxies)
        configuration.policy = policy(settings.loadBalancing, started.server)
        configuration.renamesModels = settings.models.answerModel == .alias
        configuration.showsAnswerFields = started.observability.answerHeaders
        configuration.writesAccessLog = started.observability.accessLog
        configuration.allowedOrigins = started.server.cors.allowedOrigins
        return configuration
    }

    private static func policy(_ balancing: LoadBalancingSettings, _ server: ServerSettings) -> ExchangePolicy {
        var policy = ExchangePolicy()
        policy.queue = .seconds(balancing.queueSeconds)
        policy.connect = .seconds(balancing.connectSeconds)
        policy.firstByteStream = .seconds(balancing.firstByteSeconds)
        policy.firstBytePlain = .seconds(balancing.plainFirstByteSeconds)
        policy.stall = .seconds(balancing.stallSeconds)
        policy.total = .seconds(balancing.totalSeconds)
        policy.keepaliveAfter = .seconds(server.keepaliveAfterSeconds)
        policy.keepaliveInterval = .seconds(server.keepaliveIntervalSeconds)
        policy.attemptsMax = balancing.maxAttempts
        policy.retryBudgetPercent = balancing.retryBudgetPercent
        policy.retriesLongPrompts = balancing.retryLongPrompts
        policy.longPromptTokens = balancing.longPromptTokens
        policy.requestBodyBytesMax = server.maxBodyBytes
        // One body of the largest size must always find room.
        policy.bodyBudgetBytes = max(policy.bodyBudgetBytes, 2 * server.maxBodyBytes)
        return policy
    }

    static func loadPolicy(_ settings: GatewaySettings) -> LoadPlanner.Policy {
        var policy = LoadPlanner.Policy()
        policy.swapPatience = .seconds(settings.loadBalancing.swapPatienceSeconds)
        policy.residencyMin = .seconds(settings.loadBalancing.residencyMinSeconds)
        return policy
    }

    static func laneSettings(_ server: ServerSettings) -> LaneSettings {
        LaneSettings(
            limits: ConnectionLimits(
                idle: .seconds(server.idleSeconds), halfClose: server.halfClose == .abort ? .abort : .finish),
            headerBytesMax: server.headerBytesMax, trustedHosts: TrustedHosts(server.trustedHosts))
    }
}
