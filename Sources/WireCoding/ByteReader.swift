/// Big-endian integers out of bytes that somebody sent.
///
/// A read past the end gives zero and is remembered. So a decoder reads its fields in a row, as the table of the format
/// has them, and asks once whether all were there; with an optional for each field, the one forgotten `guard` is the bug.
package struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    /// Something was read that was not there, or that cannot be.
    package private(set) var isBroken = false

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    package var remaining: Int { bytes.count - offset }
    /// Every byte was read, and none too many.
    package var isComplete: Bool { !isBroken && offset == bytes.count }

    @inline(__always)
    package mutating func u8() -> UInt8 { integer() }
    @inline(__always)
    package mutating func u16() -> UInt16 { integer() }
    @inline(__always)
    package mutating func u32() -> UInt32 { integer() }
    @inline(__always)
    package mutating func u64() -> UInt64 { integer() }

    /// The next `count` bytes; none of them when they are not all there.
    package mutating func take(_ count: Int) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else {
            breakOff()
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
    }

    /// What was read makes no sense: the rest is not read, and a loop over it ends.
    package mutating func breakOff() {
        isBroken = true
        offset = bytes.count
    }

    @inline(__always)
    private mutating func integer<Value: FixedWidthInteger>() -> Value {
        let size = MemoryLayout<Value>.size
        guard size <= remaining else {
            breakOff()
            return 0
        }
        defer { offset += size }
        return Value(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
