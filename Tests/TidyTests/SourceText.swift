/// Swift source as the tidy checks read it: comments and the insides of string literals are blanked, so that a word in a
/// sentence is not taken for code. Line numbers and columns stay those of the file.
struct SourceText: Sendable {
    /// From the repository's root, as in `Sources/Balancing/RetryBudget.swift`.
    let path: String
    /// Code alone.
    let code: String
    /// The same, one element a line.
    let lines: [String]

    init(path: String, text: String) {
        self.path = path
        var scanner = Scanner(text: text)
        code = scanner.codeOnly()
        lines = code.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    var fileName: String { String(path.split(separator: "/").last ?? "") }
}

extension SourceText {
    /// One pass over the bytes; knows line and block comments (nested), strings, multi-line strings and `#` delimiters.
    /// What stands inside `\( … )` of a string is blanked with it: a forbidden call there would be missed, a rare loss.
    private struct Scanner {
        private let bytes: [UInt8]
        private var place = 0
        private var output: [UInt8] = []

        init(text: String) {
            bytes = Array(text.utf8)
            output.reserveCapacity(bytes.count)
        }

        mutating func codeOnly() -> String {
            while place < bytes.count {
                let byte = bytes[place]
                // Most bytes begin nothing, and these tests run without optimization.
                if byte != UInt8(ascii: "/"), byte != UInt8(ascii: "#"), byte != UInt8(ascii: "\"") {
                    output.append(byte)
                    place += 1
                } else if starts("//") {
                    blank { $0.bytes[$0.place] != UInt8(ascii: "\n") }
                } else if starts("/*") {
                    blankBlockComment()
                } else if let hashes = openingQuote() {
                    blankString(hashes: hashes)
                } else {
                    output.append(byte)
                    place += 1
                }
            }
            return String(decoding: output, as: UTF8.self)
        }

        private func starts(_ text: String) -> Bool {
            let wanted = text.utf8
            return place + wanted.count <= bytes.count && bytes[place..<place + wanted.count].elementsEqual(wanted)
        }

        private mutating func skip(_ count: Int) {
            for _ in 0..<count where place < bytes.count {
                output.append(bytes[place] == UInt8(ascii: "\n") ? bytes[place] : UInt8(ascii: " "))
                place += 1
            }
        }

        private mutating func blank(while goesOn: (Scanner) -> Bool) {
            while place < bytes.count, goesOn(self) { skip(1) }
        }

        private mutating func blankBlockComment() {
            var depth = 0
            repeat {
                if starts("/*") {
                    depth += 1
                    skip(2)
                } else if starts("*/") {
                    depth -= 1
                    skip(2)
                } else {
                    skip(1)
                }
            } while depth > 0 && place < bytes.count
        }

        /// The number of `#` before a quote that stands here, nil if none does.
        private func openingQuote() -> Int? {
            var end = place
            while end < bytes.count, bytes[end] == UInt8(ascii: "#") { end += 1 }
            return end < bytes.count && bytes[end] == UInt8(ascii: "\"") ? end - place : nil
        }

        /// The text of a multi-line string begins on the next line: `#""""#` is two quotes between delimiters.
        private func beginsMultiline() -> Bool {
            guard starts("\"\"\"") else { return false }
            let rest = bytes[(place + 3)...].prefix { $0 != UInt8(ascii: "\n") }
            return rest.allSatisfy { $0 == UInt8(ascii: " ") }
        }

        private mutating func blankString(hashes: Int) {
            let fence = String(repeating: "#", count: hashes)
            skip(hashes)
            let quote = beginsMultiline() ? "\"\"\"" : "\""
            skip(quote.utf8.count)
            let escape = "\\" + fence
            let isMultiline = quote.utf8.count == 3
            while place < bytes.count, !starts(quote + fence), isMultiline || !starts("\n") {
                if starts(escape + "(") {
                    skip(escape.utf8.count)
                    blankInterpolation()
                } else {
                    skip(starts(escape) ? escape.utf8.count + 1 : 1)
                }
            }
            skip(quote.utf8.count + hashes)
        }

        /// Parentheses are counted, and a string inside is a string of its own.
        private mutating func blankInterpolation() {
            var depth = 0
            repeat {
                if starts("(") { depth += 1 }
                if starts(")") { depth -= 1 }
                if let hashes = openingQuote(), depth > 0 {
                    blankString(hashes: hashes)
                } else {
                    skip(1)
                }
            } while depth > 0 && place < bytes.count
        }
    }
}
