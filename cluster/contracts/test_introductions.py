"""C29: which version a worker is and what it can do, told by itself, and shown by Starling as it was told."""

from __future__ import annotations

import json
import re

from flock.patience import until
from talk import CHAT, ask, chat, get


def version_of(worker, told: tuple[str, str, str]) -> str:
    """As the worker itself tells it."""
    path, member, form = told
    answer = ask(worker, CHAT, chat(worker)) if path == CHAT else get(worker, path)
    found = re.fullmatch(form, answer.json[member])
    assert found, f"{path} says {answer.json[member]!r}"
    return found[1]


def shown(replica, worker) -> dict:
    return json.loads(replica.get(f"/admin/workers/{worker.name}")[2])


def test_the_version_is_told_where_the_column_says(worker, expected):
    if expected.version_told:
        version_of(worker, expected.version_told)


def test_starling_shows_the_version(replica, worker, expected):
    if not expected.version_told:
        until("the worker is well", lambda: shown(replica, worker)["state"] == "healthy")
        assert "version" not in shown(replica, worker)
        return
    told = version_of(worker, expected.version_told)
    until("its version is shown", lambda: shown(replica, worker).get("version") == told)


def test_starling_shows_what_the_worker_can_do(replica, worker, expected):
    if expected.capabilities is None:
        until("the worker is well", lambda: shown(replica, worker)["state"] == "healthy")
        assert "capabilities" not in shown(replica, worker)
        return
    until("it has told", lambda: "capabilities" in shown(replica, worker))
    capabilities = shown(replica, worker)["capabilities"]
    assert capabilities == sorted(capabilities) and set(capabilities) - {"tools"} == expected.capabilities
