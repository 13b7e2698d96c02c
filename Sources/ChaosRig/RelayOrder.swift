/// One line of the control connection: what shall be done to which links.
///
/// `{"link": ["r1", "r2"], "udp": {"loss": 0.2}, "tcp": "blackhole"}`. A name is a replica's, `*` for all, or `other` for a
/// dialler whose address is no replica's. `"both": true` does the same to the way back. What an order names of a link is
/// replaced whole; what it leaves out stays. Unknown words are mistakes: a misspelt fault would prove nothing.
import Foundation

enum RelayOrder: Equatable {
    case link(from: String, to: String, both: Bool, udp: DatagramFaults?, tcp: StreamFaults?)
    /// No faults anywhere.
    case heal
    case bind(name: String, RelayOptions.Endpoint)
    case stats
    case record(Bool)
    /// All that was recorded, at this many times its speed; 0 is at once. `to`: to this replica instead.
    case replay(speed: Double, to: String?)

    struct Mistake: Error, Equatable { let sentence: String }

    init(line: some Collection<UInt8>) throws(Mistake) {
        guard let value = try? JSONDecoder().decode(OrderValue.self, from: Data(line)), case .object(let object) = value
        else { throw Mistake(sentence: "an order is a JSON object on one line") }
        var reader = OrderReader(object, "the order")
        if let names = try reader.words("link") {
            guard names.count == 2 else { throw Mistake(sentence: "\"link\" is a list of two names: from and to") }
            let both = try reader.flag("both") ?? false
            var udp: DatagramFaults?
            if let value = reader.take("udp") { udp = try Self.datagrams(value) }
            var tcp: StreamFaults?
            if let value = reader.take("tcp") { tcp = try Self.streams(value) }
            guard udp != nil || tcp != nil else { throw Mistake(sentence: "a link needs \"udp\" or \"tcp\"") }
            self = .link(from: names[0], to: names[1], both: both, udp: udp, tcp: tcp)
        } else if try reader.flag("heal") == true {
            self = .heal
        } else if let name = try reader.word("replica") {
            guard let bind = try reader.word("bind").flatMap(RelayOptions.Endpoint.init) else {
                throw Mistake(sentence: "\"bind\" is where the replica listens, like \"127.0.0.11:7946\"")
            }
            self = .bind(name: name, bind)
        } else if try reader.flag("stats") == true {
            self = .stats
        } else if let isOn = try reader.flag("record") {
            self = .record(isOn)
        } else if try reader.flag("replay") == true {
            self = .replay(speed: try reader.number("speed", 0...1e6) ?? 1, to: try reader.word("to"))
        } else {
            throw Mistake(
                sentence: "an order has one of \"link\", \"heal\", \"replica\", \"stats\", \"record\", \"replay\"")
        }
        try reader.finish()
    }

    private static func datagrams(_ value: OrderValue) throws(Mistake) -> DatagramFaults {
        if case .text(let word) = value {
            var faults = DatagramFaults()
            switch word {
            case "pass": return faults
            case "block":
                faults.isBlocked = true
                return faults
            default: throw Mistake(sentence: "\"udp\" is \"pass\", \"block\" or an object of faults")
            }
        }
        var reader = try OrderReader(value, "\"udp\"")
        var faults = DatagramFaults()
        faults.loss = try reader.number("loss", 0...1) ?? 0
        faults.duplicate = try reader.number("duplicate", 0...1) ?? 0
        faults.reorder = try reader.number("reorder", 0...1) ?? 0
        faults.corrupt = try reader.number("corrupt", 0...1) ?? 0
        faults.delayMilliseconds = try reader.number("delay_ms", 0...DatagramFaults.delayMillisecondsMax) ?? 0
        faults.jitterMilliseconds = try reader.number("jitter_ms", 0...DatagramFaults.delayMillisecondsMax) ?? 0
        faults.rate = Int(try reader.number("rate", 0...1e12) ?? 0)
        faults.isBlocked = try reader.flag("block") ?? false
        if let value = reader.take("burst") {
            var burst = try OrderReader(value, "\"burst\"")
            var told = DatagramFaults.Burst()
            told.begins = try burst.number("begins", 0...1) ?? told.begins
            told.ends = try burst.number("ends", 0...1) ?? told.ends
            told.loss = try burst.number("loss", 0...1) ?? told.loss
            try burst.finish()
            faults.burst = told
        }
        try reader.finish()
        return faults
    }

    private static func streams(_ value: OrderValue) throws(Mistake) -> StreamFaults {
        var faults = StreamFaults()
        if case .text(let word) = value {
            switch word {
            case "pass": faults.mode = .pass
            case "refuse": faults.mode = .refuse
            case "blackhole": faults.mode = .blackhole
            default: throw Mistake(sentence: "\"tcp\" is \"pass\", \"refuse\", \"blackhole\" or an object of faults")
            }
            return faults
        }
        var reader = try OrderReader(value, "\"tcp\"")
        faults.delayMilliseconds = try reader.number("delay_ms", 0...DatagramFaults.delayMillisecondsMax) ?? 0
        faults.rate = Int(try reader.number("rate", 0...1e12) ?? 0)
        if let bytes = try reader.number("reset_after", 0...1e12) { faults.mode = .resetAfter(Int(bytes)) }
        if let bytes = try reader.number("half_close_after", 0...1e12) { faults.mode = .halfCloseAfter(Int(bytes)) }
        try reader.finish()
        return faults
    }
}
