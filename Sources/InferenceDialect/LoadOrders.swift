/// A kind's own orders to load a model and to let it go.
package struct LoadOrders: Sendable {
    package struct Order: Equatable, Sendable {
        package let path: String
        /// JSON.
        package let body: [UInt8]
    }

    /// Both get the worker's own name of the model.
    package let load: @Sendable (_ model: String) -> Order
    /// Nil for a kind that makes room itself.
    package let unload: (@Sendable (_ model: String) -> Order)?

    init(
        load: @escaping @Sendable (_ model: String) -> Order, unload: (@Sendable (_ model: String) -> Order)? = nil
    ) {
        self.load = load
        self.unload = unload
    }
}

extension LoadOrders.Order {
    /// `{"<member>":"<model>"<more>}`
    static func naming(
        _ model: String, as member: StaticString, at path: String, more: StaticString = ""
    ) -> LoadOrders.Order {
        var body = Array("{\"\(member)\":".utf8)
        JSONString.append(model, to: &body)
        body += Array("\(more)}".utf8)
        return LoadOrders.Order(path: path, body: body)
    }

    /// The model stands in the path; what may not stand there is escaped.
    static func inPath(_ prefix: String, _ model: String, _ suffix: String) -> LoadOrders.Order {
        var name = ""
        for byte in model.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "@"):
                name.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = Array("0123456789ABCDEF")
                name += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return LoadOrders.Order(path: prefix + name + suffix, body: Array("{}".utf8))
    }
}
