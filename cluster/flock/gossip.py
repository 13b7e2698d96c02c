"""Several replicas that gossip on the loopback, each a process of its own, as one thing that a test can bend."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

from .patience import until
from .relay import Relay, host_behind_relay
from .replica import Replica, merged


def free_gossip_port(host: str = "127.0.0.1") -> int:
    """A port that is free for TCP and UDP alike. Both sockets are closed again, so it is a promise of a moment only."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            stream.bind((host, 0))
            port = stream.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
                try:
                    datagram.bind((host, port))
                    return port
                except OSError:
                    continue
    raise AssertionError("no port of the loopback is free for TCP and UDP")


class Flock:
    """`count` replicas with the same workers and the same secret; the first three are everybody's seeds."""

    SEEDS = 3

    def __init__(self, count: int, nodes: list[dict], settings: dict | None = None, behind_relay: bool = False,
                 cluster: str = "test"):
        """`behind_relay`: all gossip passes `relay`, whose fronts the replicas advertise."""
        self._folder = tempfile.TemporaryDirectory(prefix="starling-flock-")
        self.folder = Path(self._folder.name)
        self.nodes, self.settings, self.cluster = nodes, settings or {}, cluster
        self.hosts = [host_behind_relay(index) if behind_relay else "127.0.0.1" for index in range(count)]
        self.ports = [free_gossip_port(host) for host in self.hosts]
        self.relay = Relay({self.name(index): self.bind(index) for index in range(count)}) if behind_relay else None
        self.secret = self.folder / "cluster.secret"
        self.secret.write_text("5f" * 32 + "\n")
        self.secret.chmod(0o600)
        self.replicas: list[Replica | None] = [None] * count
        for index in range(count):
            self.start(index, wait_ready=False)
        for replica in self.replicas:
            until("the replica answers 200 on /readyz", lambda r=replica: r.get("/readyz")[0] == 200, 20)

    def bind(self, index: int) -> str:
        return f"{self.hosts[index]}:{self.ports[index]}"

    def reached(self, index: int) -> str:
        """Where others find it."""
        return self.relay.fronts[self.name(index)] if self.relay else self.bind(index)

    def add(self) -> int:
        """A place for one more, which `start` fills."""
        self.hosts.append("127.0.0.1")
        self.ports.append(free_gossip_port())
        self.replicas.append(None)
        return len(self.replicas) - 1

    def start(self, index: int, wait_ready: bool = True, settings: dict | None = None) -> Replica:
        """A new process; its data folder is the one of the process before it. `settings`: its own, over everybody's."""
        self.data(index).mkdir(mode=0o700, exist_ok=True)
        seeds = [self.reached(seed) for seed in range(min(self.SEEDS, len(self.ports)))]
        told = merged({
            "replica": {"name": self.name(index)},
            "cluster": {"name": self.cluster, "secret_file": str(self.secret)},
            "storage": {"path": str(self.data(index))},
            "gossip": {"bind": self.bind(index), "seeds": seeds, "advertise": self.reached(index)},
        }, merged(self.settings, settings or {}))
        replica = Replica(self.nodes, told, wait_ready=wait_ready)
        self.replicas[index] = replica
        return replica

    @staticmethod
    def name(index: int) -> str:
        return f"gw-{index + 1}"

    def __getitem__(self, index: int) -> Replica:
        replica = self.replicas[index]
        assert replica is not None, f"{self.name(index)} is not running"
        return replica

    def data(self, index: int) -> Path:
        return self.folder / f"data-{index}"

    def running(self) -> list[int]:
        return [index for index, replica in enumerate(self.replicas) if replica and replica.child.is_running]

    # What they say

    def rows(self, index: int) -> list[dict]:
        """What a replica says of everybody, the gone included."""
        status, _, body = self[index].get("/v1/cluster/members")
        assert status == 200, (status, body)
        return json.loads(body)["members"]

    def members(self, index: int) -> dict[str, dict]:
        """The same by name: whoever is alive where several had it."""
        return {row["name"]: row for row in sorted(self.rows(index), key=lambda row: row["status"] == "alive")}

    def view(self, index: int) -> set[tuple]:
        """What all replicas must say alike."""
        return {(row["id"], row["name"], row["status"], row["session"], row["incarnation"]) for row in self.rows(index)}

    def lives(self, index: int) -> set[tuple]:
        """Which processes it holds alive. Nothing that a network does changes it."""
        return {(row["id"], row["session"]) for row in self.rows(index) if row["status"] == "alive"}

    def sum(self, metric: str, *having: str) -> float:
        """Over all that run."""
        return sum(self[index].metric_sum(metric, *having) for index in self.running())

    def deaths(self) -> float:
        return self.sum("starling_membership_changes_total", 'to="dead"')

    def drops(self) -> dict[str, float]:
        """Packets that were not taken, by reason."""
        name = "starling_gossip_dropped_total"
        reasons = {series.split('reason="')[1].split('"')[0] for series in self[self.running()[0]].metrics()
                   if series.startswith(name + "{")}
        return {reason: self.sum(name, f'reason="{reason}"') for reason in reasons}

    def status(self, of: int, at: int) -> str | None:
        return self.members(at).get(self.name(of), {}).get("status")

    def agree(self, indexes: list[int] | None = None) -> bool:
        """Each of them holds each of them alive."""
        indexes = indexes if indexes is not None else self.running()
        names = {self.name(index) for index in indexes}
        return all({name for name, row in self.members(index).items() if row["status"] == "alive"} >= names
                   for index in indexes)

    def wait_until_they_agree(self, seconds: float = 10, indexes: list[int] | None = None) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        until("all replicas hold each other alive", lambda: self.agree(indexes), seconds)
        return time.monotonic() - began

    # What is done to them

    def kill(self, index: int) -> None:
        self[index].child.kill()

    def pause(self, index: int) -> None:
        self[index].child.send(signal.SIGSTOP)

    def resume(self, index: int) -> None:
        self[index].child.send(signal.SIGCONT)

    def forget_data(self, index: int) -> None:
        shutil.rmtree(self.data(index))

    def stop(self) -> None:
        for replica in self.replicas:
            if replica:
                replica.stop()
        if self.relay:
            self.relay.stop()
        self._folder.cleanup()
