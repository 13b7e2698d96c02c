/// Log lines as JSON, one object a line, through a writer that never blocks.
///
/// The level is an atomic that all handlers share, so a reload changes it everywhere at once; a logger that was given
/// a level of its own keeps that.
package import Logging
import Synchronization

/// The level in force, changed by a reload.
package final class LogLevelSwitch: Sendable {
    private let position: Atomic<Int>

    package init(_ level: Logger.Level) { position = Atomic(Self.position(of: level)) }

    package var level: Logger.Level {
        get { Logger.Level.allCases[position.load(ordering: .relaxed)] }
        set { position.store(Self.position(of: newValue), ordering: .relaxed) }
    }

    private static func position(of level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 2
    }
}

package struct JSONLogHandler: LogHandler {
    /// Metadata of one line; the rest is left out and counted in the line.
    package static let fieldsMax = 64
    /// Bytes of one text; a longer one is cut, and says so.
    package static let textBytesMax = 8_192

    /// Our own words on a line. Metadata of such a name gets "meta." before it.
    private static let reserved: Set<String> = ["time", "level", "logger", "source", "message", "error"]

    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private var ownLevel: Logger.Level?
    private let label: String
    private let levels: LogLevelSwitch
    private let writer: LineWriter
    private let now: @Sendable () -> Int64

    package init(
        label: String, writer: LineWriter, levels: LogLevelSwitch,
        nowMilliseconds: @escaping @Sendable () -> Int64 = TimestampText.nowMilliseconds
    ) {
        self.label = label
        self.writer = writer
        self.levels = levels
        now = nowMilliseconds
    }

    package var logLevel: Logger.Level {
        get { ownLevel ?? levels.level }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = JSONText()
        line.openObject()
        line.key("time")
        line.string { TimestampText.append(millisecondsSince1970: now(), to: &$0) }
        line.field("level", event.level.rawValue)
        line.field("logger", label)
        line.field("source", event.source)
        line.field("message", Self.cut(event.message.description))
        if let error = event.error { line.field("error", Self.cut("\(error)")) }
        append(merged(event.metadata), to: &line)
        line.closeObject()
        line.newline()
        writer.append(line.bytes)
    }

    /// What is said at the call wins over what the task knows, and that over what the logger carries.
    private func merged(_ explicit: Logger.Metadata?) -> Logger.Metadata {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let explicit { all.merge(explicit) { $1 } }
        return all
    }

    private func append(_ metadata: Logger.Metadata, to line: inout JSONText) {
        // Sorted, so that the same event is the same line.
        for key in metadata.keys.sorted().prefix(Self.fieldsMax) {
            guard let value = metadata[key] else { continue }
            line.key(Self.reserved.contains(key) ? "meta.\(key)" : key)
            Self.append(value, to: &line, depth: 0)
        }
        if metadata.count > Self.fieldsMax { line.field("meta.omitted", metadata.count - Self.fieldsMax) }
    }

    private static func append(_ value: Logger.MetadataValue, to line: inout JSONText, depth: Int) {
        switch value {
        case .string(let text): line.string(cut(text))
        case .stringConvertible(let convertible): line.string(cut(convertible.description))
        case .array(let values) where depth < 4:
            line.openArray()
            for value in values.prefix(fieldsMax) { append(value, to: &line, depth: depth + 1) }
            line.closeArray()
        case .dictionary(let values) where depth < 4:
            line.openObject()
            for key in values.keys.sorted().prefix(fieldsMax) {
                guard let value = values[key] else { continue }
                line.key(key)
                append(value, to: &line, depth: depth + 1)
            }
            line.closeObject()
        case .array, .dictionary: line.string("…")
        }
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > textBytesMax else { return text }
        // Cutting bytes may split a character; decoding repairs that with the replacement character.
        return String(decoding: text.utf8.prefix(textBytesMax), as: UTF8.self) + "… (cut)"
    }
}
