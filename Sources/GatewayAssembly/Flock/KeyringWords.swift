/// Refusals of the ring of keys, in sentences with a remedy.
import HTTPEdge
import WireCoding

enum KeyringWords {
    static func refusal(_ refusal: Keyring.Refusal) -> FlockRefusal {
        let (kind, sentence): (FlockRefusal.Kind, String) =
            switch refusal {
            case .idTaken: (.conflict, "The new key's id is taken already. Install again: another one is drawn.")
            case .full: (.conflict, "There are \(Keyring.keysMax) keys already. Remove a retired one first.")
            case .unknownKey: (.unknown, "There is no key of this id. starling keyring list shows those that are.")
            case .keyGone: (.conflict, "This key was removed, and stays so: a removed key may be known to others.")
            case .alreadyPrimary: (.conflict, "Packets are sealed with this key already.")
            case .keyRetired: (.conflict, "This key was retired. Install a new one instead.")
            case .notHeldByAll:
                (.conflict, "A member that is alive does not hold this key yet. Ask again in some seconds.")
            case .isPrimary: (.conflict, "Packets are sealed with this key. Install and use another one first.")
            case .retiredRecently:
                (
                    .conflict,
                    "Members that were away may still seal with this key. Wait a day after it was retired, or use --now."
                )
            }
        return FlockRefusal(kind, code: "key_\(snake(refusal.rawValue))", sentence)
    }

    private static func snake(_ name: String) -> String {
        var text = ""
        for character in name {
            if character.isUppercase { text += "_" }
            text += character.lowercased()
        }
        return text
    }
}
