"""C26: whatever of these contracts' requests is valid OpenAI gets, through Starling, a valid OpenAI answer, or a 4xx that names the
field; and the worker lives on."""

from __future__ import annotations

import json

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from known_requests import DEATHS, NULLABLE
from talk import CHAT, TEXT, chat, text
from test_deaths import deadly, what_is_left
from through_starling import ask_starling

SCHEMA = {"type": "json_schema", "json_schema": {"name": "town", "schema": {
    "type": "object", "properties": {"town": {"type": "string", "maxLength": 8}}, "required": ["town"]}}}
LOOK = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]

VALID: dict[str, tuple[str, dict]] = {
    "plain": (CHAT, {}),
    "stream": (CHAT, {"stream": True}),
    "stream with usage": (CHAT, {"stream": True, "stream_options": {"include_usage": True}}),
    "stream with empty options": (CHAT, {"stream": True, "stream_options": {}}),
    "no ceiling, but a stop": (CHAT, {"stop": ["a", "e", "i", "o", "u"]}),
    "newer ceiling": (CHAT, {"max_completion_tokens": 3}),
    "two choices": (CHAT, {"n": 2}),
    "two choices in a stream": (CHAT, {"n": 2, "stream": True}),
    "logprobs": (CHAT, {"logprobs": True, "top_logprobs": 2}),
    "logprobs in a stream": (CHAT, {"logprobs": True, "top_logprobs": 2, "stream": True}),
    "JSON mode": (CHAT, {"response_format": {"type": "json_object"}, "max_tokens": 60}),
    "JSON schema": (CHAT, {"response_format": SCHEMA, "max_tokens": 60}),
    "plain text asked for": (CHAT, {"response_format": {"type": "text"}}),
    "stop is a string": (CHAT, {"stop": "x"}),
    "stop is empty": (CHAT, {"stop": [""]}),
    "seed": (CHAT, {"seed": 7, "temperature": 1}),
    "penalties": (CHAT, {"presence_penalty": 0.5, "frequency_penalty": 0.5}),
    "bias": (CHAT, {"logit_bias": {"17": -1}}),
    "tools": (CHAT, {"tools": LOOK}),
    "a tool that must be called": (CHAT, {"tools": LOOK, "tool_choice": "required", "max_tokens": 60}),
    "content in parts": (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}),
    "text": (TEXT, {}),
    "text in a stream": (TEXT, {"stream": True}),
    "text with logprobs": (TEXT, {"logprobs": 2}),
    "text with echo": (TEXT, {"echo": True}),
    "two prompts": (TEXT, {"prompt": ["hello", "good morning"]}),
    "two prompts in a stream": (TEXT, {"prompt": ["hello", "good morning"], "stream": True}),
    "one prompt in a list": (TEXT, {"prompt": ["hello"]}),
    "an empty prompt": (TEXT, {"prompt": ""}),
    "token ids": (TEXT, {"prompt": [17, 18]}),
    "no token at all": (TEXT, {"max_tokens": 0}),
}

FIELDS = {"two prompts": "prompt", "two prompts in a stream": "prompt", "one prompt in a list": "prompt",
          "an empty prompt": "prompt", "token ids": "prompt"}
"""The member that a refusal has to name, where it is not among the members of the request."""


def is_valid(told, path: str) -> None:
    """The SDK's own types read it, all members checked."""
    if told.data:
        kind = ChatCompletionChunk if path == CHAT else Completion
        assert told.is_done, "a stream without its end mark"
        for event in told.events:
            assert event is not None, "null is no event of OpenAI's"
            if path == CHAT:
                assert event["object"] == "chat.completion.chunk"
            kind.model_validate(event if path == CHAT else with_finishes(event))
        assert told.finish in ("stop", "length", "tool_calls")
        return
    (ChatCompletion if path == CHAT else Completion).model_validate(told.json)
    assert all(choice["finish_reason"] in ("stop", "length", "tool_calls") for choice in told.json["choices"])


def with_finishes(event: dict) -> dict:
    """The SDK's type of a text has no place for a finish that has not come yet; OpenAI itself sends null there."""
    return event | {"choices": [choice | {"finish_reason": choice["finish_reason"] or "stop"} for choice in event["choices"]]}


@pytest.mark.parametrize("name", VALID)
def test_a_valid_request(worker, replica, expected, name):
    path, members = VALID[name]
    told = ask_starling(replica, path, (chat if path == CHAT else text)(worker, **members))
    if told.status == 200:
        is_valid(told, path)
    elif path == TEXT and not expected.has_texts:
        lacks_the_route(told)
    else:
        names_a_field(told, [*members, FIELDS.get(name, "prompt" if path == TEXT else "messages")])
    assert what_is_left(worker) == "lives"


def lacks_the_route(told) -> None:
    error = told.json["error"]
    assert (told.status, error["code"]) == (400, "request.unsupported") and "text completions" in error["message"]


def names_a_field(told, fields: list[str]) -> None:
    assert 400 <= told.status < 500, f"{told.status}: {told.body!r}"
    error = told.json["error"]
    assert set(error) >= {"message", "type"}
    # What cannot be read as JSON has no members yet: the place of the byte stands for the name.
    is_placed = error.get("code") == "invalid_json" and " at byte " in error["message"]
    assert is_placed or any(field in error["message"] or field == error.get("param") for field in fields), error


@pytest.mark.parametrize("wish", [None, False, True])
def test_progress_is_seen_where_it_is_asked_for(worker, replica, expected, wish):
    """It is asked of every stream's worker that can tell it."""
    words = [{"role": "user", "content": "progress for its client alone " * 40}]
    body = chat(worker, messages=words, stream=True) | ({} if wish is None else {"return_progress": wish})
    told = ask_starling(replica, CHAT, body)
    is_valid(told, CHAT)
    assert any("prompt_progress" in event for event in told.events) == (wish is True and expected.tells_progress)


@pytest.mark.parametrize("member", NULLABLE)
def test_null_means_absent(worker, replica, member):
    body = chat(worker, **{member: None})
    if member == "max_tokens":
        body["max_completion_tokens"] = 5
    told = ask_starling(replica, CHAT, body)
    assert told.status == 200, told.body
    is_valid(told, CHAT)


@pytest.mark.parametrize("name", DEATHS)
def test_what_kills_a_worker_does_not_reach_it(worker, replica, expected, name):
    path, body = deadly(worker, name)
    told = ask_starling(replica, path, body.replace(f'"model":"{worker.upstream_name}"', '"model":"tiny-llama"'))
    if told.status == 200:
        is_valid(told, path)
    elif path == TEXT and not expected.has_texts and told.json["error"]["code"] == "request.unsupported":
        lacks_the_route(told)
    else:
        member = json.loads('"' + DEATHS[name][1].split('"')[1] + '"')
        names_a_field(told, [member])
    assert what_is_left(worker) == "lives"
