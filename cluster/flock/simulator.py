"""A `starling worker-sim` process and the questions one can ask it."""

from __future__ import annotations

import http.client
import json
import tempfile
from pathlib import Path

from .child import Child, wait_for_file
from .repository import starling_binary


class Simulator:
    """A pretended Apple Silicon worker. Its control port answers even while the worker itself hangs."""

    def __init__(self, name: str, kind: str = "openai", models: tuple[str, ...] = ("llama-7b",), chip: str = "M2 Ultra",
                 memory_gb: int = 192, time_scale: float = 0, slots: int | None = None, seed: int = 7,
                 api_key: str | None = None, port: int = 0, options: tuple[str, ...] = ()):
        self.name, self.kind, self.models, self.chip, self.memory_gb = name, kind, models, chip, memory_gb
        self.slots, self.api_key = slots, api_key
        self._folder = tempfile.TemporaryDirectory(prefix="starling-sim-")
        ready = Path(self._folder.name) / "ready.json"
        command: list[str | Path] = [
            starling_binary(), "worker-sim", "--port", str(port), "--kind", kind, "--chip", chip,
            "--memory-gb", str(memory_gb), "--time-scale", f"{time_scale:g}", "--seed", str(seed),
            "--control-port", "0", "--ready-file", ready]
        for model in models:
            command += ["--model", model]
        if slots:
            command += ["--slots", str(slots)]
        if api_key:
            command += ["--api-key", api_key]
        self.child = Child(command + list(options))
        facts = wait_for_file(ready, self.child)
        self.port = int(facts["port"])
        self.control_port = int(facts["control_port"] if "control_port" in facts else facts["controlPort"])

    def node(self, **more) -> dict:
        """This worker as an entry of `cluster_nodes`."""
        entry = {"node_id": self.name, "host": "127.0.0.1", "port": self.port, "kind": self.kind,
                 "models": [model.split("=")[0] for model in self.models],
                 "max_concurrency": self.slots or 4, "specs": {"chip": self.chip, "memory_gb": self.memory_gb}}
        if self.api_key:
            entry["api_key"] = self.api_key
        return entry | more

    def ask(self, method: str, path: str, body: object = None) -> object:
        """One exchange with the control port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=10)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
            answer = connection.getresponse()
            payload = answer.read()
            if answer.status >= 300:
                raise AssertionError(f"{method} {path} on the control port of {self.name}: {answer.status} {payload!r}")
            return json.loads(payload) if payload else None
        finally:
            connection.close()

    def state(self) -> dict:
        return self.ask("GET", "/_sim/state")

    def journal(self, after: int = 0) -> list[dict]:
        """Entries with a number above `after`, oldest first."""
        answer = self.ask("GET", f"/_sim/journal?after={after}")
        return answer if isinstance(answer, list) else answer["entries"]

    def journal_end(self) -> int:
        """The number of the newest entry; pass it to `journal` to see only what comes later."""
        entries = self.journal()
        return max((entry_number(entry) for entry in entries), default=0)

    def fault(self, kind: str, **facts) -> object:
        return self.ask("POST", "/_sim/faults", {"kind": kind, **facts})

    def stop(self) -> None:
        self.child.stop()
        self._folder.cleanup()

    def kill(self) -> None:
        self.child.kill()


def entry_number(entry: dict) -> int:
    return int(entry.get("n", entry.get("number", entry.get("id", 0))))
