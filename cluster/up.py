"""Start a flock on this machine and leave it running: see `cluster/up --help`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flock.detached import Ledger, wait_ready              # noqa: E402
from flock.patience import until                           # noqa: E402
from flock.replica import as_yaml, bootstrap_key           # noqa: E402
from flock.repository import ROOT, starling_binary         # noqa: E402

REPLICAS_MAX = 64
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
WORKERS = [
    {"kind": "mlx_lm", "chip": "M2 Ultra", "memory_gb": 192}, {"kind": "llama_cpp", "chip": "M1 Max", "memory_gb": 64},
    {"kind": "openai", "chip": "M4 Max", "memory_gb": 128},
]


def state_folder() -> Path:
    """Where a running flock is written down; `FLOCK_STATE` names another place, for a second flock."""
    return Path(os.environ.get("FLOCK_STATE", ROOT / "cluster" / ".run" / "flock"))


def free_ports(count: int, first: int, host: str = "127.0.0.1", both: bool = False) -> list[int]:
    """Ports that nobody holds, from `first` on, or of the system's choice when it is 0. `both`: UDP and TCP."""
    found: list[int] = []
    held = []
    candidate = first
    try:
        while len(found) < count:
            kinds = [socket.SOCK_STREAM] + ([socket.SOCK_DGRAM] if both else [])
            sockets = [socket.socket(type=kind) for kind in kinds]
            held += sockets
            try:
                port = candidate
                for one in sockets:
                    if one.type == socket.SOCK_STREAM:
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind((host, port))
                    port = one.getsockname()[1]
                found.append(port)
            except OSError:
                if candidate >= 65535:
                    raise
            if first:
                candidate += 1
        return found
    finally:
        for one in held:
            one.close()


class Up:
    def __init__(self, wanted: argparse.Namespace, folder: Path) -> None:
        self.wanted = wanted
        self.folder = folder
        self.ledger = Ledger(folder)
        self.names = [f"gw-{number + 1}" for number in range(wanted.replicas)]

    def start(self) -> None:
        nodes = self.start_workers()
        self.place_gossip()
        if self.wanted.relay:
            self.start_relay()
        self.start_replicas(nodes)
        if self.wanted.nginx:
            self.start_nginx()

    def start_workers(self) -> list[dict]:
        nodes = []
        for number in range(self.wanted.workers):
            facts = WORKERS[number % len(WORKERS)]
            name = f"mac-{number + 1}"
            ready = self.folder / f"{name}.ready"
            entry = self.ledger.start(name, [
                starling_binary(), "worker-sim", "--port", "0", "--kind", facts["kind"], "--chip", facts["chip"],
                "--memory-gb", str(facts["memory_gb"]), "--time-scale", f"{self.wanted.time_scale:g}", "--seed", str(number + 1),
                "--control-port", "0", "--model", "llama-7b", "--ready-file", ready], role="worker")
            told = wait_ready(entry, ready)
            self.ledger.note(name, port=told["port"])
            nodes.append({"node_id": name, "host": "127.0.0.1", "port": told["port"], "kind": facts["kind"],
                          "models": ["llama-7b"], "max_concurrency": 4,
                          "specs": {"chip": facts["chip"], "memory_gb": facts["memory_gb"]}})
        return nodes

    def place_gossip(self) -> None:
        """Where each replica gossips. Behind a relay each has an address of its own where there is more than one, so that its
        streams can be told from the others'."""
        count = len(self.names)
        if self.wanted.relay and sys.platform == "linux":
            self.binds = [f"127.0.0.{11 + number}:{free_ports(1, self.wanted.gossip, f'127.0.0.{11 + number}', True)[0]}"
                          for number in range(count)]
        else:
            self.binds = [f"127.0.0.1:{port}" for port in free_ports(count, self.wanted.gossip, both=True)]
        self.reached = dict(zip(self.names, self.binds))

    def start_relay(self) -> None:
        ready = self.folder / "relay.ready"
        command: list[str | Path] = [starling_binary(), "relay", "--seed", str(self.wanted.seed), "--ready-file", ready]
        for name, bind in zip(self.names, self.binds):
            command += ["--replica", f"{name}=127.0.0.1:0,{bind}"]
        entry = self.ledger.start("relay", command, role="relay")
        told = wait_ready(entry, ready)
        self.reached = told["fronts"]
        self.ledger.note("relay", control_port=told["control_port"])

    def start_replicas(self, nodes: list[dict]) -> None:
        first = self.wanted.port + (1 if self.wanted.nginx else 0) if self.wanted.port else 0
        ports = free_ports(len(self.names), first) if first else [0] * len(self.names)
        started = []
        for name, bind, port in zip(self.names, self.binds, ports):
            home = self.folder / name
            home.mkdir()
            config = home / "gateway.yaml"
            config.write_text(as_yaml({
                "server": {"host": "127.0.0.1", "port": port, "workers": 1, "drain_seconds": 10,
                           "trusted_proxies": ["127.0.0.1"] if self.wanted.nginx else []},
                "replica": {"name": name},
                "cluster": {"name": "local", "secret_file": str(self.folder / "cluster.secret")},
                "gossip": {"bind": bind, "advertise": self.reached[name], "seeds": list(self.reached.values())[:64]},
                "storage": {"path": str(home / "data")},
                "load_balancing": {"strategy": self.wanted.strategy},
                "cluster_nodes": nodes,
            }))
            if not started:
                # Made by one, so that the replicas that start at once find it.
                self.key = bootstrap_key(config)
            ready = home / "ready.json"
            started.append((name, self.ledger.start(
                name, [starling_binary(), "serve", "--config", config, "--ready-file", ready], role="replica", gossip=bind,
                reached=self.reached[name]), ready))
        self.ports = {}
        for name, entry, ready in started:
            self.ports[name] = wait_ready(entry, ready)["port"]
            self.ledger.note(name, port=self.ports[name])

    def start_nginx(self) -> None:
        """The example of deploy/, with this flock's ports in the place of its own."""
        if not NGINX:
            raise RuntimeError("nginx is not installed; leave --nginx out, or install it (make system-packages names how)")
        port = free_ports(1, self.wanted.port)[0]
        servers = "\n".join(f"    server 127.0.0.1:{port};" for port in self.ports.values())
        site = (ROOT / "deploy" / "nginx" / "starling.conf").read_text()
        site = site.replace("    server 127.0.0.1:8000;", servers).replace("listen 8080;", f"listen 127.0.0.1:{port};")
        scratch = "".join(f"{name}_temp_path {self.folder}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = self.folder / "nginx.conf"
        main.write_text(f"daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.error; events {{}}\n"
                        f"http {{ access_log off; {scratch}\n{site}\n}}\n")
        self.ledger.start("nginx", [NGINX, "-c", main], role="nginx", port=port)
        until("nginx listens", lambda: _listens(port))
        self.nginx_port = port

    def explain(self) -> None:
        first = self.nginx_port if self.wanted.nginx else next(iter(self.ports.values()))
        rows = [(entry["name"], str(entry["pid"]), f"http://127.0.0.1:{entry['port']}" if "port" in entry else "",
                 entry.get("reached", "")) for entry in self.ledger.entries() if entry["role"] != "relay"]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for row in rows:
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        print(f"\nexport STARLING_URL=http://127.0.0.1:{first} STARLING_KEY={self.key}")
        print(f"{_shown(starling_binary())} members")
        if self.wanted.relay:
            print(f"""cluster/tell '{{"link": ["gw-1", "*"], "both": true, "udp": "block", "tcp": "blackhole"}}'   cuts gw-1's cable
cluster/tell '{{"heal": true}}'""")
        print("cluster/down ends all of it")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _shown(path: Path) -> str:
    return os.path.relpath(path) if str(os.path.relpath(path)).count("..") == 0 else str(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cluster/up", description="Start N replicas and some pretended Macs on this machine and leave them running; "
        "cluster/down ends exactly these.")
    parser.add_argument("replicas", type=int, metavar="N", help=f"how many replicas, 1 to {REPLICAS_MAX}")
    parser.add_argument("--nginx", action="store_true", help="put nginx in front of them")
    parser.add_argument("--relay", action="store_true", help="let all gossip pass a faulty network; cluster/tell says what it does")
    parser.add_argument("--workers", type=int, default=3, help="how many pretended Macs (3)")
    parser.add_argument("--time-scale", type=float, default=1, help="of the Macs: 0 answers at once (1)")
    parser.add_argument("--strategy", default="least_connections", help="of placing (least_connections)")
    parser.add_argument("--port", type=int, default=8000, help="first HTTP port, nginx's if it is there; 0 takes free ones (8000)")
    parser.add_argument("--gossip", type=int, default=7946, help="first gossip port; 0 takes free ones (7946)")
    parser.add_argument("--seed", type=int, default=1, help="of the relay's draws (1)")
    wanted = parser.parse_args()
    if not 1 <= wanted.replicas <= REPLICAS_MAX:
        parser.error(f"N is 1 to {REPLICAS_MAX}")
    if wanted.workers < 0:
        parser.error("--workers is 0 or more")
    return wanted


def main() -> None:
    wanted = arguments()
    folder = state_folder()
    if living := Ledger(folder).living():
        sys.exit(f"a flock of {len(living)} processes runs already ({folder}): cluster/down ends it")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    up = Up(wanted, folder)
    try:
        up.start()
    except BaseException as failure:
        up.ledger.end(5)
        if isinstance(failure, (RuntimeError, AssertionError, OSError)):
            sys.exit(f"{failure}\neverything that was started has been ended")
        raise
    up.explain()


if __name__ == "__main__":
    main()
