"""The faulty network of `starling relay`, as a process that a test tells what to do."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from pathlib import Path

from .child import Child, wait_for_file
from .repository import starling_binary


def host_behind_relay(index: int) -> str:
    """Where the replica of this number listens. Of its own where there are many addresses, so that its streams can be told from
    the others'; macOS has one."""
    return f"127.0.0.{11 + index}" if sys.platform == "linux" else "127.0.0.1"


class Relay:
    """A front before each replica: `fronts` by name, as others are told them."""

    def __init__(self, binds: dict[str, str], seed: int = 1):
        self._folder = tempfile.TemporaryDirectory(prefix="starling-relay-")
        ready = Path(self._folder.name) / "ready.json"
        command: list[str | Path] = [starling_binary(), "relay", "--seed", str(seed), "--ready-file", ready]
        for name, bind in binds.items():
            command += ["--replica", f"{name}=127.0.0.1:0,{bind}"]
        self.child = Child(command)
        told = wait_for_file(ready, self.child)
        self.fronts: dict[str, str] = told["fronts"]
        self.control_port = int(told["control_port"])

    def tell(self, **order) -> dict:
        with socket.create_connection(("127.0.0.1", self.control_port), timeout=10) as connection:
            connection.sendall(json.dumps(order).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        assert answer.get("ok"), (order, answer)
        return answer

    def link(self, source: str, target: str, **faults) -> None:
        self.tell(link=[source, target], **faults)

    def cut(self, source: str, target: str, both: bool = False) -> None:
        """As if the cable were cut: nothing arrives, and nobody is told so."""
        self.link(source, target, both=both, udp="block", tcp="blackhole")

    def heal(self) -> None:
        self.tell(heal=True)

    def sum(self, count: str) -> int:
        """Of one count over all links: `passed`, `duplicated`, `damaged`, `delayed`, …"""
        return sum(row.get(count, 0) for row in self.tell(stats=True)["links"])

    def stop(self) -> None:
        self.child.stop()
        self._folder.cleanup()
