/// A secret that cannot be printed by accident: interpolation, `dump` and the debugger all show ‹redacted›.
///
/// Whoever needs the value writes `.value`, which is a word one can search for.
package struct Redacted<Value: Equatable & Sendable>: Equatable, Sendable {
    package let value: Value

    package init(_ value: Value) { self.value = value }
}

extension Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "‹redacted›" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
