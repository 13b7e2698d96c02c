"""The Starling that is measured: the release binary, everything on, its configuration written by us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from flock.child import quiet_environment                   # noqa: E402
from flock.replica import as_yaml, basic_settings, bootstrap_key, merged          # noqa: E402
from flock.repository import RELEASE_BINARY                 # noqa: E402

WORK = Path(os.environ.get("BENCH_WORK", HERE / ".work")).resolve()
UPSTREAM = 9000
PORT = 8105

os.environ.setdefault("FLOCK_BINARY", str(RELEASE_BINARY))


def starling() -> str:
    return os.environ["FLOCK_BINARY"]


def fast_node() -> dict:
    """The worker that costs almost nothing; its slots are many, so that nobody waits for one."""
    return {"node_id": "fast-1", "host": "127.0.0.1", "port": UPSTREAM, "kind": "openai", "models": ["llama-7b"],
            "max_concurrency": 4096}


class BenchReplica:
    """A configuration on disk and the command that serves it."""

    def __init__(self, nodes: list[dict] | None = None, settings: dict | None = None, name: str = "starling", port: int = PORT):
        folder = WORK / name
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self.config = folder / "gateway.yaml"
        base = merged(basic_settings(nodes or [fast_node()]), {"server": {"port": port}, "replica": {"name": "gw-bench"}})
        self.config.write_text(as_yaml(merged(base, settings or {})))
        self.key = bootstrap_key(self.config)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def command(self) -> str:
        return f"{starling()} serve --config {self.config}"

    def check(self) -> None:
        """A configuration that does not load must not be measured as a slow one."""
        subprocess.run([starling(), "config", "check", "--config", self.config], check=True, env=quiet_environment())
