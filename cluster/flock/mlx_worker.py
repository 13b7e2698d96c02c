"""A real `mlx_lm.server` with a tiny model, set up on first use."""

from __future__ import annotations

import fcntl
import http.client
import json
import socket
import subprocess
import tempfile
from pathlib import Path

from .child import Child
from .patience import until
from .repository import ROOT

SCRIPT = ROOT / "cluster" / "workers" / "run_mlx_worker"
VOCABULARY = 2_048
"""Tokens of the tiny model (`make_tiny_model.py`)."""
LOCK = ROOT / "cluster" / "workers" / ".setup.lock"


class CannotRunHere(RuntimeError):
    """This platform cannot run MLX; the text says why."""


def set_up(seconds: float = 600) -> None:
    """Fetch the packages and draw the model if that was not done before. One process does it, others wait for it."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([SCRIPT, "--setup"], timeout=seconds, stderr=subprocess.PIPE, text=True)
    if done.returncode == 69:
        raise CannotRunHere(done.stderr.strip())
    if done.returncode:
        raise AssertionError(f"{SCRIPT} --setup ended with {done.returncode}: {done.stderr}")


class MLXWorker:
    def __init__(self, name: str = "mlx-1") -> None:
        set_up()
        self.name, self.kind = name, "mlx_lm"
        self._state = tempfile.TemporaryDirectory(prefix="starling-mlx-")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.child = Child([SCRIPT, str(self.port)], environment={"WORKER_HOME": self._state.name})
        until("mlx_lm.server completes a first request", self.completes, 120, every=0.2)

    def completes(self) -> bool:
        if not self.child.is_running:
            raise AssertionError("mlx_lm.server ended: " + "\n".join(line.text for line in list(self.child.lines)[-20:]))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            body = json.dumps({"model": "default_model", "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]})
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def node(self, **more) -> dict:
        return {"node_id": self.name, "host": "127.0.0.1", "port": self.port, "kind": "mlx_lm",
                "models": [{"name": "tiny-llama", "upstream_name": "default_model", "context_tokens": 32768,
                            "vocabulary": VOCABULARY}],
                "max_concurrency": 4} | more

    def stop(self) -> None:
        self.child.stop()
        self._state.cleanup()
