"""`cluster/up` starts a flock that outlives it, and `cluster/down` ends exactly that."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess

import pytest

from flock.detached import Ledger, birth
from flock.repository import ROOT
from up import NGINX


@pytest.fixture
def flock(tmp_path):
    """A function that runs one of the scripts on a flock of this test's own; what was started ends with the test."""
    folder = tmp_path / "flock"

    def run(script: str, *words: str, fails: bool = False) -> str:
        done = subprocess.run([ROOT / "cluster" / script, *words], capture_output=True, text=True, timeout=90,
                              env=os.environ | {"FLOCK_STATE": str(folder)})
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.ledger = Ledger(folder)
    yield run
    run.ledger.end(10)


def status_of(port: int, path: str, key: str | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_flock_outlives_the_script_and_ends_whole(flock):
    """Replicas, workers and their log files; one key for all; nothing is left."""
    told = flock("up", "2", "--workers", "1", "--port", "0", "--gossip", "0", "--time-scale", "0")
    key = re.search(r"STARLING_KEY=(\S+)", told).group(1)
    entries = flock.ledger.entries()
    assert [entry["name"] for entry in entries] == ["mac-1", "gw-1", "gw-2"]
    for entry in entries[1:]:
        assert status_of(entry["port"], "/livez") == 200
        assert status_of(entry["port"], "/v1/cluster/status", key) == 200
    assert "runs already" in flock("up", "1", fails=True)
    assert "3 processes ended" in flock("down")
    assert all(birth(entry["pid"]) != entry["birth"] for entry in entries)
    assert not flock.ledger.folder.exists()
    assert "nothing was ended" in flock("down")


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_nginx_may_stand_before_them(flock):
    told = flock("up", "2", "--nginx", "--workers", "0", "--port", "0", "--gossip", "0")
    entries = {entry["name"]: entry for entry in flock.ledger.entries()}
    assert f"STARLING_URL=http://127.0.0.1:{entries['nginx']['port']}" in told
    assert status_of(entries["nginx"]["port"], "/livez") == 200
    assert "3 processes ended" in flock("down")


def test_down_leaves_a_process_alone_that_has_only_the_number(flock):
    """The number of a process that ended may be somebody else's by now."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        flock.ledger.folder.mkdir()
        entry = {"name": "gw-1", "role": "replica", "pid": stranger.pid, "birth": "12345@another-boot", "log": "/dev/null"}
        flock.ledger.file.write_text(json.dumps([entry]))
        assert "ended before: gw-1" in flock("down")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_up_that_cannot_finish_ends_what_it_started(flock):
    """A replica that does not come up takes the workers with it, and says why."""
    told = flock("up", "1", "--workers", "1", "--port", "0", "--gossip", "0", "--strategy", "fastest", fails=True)
    assert "load_balancing.strategy must be one of" in told and "has been ended" in told
    assert flock.ledger.living() == []


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="replicas share one address of loopback here")
def test_gossip_may_pass_a_faulty_network(flock):
    """With a relay each replica advertises its front, and the relay takes orders."""
    flock("up", "2", "--workers", "0", "--port", "0", "--gossip", "0", "--relay")
    entries = {entry["name"]: entry for entry in flock.ledger.entries()}
    assert entries["gw-1"]["reached"] != entries["gw-1"]["gossip"]
    assert entries["gw-1"]["gossip"].startswith("127.0.0.11:") and entries["gw-2"]["gossip"].startswith("127.0.0.12:")
    assert json.loads(flock("tell", '{"link": ["gw-1", "gw-2"], "udp": {"loss": 0.2}}')) == {"ok": True}
    assert "no replica" in flock("tell", '{"link": ["gw-1", "gw-9"], "udp": "block"}', fails=True)
    assert "3 processes ended" in flock("down")
