"""The nginx example of deploy/ in front of a replica: nothing is buffered, nothing is cut."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading

import pytest

from flock.patience import until
from flock.repository import ROOT
from raw_client import RawConnection
from scripted_worker import DONE, FINISH, ScriptedWorker, content

EXAMPLE = ROOT / "deploy" / "nginx" / "starling.conf"
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
CHAT = "/v1/chat/completions"
STREAM = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}).encode()


class Nginx:
    """The example, with this test's ports in the place of its own."""

    def __init__(self, folder, replica_port: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        site = EXAMPLE.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{replica_port}").replace("listen 8080", f"listen 127.0.0.1:{self.port}")
        assert str(replica_port) in site and str(self.port) in site
        scratch = "".join(f"{name}_temp_path {folder}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = folder / "nginx.conf"
        main.write_text(f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
                        f"http {{ access_log off; {scratch}\n{site}\n}}\n")
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
