/// What a request asks, as one number: the same for a client's own retry through any replica, whether it streams or not.
import Determinism

package struct RequestFingerprint {
    private var hash: StableHash64
    private let asides: [Range<Int>]
    private var next = 0
    /// Bytes of earlier slices.
    private var base = 0

    /// `salt`: the cluster's own, so that nobody outside can make two requests look the same.
    package init(_ scan: ScannedRequest, route: InferenceRoute, salt: UInt64) {
        hash = StableHash64(seed: salt)
        hash.update(route.path)
        asides = scan.asides.ranges
    }

    /// The body, slice by slice: all of it but the members that do not change what is asked.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        var from = 0
        while next < asides.count, asides[next].lowerBound < base + bytes.count {
            let begin = max(asides[next].lowerBound - base, from)
            hash.update(UnsafeRawBufferPointer(rebasing: bytes[from..<begin]))
            from = min(asides[next].upperBound - base, bytes.count)
            guard asides[next].upperBound <= base + bytes.count else { break }
            next += 1
        }
        if from < bytes.count { hash.update(UnsafeRawBufferPointer(rebasing: bytes[from...])) }
        base += bytes.count
    }

    package func digest() -> UInt64 { hash.digest() }
}
