"""The nginx example of deploy/ in front of a replica: nothing is buffered, nothing is cut."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from flock.patience import until
from flock.repository import ROOT
from raw_client import RawConnection
from scripted_worker import DONE, FINISH, ScriptedWorker, content

EXAMPLE = ROOT / "deploy" / "nginx" / "starling.conf"
EXAMPLE_LIMIT = "proxy_read_timeout 3600s;"
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
CHAT = "/v1/chat/completions"
STREAM = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}).encode()


class Nginx:
    """The example, with this test's ports in the place of its own."""

    def __init__(self, folder, replica_port: int, idle_limit: str | None = None) -> None:
        """`idle_limit`: another `proxy_read_timeout` than the example's hour."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        site = EXAMPLE.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{replica_port}").replace("listen 8080", f"listen 127.0.0.1:{self.port}")
        assert str(replica_port) in site and str(self.port) in site
        if idle_limit is not None:
            assert EXAMPLE_LIMIT in site
            site = site.replace(EXAMPLE_LIMIT, f"proxy_read_timeout {idle_limit};")
        scratch = "".join(f"{name}_temp_path {folder}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = folder / "nginx.conf"
        main.write_text(f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
                        f"http {{ access_log off; client_body_buffer_size 1m; {scratch}\n{site}\n}}\n")
        self.process = subprocess.Popen([NGINX, "-c", main], stderr=subprocess.DEVNULL)
        until("nginx listens", self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_tokens_pass_as_they_come(stage, tmp_path):
    """Each event is read by the client before the worker sends the next one; a leaving client still frees the worker."""
    read = [threading.Event() for _ in range(3)]

    def in_step(visit):
        visit.send_stream_head()
        for number, gate in enumerate(read):
            visit.send_chunk(content(f"token-{number}"))
            if not gate.wait(10):
                return
        visit.send_chunk(FINISH + DONE)
        visit.end_chunks()

    worker: ScriptedWorker = stage.worker(script=in_step)
    replica = stage.replica([worker], {"server": {"trusted_proxies": ["127.0.0.1/32"]}})
    nginx = stage.keep(Nginx(tmp_path, replica.port))
    with RawConnection(nginx.port) as connection:
        connection.post(CHAT, STREAM, replica.key, ("X-Forwarded-For: 203.0.113.9",))
        for number, gate in enumerate(read):
            connection.read_until(f"token-{number}".encode())
            gate.set()
        connection.read_until(DONE)
    assert worker.visit(1).get("x-forwarded-for").startswith("203.0.113.9")

    worker.script = lambda visit: visit.wait_closed()
    with RawConnection(nginx.port) as connection:
        connection.post(CHAT, STREAM, replica.key)
        visit = worker.visit(2)
    until("the worker sees the close", lambda: visit.closed_ns)


SHORT = ("2s", {"keepalive_after_seconds": 0.5, "keepalive_interval_seconds": 0.5}, 10, 5_000)
"""nginx's limit, our settings, how many times faster than a real Mac, prompt tokens: five seconds of silence."""
REAL = ("60s", {}, 1, 11_000)
"""What nginx and Starling do without being told, and an M1 that reads a long prompt: 122 s and 12 keepalives were seen. Without
them it was 562 s of silence in the field, and then the client was gone."""


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", ["mlx_lm", "llama_cpp"])
@pytest.mark.parametrize("limit, settings, time_scale, prompt_tokens", [
    pytest.param(*SHORT, id="short"),
    pytest.param(*REAL, id="real", marks=pytest.mark.skipif(
        not os.environ.get("ACCEPTANCE_LONG"), reason="takes two minutes: ACCEPTANCE_LONG=1"))])
def test_a_prompt_may_take_longer_than_the_proxy_is_patient(stage, tmp_path, kind, limit, settings, time_scale, prompt_tokens):
    """Our keepalives are what nginx hears meanwhile. A plain answer, which can have none, shows that nginx means it."""
    sim = stage.simulator(kind=kind, chip="M1", models=("m=8:4bit",), time_scale=time_scale, options=("--context-tokens", "32768"))
    replica = stage.replica([sim], {"server": settings})
    nginx = stage.keep(Nginx(tmp_path, replica.port, idle_limit=limit))
    request = {"model": "m", "max_tokens": 4, "messages": [{"role": "user", "content": "abc " * prompt_tokens}]}
    begun = time.monotonic()
    with RawConnection(nginx.port, seconds=300) as connection, RawConnection(nginx.port, seconds=300) as plain:
        connection.post(CHAT, json.dumps(request | {"stream": True}).encode(), replica.key)
        plain.post(CHAT, json.dumps(request).encode(), replica.key)
        assert plain.read_head().status == 504
        assert time.monotonic() - begun >= float(limit.removesuffix("s")), "nginx gave up sooner than it was told"
        answer = connection.read_answer()
    took = time.monotonic() - begun
    comments = answer.body.count(b": keep-alive")
    print(f"  {kind}: the answer was there after {took:.0f} s, with {comments} keepalives, behind a limit of {limit}")
    assert answer.status == 200 and answer.body.endswith(DONE) and b'"finish_reason":"length"' in answer.body
    assert took > 1.5 * float(limit.removesuffix("s")), "it came before nginx lost patience: the test shows nothing"
    assert comments >= took / settings.get("keepalive_interval_seconds", 10) / 2
