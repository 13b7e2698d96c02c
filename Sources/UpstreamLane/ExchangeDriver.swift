import Balancing
/// One request's life on the lane: takes what the machine decides and does it.
///
/// Everything here runs on the client connection's event loop, in one call stack unless it must wait for a slot, a
/// connection or the worker. The state that decides lives in `ExchangeMachine`; this class owns the bytes, the slot,
/// the ticket and the upstream connection, and gives each of them back exactly once (L4), whichever way it ends.
///
/// Split by direction: `+Placing` (which worker), `+Upstream` (to and from it), `+Answer` (plain answers and streams),
/// `+Endings` (failures, settlement).
package import Determinism
import ExchangeFlow
import HTTPTypes
import InferenceDialect
import KeyReplication
package import NIOCore
import ReplicaCore

package final class ExchangeDriver: LaneExchange, DeadlineTarget {
    let loop: LoopContext
    let facts: ConnectionFacts
    let route: InferenceRoute
    let head: HTTPRequest
    let fields: RequestFields
    /// Let go at settlement, which breaks the cycle with the connection side.
    var client: (any ExchangeClient)?
    let configuration: LaneConfiguration
    let view: RoutingView
    let startedAt: Instant
    let requestID: String
    package var wheelPlace = WheelPlace.none

    var machine: ExchangeMachine
    var tenant: AuthenticatedTenant?

    // The request.
    private var scan: RequestScan
    var scanned: ScannedRequest?
    var body: [ByteBuffer] = []
    var bodyBytes = 0
    private var budgetTaken = 0

    // Where it goes.
    var modelPosition = -1
    var triedPositions: [Int] = []
    var placement: PlacedWorker?
    var ticket: TicketID?
    /// Of one that waits in no line for a model to be loaded.
    var loadWish: TicketID?
    /// It was this exchange's turn in the queue, so it goes back to the front if the slot is gone.
    var wasWoken = false
    var admittedAt: Instant
    var queuedNanoseconds: Int64 = 0
    var queuedSince = Instant.never
    var ignoredParameters: [String] = []

    // What comes back.
    var connection: UpstreamConnection?
    var answer = Answer.none
    var answerHead: (head: ResponseHead, bytes: ByteBuffer)?
    var stream: StreamState?
    /// Of answers in which names are written over.
    var answerNames: AnswerNames?
    /// Where prompts are asked one by one.
    var series: PromptSeries?
    var plainScan = PlainAnswerScan()
    var errorBytes = ByteBuffer()
    var lastFailure: AttemptFailure?

    // Suspicion.
    /// A worker died while it was under way: it is tried alone, or not at all.
    var isSuspect = false
    /// The worker's connection ended of itself, as it does when the worker dies. An answer that ends by its framing shows that
    /// it lives, even if it says nothing.
    var wasCutOff = false
    /// The worker that is kept free of others for it, by its position among the model's placements.
    var reservation: Int?
    private var knownFingerprint: UInt64?

    // For the log.
    var status = 0
    var firstEventAt = Instant.never
    var lastEventAt = Instant.never
    var lastReadAt = Instant.zero
    var sentAt = Instant.never
    var attemptSentAt = Instant.never
    /// Of a worker whose plain answers are sent on when they are whole, or where all of it is needed to name its model.
    var heldPlain = ByteBuffer()
    var answerBytes = 0
    var usage: TokenUsage?
    var clientMessage: String?
    var lastWorkerID = ""
    var waitingIdentity = 0

    /// Who the client is, by the proxies we trust. Asked for at most twice an exchange.
    var clientAddress: ClientAddress {
        ClientAddress(
            peer: facts.peerAddress, forwardedFor: fields.forwardedFor,
            trusted: configuration.trustedProxies)
    }

    /// By an operator, on whatever replica.
    private var isBlocked: Bool {
        let flock = loop.shared.board.flock
        guard flock.hasAnyBlocked else { return false }
        let client = clientAddress.client
        return flock.isBlocked(high: client.high, low: client.low, at: startedAt)
    }

    var clientText: String { clientAddress.client.description }

    /// `assembled`: a stream of which a plain answer is made.
    enum Answer { case none, plain, stream, assembled, error }

    /// A slot taken on a worker, and what is owed for it.
    struct PlacedWorker {
        let position: Int
        let worker: Worker
        let dialect: WorkerDialect
        let upstreamName: String
        let model: ModelIndex
        /// What keeps the model in the worker's memory.
        let use: WorkerBoard.ModelUse
        let isBreakerProbe: Bool
        /// No token came yet.
        var isUnproven = true
        /// How a plain answer is asked for there.
        let plainAnswer: PlainAnswerForm
        /// Tokens of the prompt that the worker was believed to have.
        let believedCached: Int
        /// The others, and the answer's: what stands before later exchanges.
        let promptTokens: Int
        let outputTokens: Int
        /// What stood before it when it came.
        let promptTokensAhead: Int
        /// Choices times prompts: each may take a place there.
        let sequences: Int
        /// Exchanges that ran there with it at its beginning, itself among them.
        let batch: Int
        var owesPromptTokens = true
        var since: Instant
    }

    /// What is asked of a worker whose client wants a plain answer.
    enum PlainAnswerForm {
        case plain
        /// A stream: the worker stops when its client leaves, and the answer is put together here.
        case assembled
        /// Plain, though the worker goes on without a client: what the client wants comes in no stream.
        case orphaned
    }

    /// The latest failed attempt, kept so that the last word to the client is about something that happened.
    struct AttemptFailure {
        var outcome: AttemptOutcome
        var detail: String
        var workerID: String
        var status: Int?
        var body: [UInt8]?
        var contentType: String?
    }

    init(
        loop: LoopContext, head: HTTPRequest, route: InferenceRoute, facts: ConnectionFacts, client: any ExchangeClient,
        at now: Instant
    ) {
        self.loop = loop
        self.facts = facts
        self.route = route
        self.head = head
        fields = RequestFields(head.headerFields)
        self.client = client
        configuration = loop.configuration
        view = loop.view
        startedAt = now
        admittedAt = now
        requestID = loop.requestID(proposed: fields.requestID)
        machine = ExchangeMachine(policy: configuration.policy, at: now)
        scan = RequestScan(route: route)
    }

    // MARK: The request comes in

    /// Looks at the head. May answer, and end, at once.
    package func begin() {
        loop.exchangeOpened()
        if isBlocked {
            return refuse(
                ClientError(
                    status: 403, outcome: .forbidden,
                    message: "This address is blocked for a while. Ask whoever runs this gateway.",
                    type: "invalid_request_error", code: "address_blocked", shouldRetry: false))
        }
        let authentication = loop.authenticate(fields.authorization)
        switch authentication {
        case .success(let found): tenant = found
        case .failure(let failure):
            return refuse(
                ClientError(
                    status: 401, outcome: .unauthorized, message: failure.message, type: "invalid_request_error",
                    code: "invalid_api_key"))
        }
        if let text = fields.contentLength {
            // The codec refused what is not a number; more digits than an Int holds is more than any limit.
            let declared = Int(text) ?? .max
            if declared > configuration.policy.requestBodyBytesMax { return refuseTooLarge() }
            guard takeBudget(declared) else { return refuseForMemory() }
        }
        if let type = fields.contentType, type.utf8.count >= 19, type.lowercased().hasPrefix("multipart/") {
            return refuse(
                ClientError(
                    status: 415, outcome: .invalid,
                    message: "This route takes a JSON body; multipart uploads are not relayed.",
                    type: "invalid_request_error", code: "unsupported_media_type"))
        }
        armClock()
    }

    package func body(_ bytes: ByteBuffer) {
        guard machine.phase == .collecting else { return }
        bodyBytes += bytes.readableBytes
        if bodyBytes > configuration.policy.requestBodyBytesMax { return refuseTooLarge() }
        if bodyBytes > budgetTaken, !takeBudget(bodyBytes - budgetTaken) { return refuseForMemory() }
        do throws(ScanFailure) {
            // One pass, slice by slice, where the bytes lie.
            try bytes.readableBytesView.withUnsafeBytes { (raw) throws(ScanFailure) in try scan.feed(raw) }
        } catch {
            return refuse(ClientError(error))
        }
        keep(bytes)
        machine.bodyArrived(at: loop.now())
    }

    /// A piece pins the whole read buffer it lies in, which a body that dribbles in would do for every few of its bytes:
    /// small pieces are copied together.
    private func keep(_ bytes: ByteBuffer) {
        let last = body.count - 1
        if bytes.readableBytes < Self.smallPieceBytes, last >= 0, body[last].readableBytes < Self.joinedBytesMax {
            body[last].writeImmutableBuffer(bytes)
        } else {
            body.append(bytes)
        }
    }

    /// Pieces below this are copied behind the one before, until that is as long as a usual read.
    private static let smallPieceBytes = 2_048
    private static let joinedBytesMax = 64 << 10

    package func end() {
        guard machine.phase == .collecting else { return }
        let scanned: ScannedRequest
        do throws(ScanFailure) {
            scanned = try scan.finish()
        } catch {
            return refuse(ClientError(error))
        }
        self.scanned = scanned
        guard let model = scanned.model, let position = view.resolve(model) else {
            return refuse(unknownModel(scanned.model ?? ""))
        }
        modelPosition = position
        if let failure = contextFailure(scanned, view.models[position]) { return refuse(failure) }
        let now = loop.now()
        admittedAt = now
        // A comment is harmless in the event streams of these two routes; other routes have typed events.
        let sendsKeepalives = scanned.stream && (route == .chatCompletions || route == .completions)
        machine.admitted(
            isStream: scanned.stream, sendsKeepalives: sendsKeepalives, promptTokens: scanned.estimatedPromptTokens,
            at: now)
        loop.retryBudget.noteExchange(at: now)
        if !loop.shared.poison.hasNone {
            switch loop.shared.poison.judge(fingerprint(), at: now) {
            case .unknown: break
            case .suspect: suspected()
            case .convicted: return refuse(poisoned(status: 422))
            }
        }
        place(at: now)
    }

    /// What it asks, as one number. Computed when somebody wants to know, which is seldom.
    func fingerprint() -> UInt64 {
        if let knownFingerprint { return knownFingerprint }
        guard let scanned else { return 0 }
        var made = RequestFingerprint(scanned, route: route, salt: loop.shared.poison.salt)
        for part in body { part.readableBytesView.withUnsafeBytes { made.feed($0) } }
        knownFingerprint = made.digest()
        return made.digest()
    }

    private func contextFailure(_ scanned: ScannedRequest, _ model: RoutingView.ModelEntry) -> ClientError? {
        // Deliberately low, so that only what cannot fit is refused here; the worker counts exactly.
        let least = (scanned.promptBytes + 5) / 6 + 1
        guard let largest = model.contextTokensMax, least > largest else { return nil }
        return ClientError(
            status: 400, outcome: .invalid,
            message:
                "This model's maximum context length is \(largest) tokens, and the prompt alone has at least \(least). "
                + "Please shorten it.",
            type: "invalid_request_error", param: "messages", code: "context_length_exceeded")
    }

    private func unknownModel(_ name: String) -> ClientError {
        let known = view.modelNames
        let listed = known.prefix(20).joined(separator: ", ") + (known.count > 20 ? ", …" : "")
        return ClientError(
            status: 404, outcome: .modelNotFound,
            message: known.isEmpty
                ? "The model '\(name.prefix(256))' does not exist: no worker declares a model."
                : "The model '\(name.prefix(256))' does not exist. Available models: \(listed).",
            type: "invalid_request_error", param: "model", code: "model_not_found")
    }

    private func refuseTooLarge() {
        refuse(
            ClientError(
                status: 413, outcome: .invalid,
                message: "The request body is larger than \(configuration.policy.requestBodyBytesMax >> 20) MiB, "
                    + "the limit of this gateway (server.max_body_mb).",
                type: "invalid_request_error", code: "request_too_large"))
    }

    private func refuseForMemory() {
        refuse(
            ClientError(
                status: 503, outcome: .saturated,
                message: "This replica holds as many request bodies as it may. Try again shortly.",
                type: "server_error", code: "request.body_budget", retryAfter: 1, shouldRetry: true))
    }

    // MARK: Memory

    private func takeBudget(_ bytes: Int) -> Bool {
        guard loop.takeBodyBudget(bytes, of: configuration.policy.bodyBudgetBytes) else { return false }
        budgetTaken += bytes
        return true
    }

    func returnBudget() {
        loop.returnBodyBudget(budgetTaken)
        budgetTaken = 0
        body = []
    }

    // MARK: The client's side

    package func clientGone() {
        guard machine.phase != .settled else { return }
        // A client that has read the whole stream may leave before the worker has closed its side.
        if let stream, stream.isProven, machine.isContentCommitted {
            finishAttempt(.answered)
            return settle(.answered)
        }
        loop.tallyCancellation(in: cancelPhase)
        if placement?.plainAnswer == .orphaned { leaveOrphan() }
        finishAttempt(.cancelled)
        settle(.cancelled)
    }

    private var cancelPhase: String {
        switch machine.phase {
        case .collecting: "collecting"
        case .placing, .queued: "queued"
        case .connecting: "connecting"
        case .sent: "prefill"
        case .answering: firstEventAt != .never ? "decode" : "prefill"
        case .settled: "settled"
        }
    }

    package func clientWritable(_ writable: Bool) {
        guard machine.phase != .settled else { return }
        machine.clientWritable(writable, at: loop.now())
        connection?.pause(!writable)
        armClock()
    }

    package func endTruthfully() {
        guard machine.phase != .settled else { return }
        // Only the worker's goodbye is missing: that is no reason to call a whole answer unfinished.
        if stream?.isProven == true, machine.isContentCommitted || answer == .assembled { return streamEnded() }
        finishAttempt(.cancelled)
        conclude(
            ClientError(
                status: 503, outcome: .drained,
                message: "This replica is shutting down before the answer was complete.",
                type: "server_error", code: "gateway.draining", retryAfter: 1, shouldRetry: true))
    }

    // MARK: Clocks

    func armClock() { loop.wheel.arm(self, at: machine.nextDeadline) }

    package func deadlinePassed(at now: Instant) -> Instant {
        switch machine.rang(at: now) {
        case .nothing: break
        case .bodyGapExpired:
            client?.closeAfterAnswer()
            refuse(
                ClientError(
                    status: 408, outcome: .invalid, message: "The request body did not arrive in time.",
                    type: "invalid_request_error", code: "request.body_timeout"))
        case .lookAgain: placeAgain(at: now)
        case .queueExpired: queueExpired(at: now)
        case .connectExpired: attemptFailed(.connectTimedOut, "no connection within \(machine.policy.connect)")
        case .firstByteExpired:
            attemptFailed(
                .firstByteTimedOut,
                "no token within \(machine.isStream || placement?.plainAnswer == .assembled ? machine.policy.firstByteStream : machine.policy.firstBytePlain)"
            )
        // Only the worker's goodbye is missing.
        case .stallExpired where stream?.isProven == true: streamEnded()
        case .stallExpired: attemptFailed(.stalled, "no event within \(machine.clocks.stall)")
        case .totalExpired:
            finishAttempt(.cancelled)
            conclude(
                ClientError(
                    status: 504, outcome: .timedOut, message: "The exchange took longer than \(machine.policy.total).",
                    type: "server_error", code: "gateway.total_timeout", shouldRetry: false))
        case .silent: workerIsSilent(at: now)
        case .writeStallExpired:
            // A client that reads nothing cannot be told anything.
            finishAttempt(.cancelled)
            loop.tallyCancellation(in: "write_stall")
            let client = client
            settle(.cancelled)
            client?.cutConnection()
        case .keepaliveDue: sendKeepalive(at: now)
        }
        return machine.nextDeadline
    }
}
