/// Prompts whose keys and values a worker still has in memory: the least recently used goes first.
///
/// Entries are whole token sequences and are compared from the front. Ten entries of bounded length make that as fast as
/// a tree and far easier to trust.
package struct PrefixCache: Sendable {
    package let entriesMax: Int
    /// Tokens kept of one entry. What lies beyond is not remembered and computed again.
    package static let tokensMax = 131_072
    /// Most recently used last.
    private var entries: [[UInt32]] = []

    package init(entriesMax: Int) {
        precondition(entriesMax > 0, "a cache without room is a bug")
        self.entriesMax = entriesMax
    }

    package var count: Int { entries.count }
    package var tokens: Int { entries.reduce(0) { $0 + $1.count } }

    /// How many tokens of this prompt need not be computed. The last one always must: its result begins the answer.
    package mutating func reuse(_ prompt: [UInt32]) -> Int {
        var best = 0
        var position: Int?
        for (index, entry) in entries.enumerated() {
            let common = Self.commonPrefix(entry, prompt)
            if common > best {
                best = common
                position = index
            }
        }
        if let position { entries.append(entries.remove(at: position)) }
        return min(best, max(0, prompt.count - 1))
    }

    /// Keeps a sequence; true when another had to go for it. A sequence that continues an entry takes its place.
    @discardableResult
    package mutating func insert(_ sequence: [UInt32]) -> Bool {
        guard !sequence.isEmpty else { return false }
        let kept = sequence.count > Self.tokensMax ? Array(sequence.prefix(Self.tokensMax)) : sequence
        if let covered = entries.firstIndex(where: { Self.commonPrefix($0, kept) == $0.count }) {
            entries.remove(at: covered)
        }
        entries.append(kept)
        guard entries.count > entriesMax else { return false }
        entries.removeFirst()
        return true
    }

    package mutating func removeOldest() { if !entries.isEmpty { entries.removeFirst() } }
    package mutating func removeAll() { entries.removeAll() }

    static func commonPrefix(_ left: [UInt32], _ right: [UInt32]) -> Int {
        let shorter = min(left.count, right.count)
        var common = 0
        while common < shorter, left[common] == right[common] { common += 1 }
        return common
    }
}
