extension Array {
    /// Empties it and keeps its room.
    ///
    /// `removeAll(keepingCapacity:)` goes through a general replacement, some 200 instructions even for an array without
    /// elements: too much for buffers of a few that are emptied at each input.
    @inlinable
    package mutating func drain() {
        while !isEmpty { removeLast() }
    }
}
