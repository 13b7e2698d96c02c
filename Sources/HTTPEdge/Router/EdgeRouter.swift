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
        settings: ServerSettings, facts: any GatewayFacts, authenticator: any Authenticating, metrics: MetricRegistry
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
        admin.get("/v1/cluster/status") { _, _ in adminRoutes.status() }
        admin.post("/admin/config/reload") { _, _ in await adminRoutes.reload() }
        admin.get("/admin/workers") { _, _ in adminRoutes.workers() }
        admin.get("/admin/workers/**") { request, _ in try adminRoutes.worker(path: request.uri.path) }
        admin.post("/admin/workers/**") { request, _ in try adminRoutes.order(path: request.uri.path) }
        admin.get("/admin/decisions/**") { request, _ in try adminRoutes.decision(path: request.uri.path) }
        admin.get("/admin/poison") { _, _ in adminRoutes.poison() }
        admin.delete("/admin/poison") { _, _ in try adminRoutes.forgetPoison(path: nil) }
        admin.delete("/admin/poison/**") { request, _ in try adminRoutes.forgetPoison(path: request.uri.path) }
        return router
    }
}
