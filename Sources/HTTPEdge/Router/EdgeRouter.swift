/// The router: everything on the port that is not inference. Plain async code; a mistake here cannot stall a stream.
///
/// The lane handler stands before it on every connection and has judged the head already: an untrusted Host (421), a
/// head too large (431) or ambiguous never comes here.
///
/// Middleware, from the outside in: the request's id, CORS fields, errors into answers, preflights. So whatever is
/// refused inside still has an id, can be read by an allowed page, and has OpenAI's shape.
package import Hummingbird
package import Settings
package import Telemetry

package enum EdgeRouter {
    package static func make(
        settings: ServerSettings, facts: any GatewayFacts, authenticator: any Authenticating, metrics: MetricRegistry,
        flock: (any FlockDesk)? = nil
    ) -> Router<EdgeContext> {
        let routes = RouteTable.standard
        let cors = CORSPolicy(settings.cors.allowedOrigins)
        let router = Router(context: EdgeContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: RequestIdentity())
        router.add(middleware: CORSFields(policy: cors))
        router.add(middleware: ErrorAnswers(routes: routes))
        router.add(middleware: Preflight(policy: cors, routes: routes))

        let health = HealthRoutes(facts: facts)
        router.get("/") { _, _ in health.root() }
        router.get("/health") { _, _ in health.health() }
        router.get("/livez") { _, _ in health.live() }
        router.get("/readyz") { _, _ in health.ready() }
        router.get("/metrics") { _, _ in
            EdgeAnswer.text(.ok, metrics.render(), type: PrometheusText.contentType)
        }

        let known = router.group().add(middleware: KeyCheck(authenticator: authenticator))
        let models = ModelRoutes(facts: facts)
        known.get("/v1/models") { _, _ in models.list() }
        known.get("/v1/models/**") { request, _ in try models.one(path: request.uri.path) }

        let admin = router.group().add(middleware: KeyCheck(authenticator: authenticator)).group(
            context: AdminContext.self)
        let adminRoutes = AdminRoutes(facts: facts)
        let flockRoutes = FlockRoutes(desk: flock, facts: facts, events: FlockEventStreams())
        admin.get("/v1/cluster/status") { _, _ in await flockRoutes.status() }
        admin.get("/v1/cluster/members") { request, _ in try await flockRoutes.members(request.uri.queryParameters) }
        admin.get("/v1/cluster/reachability") { request, _ in try await flockRoutes.reachability(request) }
        admin.get("/v1/cluster/events") { _, _ in try await flockRoutes.eventStream() }
        admin.post("/v1/cluster/join") { request, context in try await flockRoutes.join(request, context) }
        admin.post("/v1/cluster/leave") { _, _ in try await flockRoutes.leave() }
        admin.post("/v1/cluster/force-leave") { request, context in try await flockRoutes.forceLeave(request, context) }
        admin.get("/v1/cluster/keyring") { _, _ in try await flockRoutes.keyring() }
        admin.post("/v1/cluster/keyring/**") { request, context in
            try await flockRoutes.keyring(path: request.uri.path, request, context)
        }
        admin.get("/admin/blocks") { _, _ in try await flockRoutes.blocks() }
        admin.post("/admin/blocks") { request, context in try await flockRoutes.block(request, context) }
        admin.delete("/admin/blocks/**") { request, _ in try await flockRoutes.lift(path: request.uri.path) }
        admin.post("/admin/config/reload") { _, _ in await adminRoutes.reload() }
        admin.get("/admin/workers") { _, _ in adminRoutes.workers() }
        admin.get("/admin/workers/**") { request, _ in try adminRoutes.worker(path: request.uri.path) }
        admin.post("/admin/workers/**") { request, _ in try adminRoutes.order(path: request.uri.path) }
        admin.delete("/admin/workers/**") { request, _ in try adminRoutes.remove(path: request.uri.path) }
        admin.get("/admin/decisions/**") { request, _ in try adminRoutes.decision(path: request.uri.path) }
        admin.get("/admin/poison") { _, _ in adminRoutes.poison() }
        admin.delete("/admin/poison") { _, _ in try adminRoutes.forgetPoison(path: nil) }
        admin.delete("/admin/poison/**") { request, _ in try adminRoutes.forgetPoison(path: request.uri.path) }
        return router
    }
}
