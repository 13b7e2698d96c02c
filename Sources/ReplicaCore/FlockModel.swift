/// How replicas call a model between themselves.
import Determinism

package enum FlockModel {
    package static func key(of name: String) -> UInt64 { StableHash64.hash(name) }
}
