/// Watches a worker's event stream where its bytes lie: where frames end and what kind each is.
///
/// It never delays, rewrites or decodes. A frame that lies whole in one chunk is read in place; only a frame cut by the
/// end of a chunk is copied, up to a bound. Line ends are LF, CRLF and CR, as the standard has them (WHATWG HTML, 9.2.5).
package struct EventStreamCutter: Sendable {
    /// Bytes of one frame that are looked into. A larger one is passed on as `oversized`.
    package static let frameBytesMax = 1 << 20
    /// Bytes of an error event that are kept for the client and the log.
    package static let errorBytesMax = 2 << 10
    /// Room that a stream keeps between frames; one huge frame must not be remembered for an hour.
    static let keptCapacityMax = 4 << 10

    package struct Frame: Equatable, Sendable {
        /// Offset in this chunk just past the frame's blank line.
        package let end: Int
        package let kind: Kind
    }

    package enum Kind: Equatable, Sendable {
        /// Only comments, or nothing that the standard would dispatch.
        case comment(progress: Bool)
        /// An event whose delta has a role and nothing to read.
        case role
        /// An event with nothing to read.
        case null
        /// An event whose data is no object at all: `null`, or nothing. No client expects one.
        case empty
        case content
        /// A finish without content.
        case finish
        /// An event with nothing to read but how much of the prompt is computed, of a kind that is asked for such events.
        case progress(isNews: Bool)
        /// No choices, and a count of tokens.
        case usage
        case error
        /// `[DONE]`
        case done
        /// An event of another shape.
        case other
        /// Larger than is looked into.
        case oversized
    }

    package private(set) var facts = StreamFacts()
    /// Put together from the events, where a plain answer is made of them.
    package private(set) var assembly: AnswerAssembly?

    /// The assembly with what it has so far, for the next stream of the same answer.
    package mutating func takeAssembly() -> AnswerAssembly? {
        defer { assembly = nil }
        return assembly
    }

    private let route: InferenceRoute
    private let counting: UsageCounting
    private let commentProgress: Bool
    private let eventProgress: Bool
    /// The beginning of a frame that the last chunk did not end.
    private var pending: [UInt8] = []
    private var isOversized = false
    /// The last byte was a CR: an LF after it belongs to the same line end.
    private var skipsLF = false
    /// The line at hand has no byte yet.
    private var lineIsEmpty = true
    private var frameHasBytes = false
    private var promptDone = -1
    /// The last event of progress: of which choice, and how far. A choice may be behind another one.
    private var lastProgress: (choices: UInt128, done: Int) = (0, -1)

    package init(
        route: InferenceRoute, commentProgress: Bool, eventProgress: Bool = false, counting: UsageCounting = .lastWins,
        assembly: AnswerAssembly? = nil
    ) {
        self.route = route
        self.commentProgress = commentProgress
        self.eventProgress = eventProgress
        self.counting = counting
        self.assembly = assembly
    }

    /// Whether the bytes so far end with a whole frame.
    package var isAtBoundary: Bool { !frameHasBytes }

    /// Appends one `Frame` for every frame that ends in this chunk.
    package mutating func feed(_ chunk: UnsafeRawBufferPointer, into frames: inout [Frame]) {
        var place = 0
        var frameStart = 0
        while place < chunk.count {
            if skipsLF {
                skipsLF = false
                if chunk[place] == 0x0a {
                    place += 1
                    // The line end is whole now; if it ended a frame, this byte still belongs to it.
                    if !frameHasBytes { frameStart = place }
                    continue
                }
            }
            let lineEnd = ByteSearch.first(of: 0x0a, or: 0x0d, in: chunk, from: place)
            if lineEnd > place {
                lineIsEmpty = false
                frameHasBytes = true
            }
            guard lineEnd < chunk.count else { break }
            place = lineEnd + 1
            if chunk[lineEnd] == 0x0d {
                // A CRLF in one piece is one step; one cut between chunks is remembered.
                if place < chunk.count, chunk[place] == 0x0a { place += 1 } else { skipsLF = place == chunk.count }
            }
            guard lineIsEmpty else {
                lineIsEmpty = true
                continue
            }
            let kind = classify(UnsafeRawBufferPointer(rebasing: chunk[frameStart..<lineEnd]))
            frames.append(Frame(end: place, kind: kind))
            frameStart = place
            frameHasBytes = false
        }
        if frameStart < chunk.count, frameHasBytes { keep(UnsafeRawBufferPointer(rebasing: chunk[frameStart...])) }
    }

    /// The bytes have ended: an unfinished last frame is judged as if its blank line had come. Its `end` is 0.
    package mutating func finish(into frames: inout [Frame]) {
        guard frameHasBytes else { return }
        let kind = classify(UnsafeRawBufferPointer(start: nil, count: 0))
        frames.append(Frame(end: 0, kind: kind))
        frameHasBytes = false
        lineIsEmpty = true
    }

    private mutating func keep(_ bytes: UnsafeRawBufferPointer) {
        guard !isOversized else { return }
        guard pending.count + bytes.count <= Self.frameBytesMax else {
            isOversized = true
            pending = []
            return
        }
        pending.append(contentsOf: bytes)
    }

    private mutating func classify(_ rest: UnsafeRawBufferPointer) -> Kind {
        if isOversized || pending.count + rest.count > Self.frameBytesMax {
            isOversized = false
            pending = []
            facts.events += 1
            facts.contentEvents += 1
            assembly?.lostEvent()
            return .oversized
        }
        if pending.isEmpty { return judge(rest) }
        // Taken out while it is judged, and put back empty: a stream cut at every read allocates once.
        var whole: [UInt8] = []
        swap(&whole, &pending)
        whole.append(contentsOf: rest)
        let kind = whole.withUnsafeBytes { judge($0) }
        whole.removeAll(keepingCapacity: whole.count <= Self.keptCapacityMax)
        swap(&whole, &pending)
        return kind
    }

    private mutating func judge(_ frame: UnsafeRawBufferPointer) -> Kind {
        let fields = EventFields(frame)
        let reading = FrameReading(fields, route: route)
        if eventProgress, let progress = reading.progress, [.role, .null].contains(reading.kind) {
            return .progress(isNews: isNews(progress, of: reading.choicesSeen))
        }
        if assembly != nil, fields.hasData { fields.withData { assembly!.feed($0) } }
        switch reading.kind {
        case .comment:
            guard commentProgress, let done = reading.promptDone, done > promptDone else {
                return .comment(progress: false)
            }
            promptDone = done
            return .comment(progress: true)
        case .error:
            if !facts.errorSeen { facts.errorBody = reading.errorBody }
            facts.errorSeen = true
        case .done: facts.doneSeen = true
        case .content: facts.contentEvents += 1
        default: break
        }
        if reading.kind != .done { facts.events += 1 }
        if let usage = reading.usage { facts.count(usage, counting) }
        facts.choicesSeen |= reading.choicesSeen
        facts.choicesFinished |= reading.choicesFinished
        return reading.kind
    }
}

extension EventStreamCutter {
    /// The first event of a prompt says what was cached: nothing was computed for it. What is said again is no news.
    private mutating func isNews(_ progress: FrameReading.Progress, of choices: UInt128) -> Bool {
        defer { lastProgress = (choices, progress.done) }
        return progress.done > progress.cached && lastProgress != (choices, progress.done)
    }
}

/// What a stream has shown so far.
package struct StreamFacts: Equatable, Sendable {
    /// Events with data, `[DONE]` aside.
    package internal(set) var events = 0
    package internal(set) var contentEvents = 0
    /// What the counts that came say together.
    package internal(set) var usage: TokenUsage?
    private var promptsCounted = 0
    private var cachedCounted = 0
    package internal(set) var doneSeen = false
    package internal(set) var errorSeen = false
    /// The first error event's data, at most `EventStreamCutter.errorBytesMax`.
    package internal(set) var errorBody: [UInt8] = []
    /// One bit per choice index below 128.
    var choicesSeen: UInt128 = 0
    var choicesFinished: UInt128 = 0

    mutating func count(_ told: TokenUsage, _ counting: UsageCounting) {
        switch counting {
        case .lastWins:
            // A later count may leave out the prompt, which cannot have changed.
            let known = told.prompt == 0 ? usage : nil
            usage = TokenUsage(
                prompt: known?.prompt ?? told.prompt, completion: told.completion, cached: known?.cached ?? told.cached)
        case .perChoice(let choicesPerPrompt):
            promptsCounted += told.prompt
            cachedCounted += told.cached
            usage = TokenUsage(
                prompt: max(told.prompt, promptsCounted / choicesPerPrompt),
                completion: (usage?.completion ?? 0) + told.completion,
                cached: max(told.cached, cachedCounted / choicesPerPrompt))
        }
    }

    /// At least one choice spoke, and each that spoke gave its reason to stop.
    package var isComplete: Bool { choicesSeen != 0 && choicesSeen & ~choicesFinished == 0 }
}

/// How a stream's counts of tokens make one.
package enum UsageCounting: Equatable, Sendable {
    /// Sent once, or again with the same numbers.
    case lastWins
    /// One count for each choice, each with the whole of its prompt.
    case perChoice(choicesPerPrompt: Int)
}
