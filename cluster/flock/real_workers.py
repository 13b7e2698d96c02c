"""Real inference servers with a tiny model, set up on first use."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path

from .child import Child
from .patience import until
from .repository import ROOT

WORKERS = ROOT / "cluster" / "workers"
LOCK = WORKERS / ".setup.lock"
VOCABULARY = 2_048
"""Tokens of the tiny model (`make_tiny_model.py`)."""


class CannotRunHere(RuntimeError):
    """This platform cannot run the server; the text says why."""


class RealWorker:
    """A server that nobody here wrote, started by a script of `cluster/workers`."""

    kind: str
    script: str
    upstream_name: str

    def __init__(self, name: str, options: tuple[str, ...] = (), model: Path | None = None, wait_ready: bool = True) -> None:
        """`options` are the server's own; `model` is another one than the tiny model."""
        self.set_up()
        self.name = name
        self._state = tempfile.TemporaryDirectory(prefix="starling-real-")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._command = [WORKERS / self.script, str(self.port), *([model] if model else []), "--", *options]
        self.start_again()
        if wait_ready:
            self.wait_ready()

    def start_again(self) -> None:
        """As a new process on the same port, which is not waited for."""
        self.child = Child(self._command, environment={"WORKER_HOME": self._state.name})

    def wait_ready(self) -> None:
        until(f"{self.kind} completes a first request", self.completes, 120, every=0.1)

    @classmethod
    def set_up(cls, seconds: float = 600) -> None:
        """Fetch the packages and draw the model if that was not done before. One process does it, others wait for it."""
        script = WORKERS / cls.script
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = subprocess.run([script, "--setup"], timeout=seconds, stderr=subprocess.PIPE, text=True)
        if done.returncode == 69:
            raise CannotRunHere(done.stderr.strip())
        if done.returncode:
            raise AssertionError(f"{script} --setup ended with {done.returncode}: {done.stderr}")

    @classmethod
    def is_built(cls) -> bool:
        """Whether it could be started within a minute or two."""
        return True

    def completes(self) -> bool:
        """Whether it makes a token: the only proof that it lives."""
        if not self.child.is_running:
            raise AssertionError(f"{self.kind} ended: " + "\n".join(line.text for line in list(self.child.lines)[-20:]))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            body = json.dumps(
                {"model": self.upstream_name, "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]})
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def node(self, **more) -> dict:
        return {"node_id": self.name, "host": "127.0.0.1", "port": self.port, "kind": self.kind,
                "models": [{"name": "tiny-llama", "upstream_name": self.upstream_name, "context_tokens": 32768,
                            "vocabulary": VOCABULARY}],
                "max_concurrency": 4} | more

    def stop(self) -> None:
        self.child.stop()
        self._state.cleanup()


class MLXWorker(RealWorker):
    kind, script, upstream_name = "mlx_lm", "run_mlx_worker", "default_model"

    def __init__(self, name: str = "mlx-1", **more) -> None:
        super().__init__(name, **more)


class VLLMMLXWorker(RealWorker):
    kind, script, upstream_name = "vllm_mlx", "run_vllm_mlx_worker", "tiny-llama"

    def __init__(self, name: str = "vllm-1", **more) -> None:
        super().__init__(name, **more)


class LlamaServer(RealWorker):
    """Two slots of 8,192 tokens. Building it takes six minutes, once."""

    kind, script, upstream_name = "llama_cpp", "run_llama_worker", "tiny-llama"

    def __init__(self, name: str = "llama-1", **more) -> None:
        super().__init__(name, **more)

    @classmethod
    def set_up(cls, seconds: float = 1800) -> None:
        super().set_up(seconds)

    @classmethod
    def is_built(cls) -> bool:
        if named := os.environ.get("LLAMA_SERVER"):
            return os.access(named, os.X_OK)
        return any((WORKERS / ".work").glob("llama-server-*/build/bin/llama-server"))

    def node(self, **more) -> dict:
        node = super().node(max_concurrency=2)
        node["models"][0]["context_tokens"] = 8_192
        return node | more
