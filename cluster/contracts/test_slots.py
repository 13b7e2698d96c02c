"""C17 and C18: more requests than slots, and what requests in one batch do to each other."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

from flock.patience import until
from talk import CHAT, ask, begin, chat


def test_the_head_of_a_stream_that_has_to_wait(start, expected):
    """Two slots are taken by long streams. A third stream is accepted: does its head come before its turn?"""
    moment = expected.head_of_a_queued_stream
    worker = start(slots=2, takes_its_time=True)
    with contextlib.ExitStack() as streams:
        for number in range(2):
            words = [{"role": "user", "content": f"a long story, number {number}"}]
            stream = streams.enter_context(begin(worker, CHAT, chat(worker, messages=words, max_tokens=6_000, stream=True)))
            stream.read_head()
            stream.read_until(b'"content"')
        third = streams.enter_context(begin(worker, CHAT, chat(worker, stream=True), seconds=1))
        assert ("at once" if head_comes(third) else "at a slot") == moment


def head_comes(connection) -> bool:
    try:
        return connection.read_head().status == 200
    except TimeoutError:
        return False


def test_a_greedy_request_beside_one_that_is_not(start, expected):
    """The same text as alone; vllm-mlx samples a whole batch as its first request wants it."""
    is_ones_own = expected.sampling_is_ones_own
    worker = start(takes_its_time=True)
    alone = ask(worker, CHAT, chat(worker, max_tokens=40)).text()
    words = [{"role": "user", "content": "something else"}]
    with begin(worker, CHAT, chat(worker, messages=words, max_tokens=1_000, stream=True, temperature=1.5)) as warm:
        warm.read_head()
        warm.read_until(b'"content"')
        beside = ask(worker, CHAT, chat(worker, max_tokens=40)).text()
    assert (beside.strip() == alone.strip()) == is_ones_own


def test_two_requests_with_a_seed(start, expected):
    """The second one's first token: beside the first one, or after its end."""
    company = expected.seeded_requests
    worker = start(takes_its_time=True)
    first = begin(worker, CHAT, chat(worker, max_tokens=500, stream=True, seed=1, temperature=1))
    with first, ThreadPoolExecutor(2) as pool:
        first.read_head()
        first.read_until(b'"content"')
        second = begin(worker, CHAT, chat(worker, max_tokens=3, stream=True, seed=2, temperature=1))
        with second:
            order: list[str] = []
            ends = [pool.submit(note_the_end, order, name, stream, mark)
                    for name, stream, mark in (("first ends", first, b"[DONE]"), ("second begins", second, b'"content"'))]
            until("both have come so far", lambda: all(end.done() for end in ends), 60)
    assert ("alone" if order == ["first ends", "second begins"] else "together") == company


def note_the_end(order: list[str], name: str, stream, mark: bytes) -> None:
    stream.read_until(mark)
    order.append(name)
