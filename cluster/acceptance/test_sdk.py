"""The OpenAI Python SDK, as people use it, through Starling to each kind of simulated worker."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from scripted_worker import ANSWER, ScriptedWorker, answer_plainly

KINDS = ["mlx_lm", "llama_cpp", "openai"]
MODELS = ("llama-7b", "qwen-14b=14:4bit")
HELLO = [{"role": "user", "content": "Hello, who are you?"}]
WEATHER = [{"type": "function", "function": {
    "name": "get_weather", "description": "The weather in a town",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}}}]


@pytest.fixture(scope="module", params=KINDS)
def sim(request, long_stage):
    """One simulated worker of each kind behind one replica."""
    worker = long_stage.simulator(f"sim-{request.param}", kind=request.param, models=MODELS)
    replica = long_stage.replica([worker], {"models": {"aliases": {"gpt-4o-mini": "llama-7b"}}})
    replica.kind = request.param
    return replica


@pytest.fixture
def client(sim):
    with OpenAI(base_url=f"{sim.url}/v1", api_key=sim.key, max_retries=0, timeout=30) as client:
        yield client


# Plain answers and streams

def test_plain(client):
    answer = client.chat.completions.create(model="llama-7b", messages=HELLO, max_tokens=12)
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_alias(client):
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, max_tokens=4)
    direct = client.chat.completions.create(model="llama-7b", messages=HELLO, max_tokens=4)
    assert answer.choices[0].message.content == direct.choices[0].message.content


def test_stream_equals_plain(client):
    plain = client.chat.completions.create(model="llama-7b", messages=HELLO, max_tokens=20, temperature=0)
    text, finishes = "", []
    for chunk in client.chat.completions.create(model="llama-7b", messages=HELLO, max_tokens=20, temperature=0, stream=True):
        assert chunk.choices, "a chunk without choices is the usage chunk that the client did not ask for"
        assert chunk.usage is None
        text += chunk.choices[0].delta.content or ""
        if chunk.choices[0].finish_reason:
            finishes.append(chunk.choices[0].finish_reason)
    assert text.strip() == plain.choices[0].message.content.strip()
    assert len(finishes) == 1


def test_stream_with_usage(client):
    chunks = list(client.chat.completions.create(
        model="llama-7b", messages=HELLO, max_tokens=7, stream=True, stream_options={"include_usage": True}))
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(usages) == 1
    assert usages[0].completion_tokens == 7


def test_stream_helper(client):
    """`.stream()` accumulates by itself and insists on well-formed events."""
    story = [{"role": "user", "content": "Tell a story. «stop:9»"}]
    with client.chat.completions.stream(model="llama-7b", messages=story, max_tokens=40) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.delta" in kinds and "content.done" in kinds
    assert final.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"


def test_leaving_a_stream_early(sim, client):
    with client.chat.completions.create(model="llama-7b", messages=HELLO, max_tokens=400, stream=True) as stream:
        next(iter(stream))
    after = client.chat.completions.create(model="llama-7b", messages=HELLO, max_tokens=3)
    assert after.choices


def test_async_many(sim):
    async def everybody() -> list:
        async with AsyncOpenAI(base_url=f"{sim.url}/v1", api_key=sim.key, max_retries=0, timeout=60) as client:
            async def one(number: int) -> str:
                if number % 2:
                    answer = await client.chat.completions.create(
                        model="llama-7b", max_tokens=8, messages=[{"role": "user", "content": f"number {number}"}])
                    return answer.choices[0].message.content
                text = ""
                async for chunk in await client.chat.completions.create(
                        model="llama-7b", max_tokens=8, stream=True,
                        messages=[{"role": "user", "content": f"number {number}"}]):
                    text += chunk.choices[0].delta.content or ""
                return text
            return await asyncio.gather(*(one(number) for number in range(40)))
    assert all(asyncio.run(everybody()))


def test_completions(client):
    answer = client.completions.create(model="llama-7b", prompt="Once upon a time", max_tokens=6)
    assert answer.choices[0].text
    text = "".join(chunk.choices[0].text for chunk in client.completions.create(
        model="llama-7b", prompt="Once upon a time", max_tokens=6, stream=True) if chunk.choices)
    assert text.strip() == answer.choices[0].text.strip()


# Tools, JSON, embeddings

def test_tools(client):
    answer = client.chat.completions.create(
        model="llama-7b", max_tokens=200, tools=WEATHER,
        messages=[{"role": "user", "content": "Weather in Oslo? «tool:get_weather»"}])
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments), dict)


def test_tools_streamed(client):
    name, arguments, finish = "", "", None
    for chunk in client.chat.completions.create(
            model="llama-7b", max_tokens=200, tools=WEATHER, stream=True,
            messages=[{"role": "user", "content": "Weather in Oslo? «tool:get_weather»"}]):
        choice = chunk.choices[0]
        for call in choice.delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
        finish = choice.finish_reason or finish
    assert (name, finish) == ("get_weather", "tool_calls")
    assert isinstance(json.loads(arguments), dict)


def test_tool_result_goes_back(client):
    answer = client.chat.completions.create(model="llama-7b", max_tokens=8, tools=WEATHER, messages=[
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"town\":\"Oslo\"}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}])
    assert answer.choices[0].message.content


def test_json_mode(sim, client):
    raw = client.chat.completions.with_raw_response.create(
        model="llama-7b", messages=[{"role": "user", "content": "Answer in JSON."}], max_tokens=80,
        response_format={"type": "json_object"})
    text = raw.parse().choices[0].message.content
    if sim.kind == "mlx_lm":
        assert "response_format" in raw.headers["x-starling-ignored"], "this kind ignores it, and the answer says so"
    else:
        assert isinstance(json.loads(text), dict)


def test_embeddings(sim, client):
    if sim.kind == "mlx_lm":
        with pytest.raises(openai.BadRequestError) as caught:
            client.embeddings.create(model="llama-7b", input=["one"], encoding_format="float")
        assert caught.value.code == "request.unsupported"
        return
    answer = client.embeddings.create(model="llama-7b", input=["one", "two"], encoding_format="float")
    assert [row.index for row in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) > 0
    assert answer.data[0].embedding != answer.data[1].embedding


# Models

def test_models(client):
    names = {model.id for model in client.models.list()}
    assert {"llama-7b", "qwen-14b"} <= names
    assert client.models.retrieve("llama-7b").id == "llama-7b"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


# Errors

def test_wrong_key(sim):
    for key in ("sk-wrong", "x" * 5000):
        with OpenAI(base_url=f"{sim.url}/v1", api_key=key, max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                client.chat.completions.create(model="llama-7b", messages=HELLO)
            assert caught.value.status_code == 401
            assert caught.value.code == "invalid_api_key"
            assert caught.value.body["message"]


def test_missing_key(sim):
    status, _, body = sim.request("POST", "/v1/chat/completions", "{}", key=None)
    error = json.loads(body)["error"]
    assert status == 401
    assert set(error) == {"message", "type", "param", "code"}


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-99", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert "gpt-99" in caught.value.message
    for name in ("llama-7b", "qwen-14b"):
        assert name in caught.value.message, "the error names the models there are"


@pytest.mark.parametrize("field, value", [
    ("max_tokens", -1), ("max_tokens", "ten"), ("temperature", "warm"), ("stop", [5]), ("n", 0), ("messages", "hello"),
    ("stream", "yes"), ("logit_bias", {"x": 1}), ("tools", {}), ("top_p", 2)])
def test_bad_request_names_the_field(sim, field, value):
    status, _, body = sim.post("/v1/chat/completions", {"model": "llama-7b", "messages": HELLO, field: value})
    error = json.loads(body)["error"]
    assert status == 400, body
    assert error["type"] == "invalid_request_error"
    assert error["param"].split("[")[0].split(".")[0] == field
    assert field in error["message"]


def test_bad_request_through_the_sdk(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="llama-7b", messages=HELLO, max_tokens=-5)
    assert caught.value.param == "max_tokens"


# Headers

def test_raw_response_headers(sim, client):
    raw = client.chat.completions.with_raw_response.create(
        model="llama-7b", messages=HELLO, max_tokens=3, extra_headers={"x-request-id": "my-own-id-7"})
    assert raw.headers["x-request-id"] == "my-own-id-7"
    assert raw.headers["x-starling-replica"] == "gw-test"
    assert raw.headers["x-starling-worker"] == f"sim-{sim.kind}"
    assert raw.headers["x-starling-strategy"] == "round_robin"
    assert raw.headers["x-starling-attempts"] == "1"
    assert float(raw.headers["x-starling-queue-ms"]) >= 0
    assert raw.parse().choices


def test_request_id_is_made_when_none_comes(client):
    answers = [client.chat.completions.create(model="llama-7b", messages=HELLO, max_tokens=2) for _ in range(2)]
    ids = {answer._request_id for answer in answers}
    assert len(ids) == 2 and all(ids)


def test_raw_streaming_response(client):
    with client.chat.completions.with_streaming_response.create(
            model="llama-7b", messages=HELLO, max_tokens=3, stream=True) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert raw.headers["x-accel-buffering"] == "no"
        lines = [line for line in raw.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


# Retries and timeouts: a scripted worker refuses or dawdles

@pytest.fixture(scope="module")
def scripted(long_stage):
    worker: ScriptedWorker = long_stage.worker("scripted-sdk")
    replica = long_stage.replica([worker])
    replica.worker = worker
    return replica


@pytest.fixture
def behind(scripted):
    scripted.worker.script = answer_plainly
    scripted.worker.forget()
    yield scripted
    scripted.worker.script = answer_plainly


def test_sdk_retries_a_full_house(behind):
    """The worker is full for two requests. The SDK, with its defaults, comes back and is served."""
    refusals = iter([True, True])

    def full_twice(visit):
        if next(refusals, False):
            visit.send_plain(b'{"error":{"message":"busy","type":"server_error","param":null,"code":null}}',
                             "503 Service Unavailable")
        else:
            visit.send_plain(ANSWER)

    behind.worker.script = full_twice
    with OpenAI(base_url=f"{behind.url}/v1", api_key=behind.key, max_retries=4) as client:
        assert client.chat.completions.create(model="m", messages=HELLO).choices[0].message.content == "hello"


def test_sdk_is_told_not_to_retry(behind):
    """A request that is wrong stays wrong: 400 and 404 are answered once."""
    with OpenAI(base_url=f"{behind.url}/v1", api_key=behind.key, max_retries=4) as client:
        begun = time.monotonic()
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="absent", messages=HELLO)
        assert time.monotonic() - begun < 2
    assert not behind.worker.visits, "nothing of it reached the worker"


def test_sdk_timeout_frees_the_worker(behind):
    """The SDK gives up; the worker sees the close although it has not said a word."""
    closed = threading.Event()

    def silent(visit):
        if visit.wait_closed():
            closed.set()

    behind.worker.script = silent
    with OpenAI(base_url=f"{behind.url}/v1", api_key=behind.key, max_retries=0, timeout=0.5) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="m", messages=HELLO)
    assert closed.wait(5)


def test_worker_error_is_reshaped(behind):
    """mlx_lm says {"error": "text"}; SDKs read only OpenAI's shape."""
    behind.worker.script = lambda visit: visit.send_plain(b'{"error": "prompt is odd"}', "400 Bad Request")
    with OpenAI(base_url=f"{behind.url}/v1", api_key=behind.key, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="m", messages=HELLO)
    assert caught.value.code == "worker.rejected"
    assert "prompt is odd" in caught.value.message


def test_worker_error_in_openai_shape_passes(behind):
    shaped = b'{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}'
    behind.worker.script = lambda visit: visit.send_plain(shaped, "400 Bad Request")
    status, _, body = behind.post("/v1/chat/completions", {"model": "m", "messages": HELLO})
    assert (status, body) == (400, shaped)
