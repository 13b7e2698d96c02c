"""What the README and the demo promise is done here as a newcomer would do it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from flock.child import quiet_environment
from flock.repository import ROOT

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def run(command: list[str], **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, env=quiet_environment() | variables)


def test_the_demo_keeps_its_word():
    """`make demo` without the building: its commands are pasted, a worker is killed in mid-stream, then a replica."""
    done = run([sys.executable, "cluster/demo.py"], DEMO_ONCE="1", DEMO_PORT="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 replicas" in done.stdout and "an error event" in done.stdout
    assert "one that is killed is dead for the others" in done.stdout and "all ended" in done.stdout


def test_the_demo_says_that_a_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run([sys.executable, "cluster/demo.py"], DEMO_ONCE="1", DEMO_PORT=str(port))
    assert done.returncode == 1
    assert f"port {port}" in done.stderr and "DEMO_PORT" in done.stderr


@pytest.mark.real
@pytest.mark.timeout(700)
def test_real_worker_keeps_its_word():
    if os.environ.get("ACCEPTANCE_SKIP_REAL"):
        pytest.skip("ACCEPTANCE_SKIP_REAL is set")
    done = subprocess.run([sys.executable, "cluster/real_worker.py"], cwd=ROOT, capture_output=True, text=True, timeout=650,
                          env=quiet_environment() | {"DEMO_ONCE": "1", "DEMO_PORT": "0"})
    if "glibc" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr


def test_make_alone_lists_the_verbs():
    done = run(["make"])
    verbs = set(re.findall(r"^  make ([a-z-]+)", done.stdout, re.MULTILINE))
    assert verbs >= {"demo", "test", "core-test", "lint", "build", "release", "bench", "acceptance", "real-worker", "clean",
                     "install", "ready", "system-packages"}
    phony = set(next(line for line in MAKEFILE.splitlines() if line.startswith(".PHONY")).split()[1:])
    assert phony - {"help"} == verbs, "each verb has its line, and each line its verb"


def test_commands_of_the_readme_exist():
    for verb in re.findall(r"^ *make ([a-z-]+)", README, re.MULTILINE):
        assert re.search(rf"^{verb}:", MAKEFILE, re.MULTILINE), f"make {verb}"


def test_each_promise_names_a_test_that_exists():
    """The table of what works names its evidence; a promise without a test is a claim."""
    rows = [line for line in README.splitlines() if line.startswith("|") and "`" in line and "::" in line]
    assert len(rows) >= 10
    for row in rows:
        for file, name in re.findall(r"`([\w/]+\.\w+)::(\w+)`", row):
            path = next((base / file for base in (ROOT / "cluster" / "acceptance", ROOT / "Tests") if (base / file).exists()), None)
            assert path, f"{file} of the row {row}"
            assert re.search(rf"\b(def|func) {name}\b", path.read_text()), f"{file} has no {name}"


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_scripts_are_well_formed():
    done = run(["cluster/lint-scripts"])
    assert done.returncode == 0, done.stdout + done.stderr
