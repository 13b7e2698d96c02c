"""C14, C15 and C21: clients that leave before their answer, and a worker that is asked to go."""

from __future__ import annotations

import signal
import time

import pytest

from flock.patience import OutOfPatience, until
from raw_client import Cut
from talk import CHAT, begin, chat, is_refused

LONG = 30_000
"""Tokens that a real server writes for a minute, and a simulated Mac for several."""
TRIES = 4
"""Fresh servers, where one may overlook a departure."""


def test_a_client_leaves_a_plain_request(start, expected):
    notices = expected.notices_lost_plain_client["alone"]
    worker = start(takes_its_time=True, context_tokens=32_768)
    with begin(worker, CHAT, chat(worker, max_tokens=LONG)):
        until("the worker computes", worker.is_computing)
    if notices:
        until("it has noticed that its client is gone", lambda: not worker.is_computing(), 8)
        return
    assert worker.computes_on(3), "it stopped for a client that had gone"


def test_a_client_leaves_a_plain_request_beside_a_stream(start, expected):
    worker = start(takes_its_time=True, context_tokens=32_768)
    if worker.running() is None:
        pytest.skip("it tells nobody how many requests it runs")
    notices = expected.notices_lost_plain_client["beside a stream"]
    with begin(worker, CHAT, chat(worker, max_tokens=LONG, stream=True)) as stream:
        stream.read_head()
        stream.read_until(b"data: ")
        with begin(worker, CHAT, chat(worker, max_tokens=LONG)):
            until("both run", lambda: worker.running() == 2)
        if notices:
            until("it has noticed that a client is gone", lambda: worker.running() == 1, 8)
            return
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert worker.running() == 2, "it stopped for a client that had gone"


def test_a_client_leaves_a_stream(start, expected):
    tries = TRIES if expected.overlooks_lost_streams else 1
    for tried in range(1, tries + 1):
        worker = start(takes_its_time=True, context_tokens=32_768)
        with begin(worker, CHAT, chat(worker, max_tokens=LONG, stream=True)) as connection:
            connection.read_head()
            connection.read_until(b"data: ")
            assert worker.is_computing()
        try:
            until("it has noticed that its client is gone", lambda: not worker.is_computing(), expected.notices_lost_stream_seconds)
            return
        except OutOfPatience:
            worker.stop()
            if tried == tries:
                raise


def test_a_client_leaves_a_stream_before_the_first_token(start):
    """While the prompt is read: at the end of a step of it at the latest."""
    worker = start(takes_its_time=True)
    words = [{"role": "user", "content": "many words and more words " * 150}]
    with begin(worker, CHAT, chat(worker, messages=words, max_tokens=LONG, stream=True)):
        until("the worker computes", worker.is_computing)
    until("it has noticed that its client is gone", lambda: not worker.is_computing(), 20)


def test_sigterm_while_a_stream_runs(start, expected):
    end = expected.sigterm_in_a_stream
    worker = start(takes_its_time=True, context_tokens=32_768)
    with begin(worker, CHAT, chat(worker, max_tokens=LONG if end != "finished" else 600, stream=True),
               seconds=60) as connection:
        connection.read_head()
        connection.read_until(b"data: ")
        worker.child.send(signal.SIGTERM)
        assert what_becomes_of(connection, worker) in end.split(" or ")


def what_becomes_of(connection, worker) -> str:
    """cut: the connection ends without a finish. silent: it stays open and says nothing more. finished: all is said."""
    until("new connects are refused", lambda: is_refused(worker), 10)
    connection.socket.settimeout(3)
    try:
        said = connection.read_until(b"[DONE]")
        return "finished" if b'"finish_reason":"length"' in said.replace(b": ", b":") else "ended without a reason"
    except TimeoutError:
        return "silent"
    except (Cut, ConnectionError) as end:
        return "finished" if "length" in str(end) else "cut"
