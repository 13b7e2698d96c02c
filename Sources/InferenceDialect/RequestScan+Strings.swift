/// The inside of strings: UTF-8, escapes, surrogates, and the few bytes that are kept.
///
/// Text that nobody keeps, nearly all of a large body, is passed over by `TextRun`; what it does not know (a character
/// or an escape cut by the slice, half a surrogate pair, whatever is wrong) is read here byte by byte.
extension RequestScan {
    /// Passes over the string's bytes until it, or the slice, ends.
    mutating func insideString(_ bytes: UnsafeRawBufferPointer, from start: Int) throws(ScanFailure) -> Int {
        var place = start
        while place < bytes.count {
            if continuations > 0 {
                try continuation(bytes[place], at: base + place)
                keep(bytes, place..<(place + 1))
                place += 1
                continue
            }
            if highSurrogate == 0, captured.count >= captureMax {
                var run = TextRun(at: place)
                run.pass(bytes)
                scalarBytes += run.end - place - run.escaped
                place = run.end
            } else {
                let end = TextRun.endOfPlain(bytes, from: place)
                if end > place {
                    try requireNoSurrogate(at: base + place)
                    keep(bytes, place..<end)
                    place = end
                }
            }
            guard place < bytes.count else { break }
            let byte = bytes[place]
            switch byte {
            case UInt8(ascii: "\""):
                try requireNoSurrogate(at: base + place)
                try stringEnded(at: base + place)
                return place + 1
            case UInt8(ascii: "\\"):
                state = .escape
                return place + 1
            case 0..<0x20:
                throw .notJSON("a control character inside a string", at: base + place)
            default:
                try requireNoSurrogate(at: base + place)
                try lead(byte, at: base + place)
                keep(bytes, place..<(place + 1))
                place += 1
            }
        }
        return place
    }

    private mutating func keep(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        scalarBytes += range.count
        let room = captureMax - captured.count
        if room > 0 { captured.append(UnsafeRawBufferPointer(rebasing: bytes[range.prefix(room)])) }
    }

    private mutating func keep(_ byte: UInt8) {
        if captured.count < captureMax { captured.append(byte) }
    }

    private mutating func stringEnded(at offset: Int) throws(ScanFailure) {
        if isKey {
            if outer.isEmpty { rootKey = scalarStart..<(offset + 1) }
            state = .colon
            return try keyEnded()
        }
        state = .afterValue
        try scalarEnded(.string, end: offset + 1)
    }

    // MARK: UTF-8 (Unicode 15, table 3-7)

    private mutating func lead(_ byte: UInt8, at offset: Int) throws(ScanFailure) {
        continuationMin = 0x80
        continuationMax = 0xbf
        switch byte {
        case 0xc2...0xdf: continuations = 1
        case 0xe0...0xef:
            continuations = 2
            if byte == 0xe0 { continuationMin = 0xa0 }
            if byte == 0xed { continuationMax = 0x9f }
        case 0xf0...0xf4:
            continuations = 3
            if byte == 0xf0 { continuationMin = 0x90 }
            if byte == 0xf4 { continuationMax = 0x8f }
        default: throw .notJSON("bytes that are not UTF-8", at: offset)
        }
    }

    private mutating func continuation(_ byte: UInt8, at offset: Int) throws(ScanFailure) {
        guard byte >= continuationMin, byte <= continuationMax else {
            throw .notJSON("bytes that are not UTF-8", at: offset)
        }
        continuationMin = 0x80
        continuationMax = 0xbf
        continuations -= 1
    }

    // MARK: Escapes

    mutating func escape(_ byte: UInt8, at offset: Int) throws(ScanFailure) {
        if state == .unicode { return try hexadecimal(byte, at: offset) }
        if byte == UInt8(ascii: "u") {
            state = .unicode
            escapeDigits = 0
            escapeValue = 0
            return
        }
        try requireNoSurrogate(at: offset)
        let meant: UInt8 =
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
            case UInt8(ascii: "b"): 0x08
            case UInt8(ascii: "f"): 0x0c
            case UInt8(ascii: "n"): 0x0a
            case UInt8(ascii: "r"): 0x0d
            case UInt8(ascii: "t"): 0x09
            default: throw .notJSON("an escape that JSON does not have", at: offset)
            }
        scalarBytes += 1
        keep(meant)
        state = .string
    }

    private mutating func hexadecimal(_ byte: UInt8, at offset: Int) throws(ScanFailure) {
        let digit: UInt8
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
        default: throw .notJSON("an escape \\u without four hexadecimal digits", at: offset)
        }
        escapeValue = escapeValue << 4 | UInt32(digit)
        escapeDigits += 1
        guard escapeDigits == 4 else { return }
        state = .string
        switch escapeValue {
        case 0xd800...0xdbff:
            try requireNoSurrogate(at: offset)
            highSurrogate = escapeValue
        case 0xdc00...0xdfff:
            guard highSurrogate != 0 else { throw loneSurrogate(at: offset) }
            let scalar = 0x10000 + (highSurrogate - 0xd800) << 10 + (escapeValue - 0xdc00)
            highSurrogate = 0
            keepScalar(scalar)
        default:
            try requireNoSurrogate(at: offset)
            keepScalar(escapeValue)
        }
    }

    private mutating func keepScalar(_ value: UInt32) {
        guard let scalar = Unicode.Scalar(value) else { return }
        let encoded = UTF8.encode(scalar)
        for byte in encoded ?? UTF8.encodedReplacementCharacter {
            scalarBytes += 1
            keep(byte)
        }
    }

    private func requireNoSurrogate(at offset: Int) throws(ScanFailure) {
        if highSurrogate != 0 { throw loneSurrogate(at: offset) }
    }

    private func loneSurrogate(at offset: Int) -> ScanFailure {
        .notJSON("half of a surrogate pair, which is no character,", at: offset)
    }
}
