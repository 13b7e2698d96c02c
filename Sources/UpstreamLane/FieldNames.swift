/// Names of fields that the lane reads or writes, made once.
import HTTPTypes

extension HTTPField.Name {
    static let xRequestID = HTTPField.Name("x-request-id")!
    static let traceparent = HTTPField.Name("traceparent")!
    static let xForwardedFor = HTTPField.Name("x-forwarded-for")!
    static let xForwardedProto = HTTPField.Name("x-forwarded-proto")!
    static let xStarlingAffinity = HTTPField.Name("x-starling-affinity")!
    static let xStarlingReplica = HTTPField.Name("x-starling-replica")!
    static let xStarlingWorker = HTTPField.Name("x-starling-worker")!
    static let xStarlingStrategy = HTTPField.Name("x-starling-strategy")!
    static let xStarlingAttempts = HTTPField.Name("x-starling-attempts")!
    static let xStarlingQueue = HTTPField.Name("x-starling-queue-ms")!
    static let xStarlingIgnored = HTTPField.Name("x-starling-ignored")!
    static let xAccelBuffering = HTTPField.Name("x-accel-buffering")!
    static let xShouldRetry = HTTPField.Name("x-should-retry")!
    static let accessControlExposeHeaders = HTTPField.Name("access-control-expose-headers")!
}
