/// Which commit the checkout around this binary has: a seed tells the same story only with the same code.
import Determinism
import Foundation

enum Checkout {
    /// `3f2a9c01b7de`, `3f2a9c01b7de+dirty.0a1b2c3d` with a hash of what is not committed, or `unknown` outside of a checkout.
    static var commit: String {
        guard let folder, let head = git(folder, "rev-parse", "--short=12", "HEAD") else { return "unknown" }
        guard let changes = git(folder, "diff", "HEAD"), !changes.isEmpty else { return head }
        let digits = String(UInt32(truncatingIfNeeded: StableHash64.hash(changes)), radix: 16)
        return "\(head)+dirty.\(digits)"
    }

    private static var folder: String? {
        guard let binary = Bundle.main.executablePath else { return nil }
        var place = URL(fileURLWithPath: binary).resolvingSymlinksInPath().deletingLastPathComponent()
        while place.path != "/" {
            if FileManager.default.fileExists(atPath: place.path + "/Package.swift"),
                FileManager.default.fileExists(atPath: place.path + "/.git")
            {
                return place.path
            }
            place.deleteLastPathComponent()
        }
        return nil
    }

    private static func git(_ folder: String, _ words: String...) -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git", "-C", folder] + words
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let data = (try? output.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
