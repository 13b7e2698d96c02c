"""Fixtures of the contracts: each test runs against every simulated kind and every real server, one after another."""

from __future__ import annotations

import os

import pytest

from columns import COLUMNS
from disagreements import DISAGREEMENTS, OWED_BY_STARLING
from flock.child import end_all
from flock.real_workers import CannotRunHere
from through_starling import replica_before
from subjects import NEEDED_WITH_ALL, NOT_SIMULATED_YET, SERVERS, Subject, Wish, speaks

SUBJECTS = [Subject(kind, is_simulated=True) for kind in COLUMNS] + [Subject(kind, is_simulated=False) for kind in SERVERS]


def why_left_out(subject: Subject) -> str | None:
    """The reason why a subject is not tried in this run. There is none beyond these lists."""
    if subject.is_simulated and subject.kind in NOT_SIMULATED_YET and not speaks(subject.kind):
        return NOT_SIMULATED_YET[subject.kind]
    if not subject.is_simulated and subject.kind in NEEDED_WITH_ALL and not os.environ.get("CONTRACTS_ALL"):
        return f"building the real server of {subject.kind} takes minutes: make contract-all"
    if not subject.is_simulated and os.environ.get("CONTRACTS_SKIP_REAL"):
        return "CONTRACTS_SKIP_REAL is set: NOTHING ran against a real server"
    return None


def pytest_configure(config):
    config.addinivalue_line("markers", "real: said of borrowed tests where they come from; here every test runs on both sorts")


def pytest_collection_modifyitems(items):
    """A known failure must fail: it turns the run red when somebody has mended it."""
    known = DISAGREEMENTS | OWED_BY_STARLING
    unused = set(known)
    for item in items:
        if item.name in known:
            unused.discard(item.name)
            item.add_marker(pytest.mark.xfail(strict=True, reason=known[item.name]))
    whole_run = {os.path.basename(str(item.path)) for item in items} >= {"test_transport.py", "test_deaths.py", "test_leaving.py"}
    if whole_run and unused:
        raise pytest.UsageError(f"disagreements.py names tests that do not exist: {sorted(unused)}")


def pytest_sessionfinish():
    end_all()


class House:
    """One running worker for many tests; a new one when a test has killed it or asked for something special."""

    def __init__(self) -> None:
        self.worker = None
        self.subject: Subject | None = None
        self.replica = None

    def steady(self, subject: Subject):
        if self.subject != subject or not self.worker.child.is_running or getattr(self.worker, "is_spent", False):
            self.close()
            self.subject, self.worker = subject, started(subject, Wish())
        return self.worker

    def replica_before(self, worker):
        if not self.replica:
            self.replica = replica_before(worker)
        return self.replica

    def close(self) -> None:
        for one in (self.replica, self.worker):
            if one:
                one.stop()
        self.subject = self.worker = self.replica = None


def started(subject: Subject, wish: Wish):
    try:
        return subject.start(wish)
    except CannotRunHere as reason:
        pytest.skip(f"NOTHING ran against the real {subject.kind}: {reason}")


@pytest.fixture(scope="session")
def house():
    house = House()
    yield house
    house.close()


@pytest.fixture(scope="session", params=SUBJECTS, ids=lambda subject: subject.name)
def subject(request) -> Subject:
    if reason := why_left_out(request.param):
        pytest.skip(reason)
    return request.param


@pytest.fixture
def expected(subject):
    """The column of the worker's kind."""
    return COLUMNS[subject.kind]


@pytest.fixture
def worker(house, subject):
    """A worker that lives, shared with other tests."""
    return house.steady(subject)


@pytest.fixture
def start(subject):
    """Starts a worker of the same sort that belongs to one test."""
    own = []

    def start(**wish):
        own.append(started(subject, Wish(**wish)))
        return own[-1]

    yield start
    for worker in own:
        worker.stop()


@pytest.fixture
def replica(house, worker):
    """A replica before the shared worker."""
    return house.replica_before(worker)
