"""A real mlx_lm.server in trouble, alone behind Starling, while clients of the OpenAI SDK keep asking.

Whatever is done to the server, a client sees a slower answer or an honest error: never a hang beyond our clocks, never a stream
that breaks off and looks whole, never another text than the server's.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
import time
from dataclasses import dataclass

import openai
import pytest
from openai import OpenAI

from flock.patience import until
from flock.real_workers import MLXWorker
from raw_client import RawConnection
from test_queries_of_death import DEADLY

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

TOKENS = 200
HANG_SECONDS = 45
"""Thirty seconds in the queue, then fifteen until a worker that says nothing is asked. The longest call seen took 20.7 s."""
CODES = ("upstream.", "gateway.", "worker.")
CHAT = "/v1/chat/completions"


@dataclass
class Call:
    """What the SDK made of one request."""

    stream: bool
    seconds: float
    text: str | None = None
    code: str | None = None
    wrong: str | None = None


class SDKClients:
    """One that wants plain answers and two that want streams, each asking one request after another."""

    def __init__(self, replica) -> None:
        self.replica = replica
        self.calls: list[Call] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(3)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        url, key = f"{self.replica.url}/v1", self.replica.key
        with OpenAI(base_url=url, api_key=key, max_retries=0, timeout=HANG_SECONDS + 30) as client:
            while not self._ended.is_set():
                self.calls.append(one_call(client, stream=number > 0))

    def since(self, mark: int) -> list[Call]:
        return self.calls[mark:]

    def stop(self) -> list[Call]:
        self._ended.set()
        for thread in self._threads:
            thread.join(HANG_SECONDS + 40)
        assert not any(thread.is_alive() for thread in self._threads)
        return self.calls


def one_call(client: OpenAI, stream: bool) -> Call:
    call, begun = Call(stream, 0), time.monotonic()
    try:
        answer = client.chat.completions.create(
            model="tiny-llama", messages=[{"role": "user", "content": "hello"}], max_tokens=TOKENS, temperature=0, stream=stream)
        if stream:
            text, finish = "", None
            for chunk in answer:
                text += chunk.choices[0].delta.content or ""
                finish = chunk.choices[0].finish_reason or finish
        else:
            text, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
        if finish == "length":
            call.text = text.strip()
        else:
            call.wrong = f"it ended with finish_reason {finish} after {len(text)} characters and looked whole"
    except (openai.APIConnectionError, openai.APITimeoutError) as error:
        call.wrong = f"{type(error).__name__}: {error.__cause__!r}"
    except openai.APIError as error:
        # A status, or the error event of a stream.
        call.code = error.code
        # The request is as good as ever: nobody may say that it is at fault.
        blames = getattr(error, "status_code", 500) < 500
        if not str(error.code).startswith(CODES) or not error.message or blames:
            call.wrong = f"{type(error).__name__} with code {error.code}: {error}"
    except Exception as error:
        call.wrong = f"{type(error).__name__}: {error}"
    call.seconds = time.monotonic() - begun
    return call


class House:
    def __init__(self, stage) -> None:
        self.worker = stage.real(lambda: MLXWorker("mlx-1"))
        self.replica = stage.replica([self.worker])
        until("it is healthy", lambda: self.state() == "healthy", 30)
        self.clients = stage.keep(SDKClients(self.replica))
        self.until_served(6)

    def state(self) -> str:
        return json.loads(self.replica.get(f"/admin/workers/{self.worker.name}")[2])["state"]

    def until_served(self, count: int, seconds: float = 90) -> None:
        mark = len(self.clients.calls)
        until("clients get answers", lambda: sum(call.text is not None for call in self.clients.since(mark)) >= count, seconds)

    def until_well(self) -> None:
        """Served as ever, and the worker believed in."""
        self.until_served(20)
        until("it is healthy", lambda: self.state() == "healthy", 30)

    def until_told(self, seconds: float = HANG_SECONDS) -> None:
        mark = len(self.clients.calls)
        until("clients get an honest error", lambda: any(call.code for call in self.clients.since(mark)), seconds)

    def judge(self) -> None:
        """What all clients saw, from the first to the last."""
        calls = self.clients.stop()
        codes = sorted({call.code for call in calls if call.code})
        slowest = max(call.seconds for call in calls)
        print(f"  {len(calls)} calls, {sum(call.text is None for call in calls)} errors {codes}, the slowest took {slowest:.1f} s")
        assert not [call for call in calls if call.wrong], [call for call in calls if call.wrong][:3]
        assert slowest <= HANG_SECONDS
        texts = {call.text for call in calls if call.text is not None}
        assert len(texts) == 1, "the same greedy prompt has one answer"
        assert self.replica.metric_sum("starling_faults_total") == 0


@pytest.fixture
def house(stage):
    return House(stage)


@pytest.mark.parametrize("long", [False, True], ids=["for-a-moment", "until-it-is-told"])
def test_frozen(house, long):
    """SIGSTOP, in the middle of streams: connects succeed, nothing is said. Then SIGCONT."""
    house.worker.child.send(signal.SIGSTOP)
    try:
        if long:
            house.until_told()
        else:
            stopped = time.monotonic()
            until("three seconds are over", lambda: time.monotonic() > stopped + 3)
    finally:
        house.worker.child.send(signal.SIGCONT)
    house.until_well()
    if not long:
        assert not [call for call in house.clients.calls if call.code], "three seconds are only a slower answer"
    house.judge()


def test_restarted_cold(house):
    """Killed in the middle of streams, and started again on its port at once."""
    house.worker.child.kill()
    house.worker.start_again()
    house.until_well()
    house.judge()


NONSENSE = [
    b"", b"null", b"[]", b"{", b'"hello"', b"\xff\xfe", b'{"model":"tiny-llama"}', b'{"model":"tiny-llama","messages":"hello"}',
    b'{"model":"tiny-llama","messages":[]}', b'{"model":"tiny-llama","messages":[{"role":"user","content":5}]}',
    b'{"model":"tiny-llama","messages":[{"role":"user","content":"\xff"}]}', b'{"model":"tiny-llama","messages":[null]}',
    b'{"model":5,"messages":[{"role":"user","content":"a"}]}', b'{"model":"tiny-llama","messages":[{"content":"a"}]}',
]
ODD = [
    {"n": 2}, {"logprobs": True, "top_logprobs": 5}, {"seed": 7}, {"temperature": 2, "top_p": 0.01}, {"stop": ["a", "b", "c"]},
    {"stream": True, "stream_options": {}}, {"response_format": {"type": "json_object"}}, {"user": "x" * 1000},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]},
    {"messages": [{"role": "user", "content": ""}]}, {"messages": [{"role": "moderator", "content": "hello"}]},
    {"max_tokens": None, "max_completion_tokens": 3}, {"top_k": -1},
    {"tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}], "tool_choice": "none"},
]


def test_asked_nonsense(house):
    """Invalid, odd and deadly requests from a neighbour, who also leaves at bad moments. The clients notice nothing of it."""
    good = {"model": "tiny-llama", "max_tokens": 3, "messages": [{"role": "user", "content": "hello"}]}
    asked = [(CHAT, body) for body in NONSENSE] + [(CHAT, json.dumps(good | odd).encode()) for odd in ODD]
    asked += [(path, body.encode()) for path, body, _ in DEADLY.values()]
    random.Random(7).shuffle(asked)
    for path, body in asked:
        status, _, answer = house.replica.post(path, body, seconds=HANG_SECONDS)
        assert status == 200 or (400 <= status < 500 and json.loads(answer)["error"]["message"]), (status, body[:200], answer[:300])
        for half in (body[:len(body) // 2], body):
            with RawConnection(house.replica.port) as connection:
                connection.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {house.replica.key}\r\n"
                                f"Content-Length: {len(body)}\r\n\r\n".encode() + half)
                connection.leave_rudely()
    house.until_served(10)
    assert house.worker.child.is_running and house.state() == "healthy"
    assert not [call for call in house.clients.calls if call.code], "clients of a well worker see no error"
    house.judge()


def test_its_generation_thread_dies(house):
    """A query of death that did not come through Starling: HTTP lives on, and nothing is computed any more."""
    connection = http.client.HTTPConnection("127.0.0.1", house.worker.port, timeout=30)
    connection.request("POST", "/v1/completions", json.dumps({"model": "default_model", "prompt": ["a", "b"], "max_tokens": 3}),
                       {"Content-Type": "application/json"})
    house.until_told()
    connection.close()
    assert house.worker.child.is_running
    until("it is out", lambda: house.state() == "down", 40)
    house.until_told()
    house.worker.child.kill()
    house.worker.start_again()
    house.until_well()
    house.judge()
