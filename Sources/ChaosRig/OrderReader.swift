/// Takes a JSON object apart and remembers what nobody asked for.
struct OrderReader {
    private var rest: [String: OrderValue]
    private let name: String

    init(_ object: [String: OrderValue], _ name: String) {
        rest = object
        self.name = name
    }

    init(_ value: OrderValue, _ name: String) throws(RelayOrder.Mistake) {
        guard case .object(let object) = value else {
            throw RelayOrder.Mistake(sentence: "\(name) is a word or an object")
        }
        self.init(object, name)
    }

    mutating func take(_ key: String) -> OrderValue? { rest.removeValue(forKey: key) }

    mutating func number(_ key: String, _ range: ClosedRange<Double>) throws(RelayOrder.Mistake) -> Double? {
        guard let value = take(key) else { return nil }
        guard case .number(let number) = value, range.contains(number) else {
            throw RelayOrder.Mistake(sentence: "\"\(key)\" is a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    mutating func flag(_ key: String) throws(RelayOrder.Mistake) -> Bool? {
        guard let value = take(key) else { return nil }
        guard case .flag(let flag) = value else { throw RelayOrder.Mistake(sentence: "\"\(key)\" is true or false") }
        return flag
    }

    mutating func word(_ key: String) throws(RelayOrder.Mistake) -> String? {
        guard let value = take(key) else { return nil }
        guard case .text(let word) = value else { throw RelayOrder.Mistake(sentence: "\"\(key)\" is a text") }
        return word
    }

    mutating func words(_ key: String) throws(RelayOrder.Mistake) -> [String]? {
        guard let value = take(key) else { return nil }
        guard case .list(let items) = value else { throw RelayOrder.Mistake(sentence: "\"\(key)\" is a list of names") }
        var words: [String] = []
        for case .text(let word) in items { words.append(word) }
        guard words.count == items.count else {
            throw RelayOrder.Mistake(sentence: "\"\(key)\" is a list of names")
        }
        return words
    }

    func finish() throws(RelayOrder.Mistake) {
        guard rest.isEmpty else {
            let words = rest.keys.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            throw RelayOrder.Mistake(sentence: "\(name) does not know \(words)")
        }
    }
}

/// Any JSON value. `true` is no number and `1` no flag.
enum OrderValue: Decodable {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([OrderValue])
    case object([String: OrderValue])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([OrderValue].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: OrderValue].self))
        }
    }
}
