/// Big-endian integers into room that was measured before. Whoever writes more than it measured has broken W2: no packet
/// is longer than its budget.
package struct ByteWriter {
    private let room: UnsafeMutableRawBufferPointer
    package private(set) var offset = 0

    package init(_ room: UnsafeMutableRawBufferPointer) { self.room = room }

    @inline(__always)
    package mutating func u8(_ value: UInt8) { integer(value) }
    @inline(__always)
    package mutating func u16(_ value: UInt16) { integer(value) }
    @inline(__always)
    package mutating func u32(_ value: UInt32) { integer(value) }
    @inline(__always)
    package mutating func u64(_ value: UInt64) { integer(value) }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        let end = advance(bytes.count)
        UnsafeMutableRawBufferPointer(rebasing: room[(end - bytes.count)..<end]).copyMemory(from: bytes)
    }

    @inline(__always)
    private mutating func integer<Value: FixedWidthInteger>(_ value: Value) {
        let end = advance(MemoryLayout<Value>.size)
        room.storeBytes(of: value.bigEndian, toByteOffset: end - MemoryLayout<Value>.size, as: Value.self)
    }

    @inline(__always)
    private mutating func advance(_ count: Int) -> Int {
        precondition(count <= room.count - offset, "an encoder writes what it counted, no more (W2)")
        offset += count
        return offset
    }
}

extension [UInt8] {
    /// Appends `count` bytes, zeros where `body` writes none.
    package mutating func append(count: Int, _ body: (inout ByteWriter) -> Void) {
        let start = self.count
        append(contentsOf: repeatElement(0, count: count))
        withUnsafeMutableBytes { bytes in
            var writer = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
            body(&writer)
        }
    }
}
