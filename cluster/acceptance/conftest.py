"""Fixtures of the acceptance tests: real processes on free ports of the loopback, in temporary folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flock.child import end_all                                   # noqa: E402
from flock.real_workers import CannotRunHere                      # noqa: E402
from flock.replica import Replica                                 # noqa: E402
from flock.simulator import Simulator                             # noqa: E402
from scripted_worker import ScriptedWorker                        # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "timing: measures milliseconds, so it runs alone and not beside other tests")
    config.addinivalue_line("markers", "real: needs a real mlx_lm.server")


def pytest_sessionfinish():
    end_all()


class Stage:
    """Starts what a test asks for and ends it all, in reverse order."""

    def __init__(self) -> None:
        self._cast: list = []

    def replica(self, nodes, settings: dict | None = None, **more) -> Replica:
        return self._keep(Replica([node if isinstance(node, dict) else node.node() for node in nodes], settings, **more))

    def simulator(self, name: str = "sim-1", **more) -> Simulator:
        return self._keep(Simulator(name, **more))

    def worker(self, name: str = "scripted-1", **more) -> ScriptedWorker:
        return self._keep(ScriptedWorker(name, **more))

    def real(self, *makers):
        """Real servers, one or several; the test is skipped, loudly, where there can be none."""
        if os.environ.get("ACCEPTANCE_SKIP_REAL"):
            pytest.skip("ACCEPTANCE_SKIP_REAL is set: NOTHING below ran against a real worker")
        try:
            workers = [self._keep(make()) for make in makers]
        except CannotRunHere as reason:
            print(f"\n*** NO TEST RAN AGAINST A REAL WORKER: {reason} ***", file=sys.__stderr__)
            pytest.skip(str(reason))
        return workers[0] if len(workers) == 1 else workers

    def keep(self, thing):
        return self._keep(thing)

    def _keep(self, thing):
        self._cast.append(thing)
        return thing

    def clear(self) -> None:
        while self._cast:
            self._cast.pop().stop()


@pytest.fixture
def stage():
    """For one test."""
    stage = Stage()
    yield stage
    stage.clear()


@pytest.fixture(scope="module")
def long_stage():
    """For all tests of a file."""
    stage = Stage()
    yield stage
    stage.clear()


def self_signed(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    """A self-signed certificate for a name: (certificate, key)."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName={','.join([f'DNS:{name}', *more])}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("certificate"), "localhost", "IP:127.0.0.1")
