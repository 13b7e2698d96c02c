import ArgumentParser
import GatewayAssembly
import Settings

struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "API keys.", subcommands: [Bootstrap.self])

    struct Bootstrap: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the bootstrap admin key, alone, on standard output.",
            discussion: """
                The key is derived from the cluster's secret file (cluster.secret_file), which is made with mode 0600 if \
                it does not exist. Every replica with the same secret file accepts the same key.
                """)
        @OptionGroup var options: ConfigOptions

        func run() async throws {
            let loaded = try options.load()
            guard loaded.settings.auth.createAdminKey else {
                options.complain(["auth.create_admin_key is false: there is no bootstrap key under these settings"])
                throw ExitCode(78)
            }
            do throws(ClusterSecret.Failure) {
                print(BootstrapKey(try ClusterSecret.loadOrCreate(at: loaded.settings.cluster.secretFile)).text)
            } catch {
                options.complain([error.description])
                throw ExitCode(78)
            }
        }
    }
}
