"""C4, C12, C23 and C25: what is refused, in which words, and that the worker goes on."""

from __future__ import annotations

import json

import pytest

from column import NotSaid
from known_requests import NULLABLE
from talk import CHAT, TEXT, ask, begin, chat, text


def error_of(told) -> dict | str:
    """The error in OpenAI's shape, or whatever this kind writes instead."""
    body = told.json
    return body["error"] if "error" in body else body["detail"]


def test_an_unknown_model_and_then_a_good_one(worker, expected):
    assert ask(worker, CHAT, chat(worker, model="nobody/has-this")).status == expected.unknown_model
    assert ask(worker, CHAT, chat(worker)).status == 200


@pytest.mark.parametrize("member", NULLABLE)
def test_null_for_an_optional_member(worker, expected, member):
    """As a stream that is left: without a ceiling an answer can be long."""
    with begin(worker, CHAT, chat(worker, **({"stream": True} | {member: None}))) as connection:
        assert connection.read_head().status == expected.null_refusals.get(member, 200)


def test_no_token_at_all(worker, expected):
    if isinstance(expected.zero_ceiling, NotSaid):
        pytest.skip(expected.zero_ceiling.reason)
    assert ask(worker, TEXT, text(worker, max_tokens=0)).status == expected.zero_ceiling
    assert ask(worker, CHAT, chat(worker)).status == 200


def test_bad_json(worker, expected):
    told = ask(worker, CHAT, '{"model": nonsense}')
    assert told.status == expected.bad_json
    assert error_of(told)


def test_no_messages(worker, expected):
    assert ask(worker, CHAT, chat(worker, messages=[])).status == expected.no_messages
    assert ask(worker, CHAT, chat(worker)).status == 200


def test_the_shape_of_a_refusal(worker, expected):
    told = ask(worker, CHAT, chat(worker, temperature="warm"))
    assert 400 <= told.status < 500
    error = error_of(told)
    shape = "flat" if isinstance(error, str) else "list" if isinstance(error, list) else "object"
    assert shape == expected.error_shape


def test_a_route_that_nobody_has(worker, expected):
    is_json = expected.unknown_route_is_json
    told = ask(worker, "/v1/nothing", chat(worker))
    assert told.status == 404
    assert (b'"' in told.body) == is_json


REFUSED = {
    "wrong type": (CHAT, {"temperature": "warm"}),
    "bad JSON": (CHAT, '{"model": nonsense}'),
    "no messages": (CHAT, {"messages": []}),
    "unknown model": (CHAT, {"model": "nobody/has-this"}),
    "unknown route": ("/v1/nothing", {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_words_of_a_refusal(worker, expected, name):
    """Byte for byte: it is by these words that a gateway tells one failure from another."""
    if name not in expected.refusal_bodies:
        pytest.skip(f"{worker.kind} answers it, or in words that depend on the machine")
    path, body = REFUSED[name]
    assert ask(worker, path, body if isinstance(body, str) else chat(worker, **body)).body == expected.refusal_bodies[name]


def test_more_than_the_context_holds(start, expected):
    if isinstance(expected.context_overflow, NotSaid):
        pytest.skip(expected.context_overflow.reason)
    worker = start(context_tokens=512)
    long = [{"role": "user", "content": "far too many words for this " * 100}]
    told = ask(worker, CHAT, chat(worker, messages=long))
    assert told.status == expected.context_overflow
    if told.status == 400 and worker.kind == "llama_cpp":
        error = json.loads(told.body)["error"]
        assert error["type"] == "exceed_context_size_error"
        assert error["n_prompt_tokens"] > error["n_ctx"] >= 512
    assert ask(worker, CHAT, chat(worker)).status == 200
