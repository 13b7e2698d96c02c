import NIOHTTP1
import SimulatedWorker

/// mlx_lm's pages: two routes, and Python's own words for methods that it does not know.
extension InformationPages {
    func mlx(_ method: HTTPMethod, _ path: String) -> Page {
        guard method == .GET else {
            guard method == .POST else {
                return Page(
                    status: 501, body: Array("<!DOCTYPE HTML>Unsupported method".utf8), type: "text/html;charset=utf-8")
            }
            return notFound
        }
        // The list is the cache on disk, never what is loaded, and one model's page is the whole list.
        if path.hasPrefix("/v1/models") { return models() }
        guard path == "/health" else { return notFound }
        guard machine.threadIsDead, !machine.holds(.lieHealth) else { return ok("ok") }
        var page = ok("unavailable")
        page.status = 503
        return page
    }
}
