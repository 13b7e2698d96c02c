"""A `starling serve` process in a folder of its own, with a configuration that a test can bend."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import subprocess
import tempfile
from pathlib import Path

from .child import Child, quiet_environment, wait_for_file
from .patience import OutOfPatience, until
from .repository import starling_binary


def merged(base: dict, changes: dict) -> dict:
    """`changes` laid over `base`, mapping by mapping; lists and scalars are replaced whole."""
    result = dict(base)
    for key, value in changes.items():
        both_mappings = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both_mappings else value
    return result


def as_yaml(settings: dict) -> str:
    """One section a line, as JSON, which YAML contains. Workers get a line each."""
    lines = []
    for section, value in settings.items():
        if section == "cluster_nodes":
            lines.append("cluster_nodes:" + ("" if value else " []"))
            lines += ["  - " + json.dumps(node) for node in value]
        else:
            lines.append(f"{section}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def basic_settings(nodes: list[dict]) -> dict:
    """What every test replica has in common: loopback, a free port, one loop."""
    return {
        "server": {"host": "127.0.0.1", "port": 0, "workers": 1, "drain_seconds": 10},
        "replica": {"name": "gw-test"},
        "cluster": {"name": "test", "secret_file": "data/cluster.secret"},
        "storage": {"path": "data"},
        "load_balancing": {"strategy": "round_robin"},
        "cluster_nodes": nodes,
    }


class Replica:
    """A gateway that listens. `settings` are laid over `basic_settings`."""

    def __init__(self, nodes: list[dict], settings: dict | None = None, options: tuple[str, ...] = (),
                 environment: dict[str, str] | None = None, wait_ready: bool = True, echo: bool = False):
        self._folder = tempfile.TemporaryDirectory(prefix="starling-replica-")
        self.folder = Path(self._folder.name)
        self.config = self.folder / "gateway.yaml"
        self.settings = merged(basic_settings(nodes), settings or {})
        self.write_config(self.settings)
        self.key = bootstrap_key(self.config)
        ready = self.folder / "ready.json"
        self.child = Child(
            [starling_binary(), "serve", "--config", self.config, "--ready-file", ready, *options],
            environment=environment, echo=echo)
        self.port = int(wait_for_file(ready, self.child)["port"])
        self.uses_tls = bool(self.settings["server"].get("tls", {}).get("certificate"))
        if wait_ready:
            until("the replica answers 200 on /readyz", lambda: self.get("/readyz")[0] == 200, 15)
            with contextlib.suppress(OutOfPatience):
                # A test may want one that never proves itself; the others are there to be used.
                until("each worker has proved itself", self._trusts_its_workers, 3)

    def _trusts_its_workers(self) -> bool:
        """Whether none is new any more: until then its clients wait."""
        listed = json.loads(self.get("/admin/workers")[2])
        return all(worker["state"] != "loading" for worker in listed["data"])

    @property
    def url(self) -> str:
        return f"{'https' if self.uses_tls else 'http'}://127.0.0.1:{self.port}"

    def write_config(self, settings: dict) -> None:
        self.config.write_text(as_yaml(settings))

    def connection(self, seconds: float = 30) -> http.client.HTTPConnection:
        if self.uses_tls:
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=seconds, context=trusting)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)

    def request(self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None,
                key: str | None = "", seconds: float = 30) -> tuple[int, dict[str, str], bytes]:
        """One exchange on a connection of its own: status, headers with lower-case names, body.

        `key`: the empty string stands for this replica's admin key, None for no `Authorization` at all.
        """
        fields = dict(headers or {})
        if key is not None:
            fields.setdefault("Authorization", f"Bearer {key or self.key}")
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
        connection = self.connection(seconds)
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get(self, path: str, key: str | None = "") -> tuple[int, dict[str, str], bytes]:
        return self.request("GET", path, key=key)

    def post(self, path: str, body: object, headers: dict[str, str] | None = None,
             seconds: float = 30) -> tuple[int, dict[str, str], bytes]:
        payload = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.request("POST", path, payload, headers, seconds=seconds)

    def metrics(self) -> dict[str, float]:
        """`/metrics` as a mapping from `name{labels}` to value."""
        values = {}
        for line in self.get("/metrics")[2].decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def metric_sum(self, name: str, *having: str) -> float:
        """The sum of all series of one family whose labels contain each of `having`, as in `outcome="ok"`."""
        return sum(value for series, value in self.metrics().items()
                   if series.split("{")[0] == name and all(label in series for label in having))

    def stop(self, seconds: float = 15) -> int | None:
        code = self.child.stop(seconds)
        self._folder.cleanup()
        return code


def bootstrap_key(config: Path) -> str:
    """The admin key that `starling keys bootstrap` prints alone on standard output."""
    done = subprocess.run([starling_binary(), "keys", "bootstrap", "--config", config],
                          capture_output=True, text=True, env=quiet_environment())
    if done.returncode:
        raise AssertionError(f"starling keys bootstrap ended with {done.returncode}: {done.stderr}")
    return done.stdout.strip()
