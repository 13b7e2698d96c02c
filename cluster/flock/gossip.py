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
from .replica import Replica, merged


def free_gossip_port() -> int:
    """A port that is free for TCP and UDP alike. Both sockets are closed again, so it is a promise of a moment only."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            stream.bind(("127.0.0.1", 0))
            port = stream.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
                try:
                    datagram.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
    raise AssertionError("no port of the loopback is free for TCP and UDP")


class Flock:
    """`count` replicas with the same workers and the same secret; the first three are everybody's seeds."""

    SEEDS = 3

    def __init__(self, count: int, nodes: list[dict], settings: dict | None = None, ports: list[int] | None = None,
                 advertised: list[int] | None = None, cluster: str = "test"):
        """`advertised`: ports that others are told instead of the bound ones, as of a relay that stands before each."""
        self._folder = tempfile.TemporaryDirectory(prefix="starling-flock-")
        self.folder = Path(self._folder.name)
        self.nodes, self.settings, self.cluster = nodes, settings or {}, cluster
        self.ports = ports or [free_gossip_port() for _ in range(count)]
        self.advertised = advertised or self.ports
        self.secret = self.folder / "cluster.secret"
        self.secret.write_text("5f" * 32 + "\n")
        self.secret.chmod(0o600)
        self.replicas: list[Replica | None] = [None] * count
        for index in range(count):
            self.start(index, wait_ready=False)
        for replica in self.replicas:
            until("the replica answers 200 on /readyz", lambda r=replica: r.get("/readyz")[0] == 200, 20)

    def start(self, index: int, wait_ready: bool = True) -> Replica:
        """A new process; its data folder is the one of the process before it."""
        data = self.folder / f"data-{index}"
        data.mkdir(mode=0o700, exist_ok=True)
        seeds = [f"127.0.0.1:{port}" for port in self.advertised[:self.SEEDS]]
        settings = merged({
            "replica": {"name": self.name(index)},
            "cluster": {"name": self.cluster, "secret_file": str(self.secret)},
            "storage": {"path": str(data)},
            "gossip": {"bind": f"127.0.0.1:{self.ports[index]}", "seeds": seeds,
                       "advertise": f"127.0.0.1:{self.advertised[index]}"},
        }, self.settings)
        replica = Replica(self.nodes, settings, wait_ready=wait_ready)
        self.replicas[index] = replica
        return replica

    @staticmethod
    def name(index: int) -> str:
        return f"gw-{index + 1}"

    def __getitem__(self, index: int) -> Replica:
        replica = self.replicas[index]
        assert replica is not None, f"{self.name(index)} is not running"
        return replica

    def running(self) -> list[int]:
        return [index for index, replica in enumerate(self.replicas) if replica and replica.child.is_running]

    # What they say

    def members(self, index: int) -> dict[str, dict]:
        """What a replica says of everybody, by name."""
        status, _, body = self[index].get("/v1/cluster/members")
        assert status == 200, (status, body)
        return {row["name"]: row for row in json.loads(body)["members"]}

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
        shutil.rmtree(self.folder / f"data-{index}")

    def stop(self) -> None:
        for replica in self.replicas:
            if replica:
                replica.stop()
        self._folder.cleanup()
