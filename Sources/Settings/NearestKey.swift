/// Finds the word an operator probably meant: optimal string alignment distance (Damerau 1964), where swapping two
/// neighbours is one slip and not two.
///
/// A word further away than a third of its length (at least two slips) is no suggestion but a guess, and says nothing.
package enum NearestKey {
    package static func of(_ word: String, among known: [String]) -> String? {
        let letters = Array(word.unicodeScalars)
        guard letters.count <= 128 else { return nil }
        var best: (word: String, distance: Int)?
        for candidate in known {
            let other = Array(candidate.unicodeScalars)
            let allowed = max(2, max(letters.count, other.count) / 3)
            guard abs(letters.count - other.count) <= allowed else { continue }
            let distance = distance(letters, other)
            // A three-letter word two slips away shares one letter with ours: that is not a typo.
            guard distance <= allowed, distance < min(letters.count, other.count) else { continue }
            if best == nil || distance < best!.distance { best = (candidate, distance) }
        }
        return best?.word
    }

    static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            for column in 1...right.count {
                let cost = left[row - 1] == right[column - 1] ? 0 : 1
                var value = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + cost)
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    value = min(value, beforeLast[column - 2] + 1)
                }
                current.append(value)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
