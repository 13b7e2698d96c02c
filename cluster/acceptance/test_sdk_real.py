"""The OpenAI Python SDK through Starling to real servers with a tiny model: mlx_lm.server and vllm-mlx."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import time

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from flock.real_workers import MLXWorker, VLLMMLXWorker
from flock.patience import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(700)]
HELLO = [{"role": "user", "content": "hello world, please count to three"}]


@pytest.fixture(scope="module", params=[MLXWorker, VLLMMLXWorker], ids=lambda kind: kind.kind)
def real(long_stage, request):
    worker = long_stage.real(request.param)
    replica = long_stage.replica([worker], {"models": {"aliases": {"gpt-4o-mini": "tiny-llama"}}})
    replica.worker = worker
    return replica


@pytest.fixture
def client(real):
    with OpenAI(base_url=f"{real.url}/v1", api_key=real.key, max_retries=0, timeout=60) as client:
        yield client


def test_plain(client):
    answer = client.chat.completions.create(model="tiny-llama", messages=HELLO, max_tokens=9, temperature=0)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 9


@pytest.mark.parametrize("model", ["tiny-llama", "gpt-4o-mini"])
def test_stream_equals_plain(client, model):
    plain = client.chat.completions.create(model=model, messages=HELLO, max_tokens=16, temperature=0)
    text = ""
    for chunk in client.chat.completions.create(model=model, messages=HELLO, max_tokens=16, temperature=0, stream=True):
        assert chunk.choices, "the usage chunk that the gateway asked for stays with the gateway"
        text += chunk.choices[0].delta.content or ""
    assert text.strip() == plain.choices[0].message.content.strip()


def test_stream_with_usage(real, client):
    chunks = list(client.chat.completions.create(
        model="tiny-llama", messages=HELLO, max_tokens=5, stream=True, stream_options={"include_usage": True}))
    told = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
    # vllm-mlx tells its usage in the last content event, too.
    assert told == ([5, 5] if real.worker.kind == "vllm_mlx" else [5])


def test_stream_helper(client):
    """`.stream()` accumulates by itself. This model never stops by itself, so it runs into its ceiling."""
    with client.chat.completions.stream(model="tiny-llama", messages=HELLO, max_tokens=6) as stream:
        written = "".join(event.delta for event in stream if event.type == "content.delta")
        choice = stream.current_completion_snapshot.choices[0]
    assert choice.message.content == written and written.strip()
    assert choice.finish_reason == "length"


def test_completions(client):
    answer = client.completions.create(model="tiny-llama", prompt="hello", max_tokens=4, temperature=0)
    assert answer.choices[0].text
    text = "".join(chunk.choices[0].text for chunk in client.completions.create(
        model="tiny-llama", prompt="hello", max_tokens=4, temperature=0, stream=True) if chunk.choices)
    assert text.strip() == answer.choices[0].text.strip()


def test_async_many(real):
    async def everybody() -> list[str]:
        async with AsyncOpenAI(base_url=f"{real.url}/v1", api_key=real.key, max_retries=0, timeout=120) as client:
            async def one(number: int) -> str:
                answer = await client.chat.completions.create(
                    model="tiny-llama", max_tokens=4, messages=[{"role": "user", "content": f"hello {number}"}])
                return answer.choices[0].message.content
            return await asyncio.gather(*(one(number) for number in range(12)))
    assert all(asyncio.run(everybody()))


def test_raw_response(real, client):
    raw = client.chat.completions.with_raw_response.create(model="tiny-llama", messages=HELLO, max_tokens=2)
    assert raw.headers["x-starling-worker"] == real.worker.name
    assert raw.headers["x-request-id"]
    assert raw.parse().choices


def test_tools_are_accepted(client):
    """The tiny model cannot call a tool; the request must pass all the same."""
    answer = client.chat.completions.create(
        model="tiny-llama", messages=HELLO, max_tokens=4,
        tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}])
    assert answer.choices[0].message.content


def test_json_mode_is_told_ignored(real, client):
    if real.worker.kind != "mlx_lm":
        pytest.skip("it obeys, or refuses, by itself")
    raw = client.chat.completions.with_raw_response.create(
        model="tiny-llama", messages=HELLO, max_tokens=4, response_format={"type": "json_object"})
    assert "response_format" in raw.headers["x-starling-ignored"]


def test_unknown_model_never_reaches_the_worker(real, client):
    """This server would throw its model away and try to load, or download, the name it was given."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="mlx-community/something-else", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert client.chat.completions.create(model="tiny-llama", messages=HELLO, max_tokens=2).choices


@pytest.mark.parametrize("field, value", [("stop", 5), ("stop", [5]), ("max_tokens", 1.5), ("adapters", "x"), ("draft_model", "y")])
def test_what_would_kill_the_worker_is_refused(real, field, value):
    if real.worker.kind != "mlx_lm" and field in ("adapters", "draft_model"):
        pytest.skip("members of mlx_lm alone")
    status, _, body = real.post("/v1/chat/completions", {"model": "tiny-llama", "messages": HELLO, field: value})
    assert status == 400, body
    assert real.post("/v1/chat/completions", {"model": "tiny-llama", "messages": HELLO, "max_tokens": 2})[0] == 200


def test_the_newer_name_of_the_ceiling_is_obeyed(client):
    """vllm-mlx knows only the older one; asked for 3 under the newer, it would go on."""
    answer = client.chat.completions.create(model="tiny-llama", messages=HELLO, max_completion_tokens=3, stop="never")
    assert answer.usage.completion_tokens == 3


def test_timeout_frees_the_slot(real):
    with OpenAI(base_url=f"{real.url}/v1", api_key=real.key, max_retries=0, timeout=0.3) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="tiny-llama", messages=HELLO, max_tokens=2000)
    until("no exchange is open", lambda: real.metric_sum("starling_in_flight") == 0)


def test_leaving_a_stream_frees_the_worker(real, client):
    with client.chat.completions.create(model="tiny-llama", messages=HELLO, max_tokens=3000, stream=True) as stream:
        next(iter(stream))
    until("no exchange is open", lambda: real.metric_sum("starling_in_flight") == 0)
    assert client.chat.completions.create(model="tiny-llama", messages=HELLO, max_tokens=2).choices


def test_abandoned_plain_answers_cost_the_worker_nothing_more(real):
    """Clients ask for plain answers of many seconds and leave at random moments: soon after the last, nobody computes."""
    chance = random.Random(7)
    aborts = int(os.environ.get("ACCEPTANCE_REAL_ABORTS", "200"))
    body = json.dumps({"model": "tiny-llama", "messages": HELLO, "max_tokens": 4000}).encode()
    request = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {real.key}\r\n"
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
    open_ones: list[tuple[float, socket.socket]] = []
    for _ in range(aborts):
        connection = socket.create_connection(("127.0.0.1", real.port))
        connection.sendall(request)
        open_ones.append((time.monotonic() + chance.uniform(0, 0.3), connection))
        if len(open_ones) == 8:
            moment, connection = open_ones.pop(0)
            until("its moment has come", lambda: time.monotonic() >= moment)
            connection.close()
    for _, connection in open_ones:
        connection.close()
    left = time.monotonic()
    until("the gateway has no exchange open", lambda: real.metrics()["starling_in_flight"] == 0)

    def rests() -> bool:
        """Whether it computes for at most a tenth of half a second."""
        began, before = time.monotonic(), real.worker.child.processor_seconds()
        until("half a second is over", lambda: time.monotonic() > began + 0.5, every=0.05)
        return real.worker.child.processor_seconds() - before <= 0.05

    # One look's length and the bound of one second; the third is a busy machine's.
    until("the worker rests", rests, 3, every=0)
    print(f"  resting {time.monotonic() - left - 0.5:.1f} s after the last of {aborts} left")
    assert real.worker.completes()
