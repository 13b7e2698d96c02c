"""C19 and C20: single requests that end an engine, or do not. Each needs a worker that lives; whoever is dead is replaced."""

from __future__ import annotations

import pytest

from column import NotSaid
from known_requests import DEATHS
from flock.patience import until
from talk import CHAT, TEXT, HungUp, ask, chat, get


def deadly(worker, name: str) -> tuple[str, str]:
    route, member = DEATHS[name]
    prompt = "" if member.startswith('"prompt"') else '"prompt":"hello",'
    inner = '"messages":[{"role":"user","content":"hello"}],' if route == "chat" else prompt
    return CHAT if route == "chat" else TEXT, f'{{"model":"{worker.upstream_name}","max_tokens":3,{inner}{member}}}'


def what_is_answered(worker, name: str) -> str:
    try:
        return str(ask(worker, *deadly(worker, name), seconds=20).status)
    except HungUp:
        return "nothing"
    except TimeoutError:
        return "silence"


def what_is_left(worker) -> str:
    """A worker that dies may need a moment to be dead."""
    return until("the worker shows whether it lives", lambda: state_of(worker), 30)


def state_of(worker) -> str | None:
    if not worker.child.is_running:
        return "process dead"
    try:
        told = ask(worker, CHAT, chat(worker), seconds=10)
    except (HungUp, OSError):
        return None
    if told.status == 200:
        return "lives"
    return "thread dead" if b"generation thread died" in told.body else None


@pytest.mark.parametrize("name", DEATHS)
def test_a_deadly_request(worker, expected, name):
    answered = what_is_answered(worker, name)
    left = what_is_left(worker)
    worker.is_spent = left != "lives"
    assert f"{answered}, {left}".endswith(expected.deaths[name])


def test_after_the_death_of_its_thread(worker, expected):
    if isinstance(expected.after_thread_death, NotSaid):
        pytest.skip(expected.after_thread_death.reason)
    what_is_answered(worker, "an empty prompt")
    worker.is_spent = True
    assert what_is_left(worker) == "thread dead"
    seen = {path: get(worker, path).status for path in ("/health", "/v1/models")}
    assert seen | {"chat": ask(worker, CHAT, chat(worker)).status} == expected.after_thread_death
