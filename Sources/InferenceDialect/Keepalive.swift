/// What a waiting client hears: a comment, which every parser of event streams passes over (WHATWG HTML, 9.2.6).
package enum Keepalive {
    package static let comment = Array(": keep-alive\n\n".utf8)
}
