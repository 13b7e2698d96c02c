"""C5, C7 to C11, C13 and C24: what answers look like, and which members of a request are obeyed."""

from __future__ import annotations

import json
import re

import pytest

from column import NotSaid
from talk import CHAT, TEXT, ask, chat, get, text

USAGE = {"include_usage": True}
FIVE_WORDS = [{"role": "user", "content": "Say five words, then five others."}]


def has_texts(expected) -> None:
    if not expected.has_texts:
        pytest.skip("it has no text completions")


def test_the_same_greedy_prompt_gives_the_same_text(worker):
    first, again = (ask(worker, CHAT, chat(worker, messages=FIVE_WORDS, max_tokens=12)).text() for _ in range(2))
    assert first and first == again


def test_stream_and_plain_say_the_same(worker):
    plain = ask(worker, CHAT, chat(worker, messages=FIVE_WORDS, max_tokens=12))
    stream = ask(worker, CHAT, chat(worker, messages=FIVE_WORDS, max_tokens=12, stream=True))
    assert stream.text().strip() == plain.text().strip()
    assert stream.is_done and stream.finish == plain.finish == "length"


def test_the_members_of_a_plain_answer(worker, expected):
    told = ask(worker, CHAT, chat(worker))
    assert set(told.json) == expected.plain_members
    assert set(told.json["choices"][0]) == expected.plain_choice_members
    assert told.json["object"] == "chat.completion"
    assert told.json["usage"]["completion_tokens"] == 5


def test_the_members_of_an_event(worker, expected):
    told = ask(worker, CHAT, chat(worker, stream=True))
    assert set(told.events[1]) == expected.event_members
    assert told.events[1]["object"] == expected.event_object


def test_what_the_first_event_brings(worker, expected):
    """A role is no content: only some kinds put the first token beside it."""
    first = ask(worker, CHAT, chat(worker, stream=True)).choices()[0]["delta"]
    assert {name: bool(value) for name, value in first.items()} == expected.first_delta


def test_how_many_events_bring_the_finish(worker, expected):
    choices = ask(worker, CHAT, chat(worker, stream=True)).choices()
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["length"]
    last = choices[-1]["delta"]
    assert bool(last.get("content")) == expected.last_event_has_text


def test_comments_before_content(worker, expected):
    told = ask(worker, CHAT, chat(worker, messages=[{"role": "user", "content": "so many words " * 40}], stream=True))
    if expected.comment is None:
        assert told.comments == []
    else:
        assert told.comments and all(re.fullmatch(expected.comment, line) for line in told.comments)
        assert told.body.startswith(b":"), "they come before all content"


def test_comments_count_what_is_not_cached(worker, expected):
    if expected.comment is None:
        pytest.skip("it writes none")
    body = chat(worker, messages=[{"role": "user", "content": "counted words " * 40}], stream=True)
    ask(worker, CHAT, body)
    comments = ask(worker, CHAT, body).comments
    assert comments == [expected.comment_of_a_cached_prompt], "all but the last token were in its cache"


def test_the_progress_of_a_prompt(worker, expected):
    """In events of a role and no text, the first of what was cached, before all content. Who does not know the wish ignores it."""
    body = chat(worker, messages=[{"role": "user", "content": "a wish for progress " * 40}], stream=True)
    assert not any("prompt_progress" in event for event in ask(worker, CHAT, body).events)
    told = ask(worker, CHAT, body | {"return_progress": True})
    figures = [event["prompt_progress"] for event in told.events if "prompt_progress" in event]
    assert (told.status, told.finish, bool(figures)) == (200, "length", expected.tells_progress)
    if not expected.tells_progress:
        return
    assert all(set(each) == {"total", "cache", "processed", "time_ms"} for each in figures)
    assert figures[0]["processed"] == figures[0]["cache"] == figures[-1]["total"] - 1, "it was asked before"
    assert figures[-1]["processed"] == figures[-1]["total"] > 100
    for event in told.events[:len(figures)]:
        assert "prompt_progress" in event
        assert event["choices"][0]["delta"] == {"role": "assistant", "content": None}


def test_the_progress_of_several_choices(worker, expected):
    if not expected.tells_progress:
        pytest.skip("it tells none")
    told = ask(worker, CHAT, chat(worker, n=2, stream=True, return_progress=True))
    assert {event["choices"][0]["index"] for event in told.events if "prompt_progress" in event} == {0, 1}


def test_the_progress_of_a_text(worker, expected):
    has_texts(expected)
    told = ask(worker, TEXT, text(worker, prompt="a text whose progress is wanted", stream=True, return_progress=True))
    choices = [event["choices"][0] for event in told.events if "prompt_progress" in event]
    assert bool(choices) == expected.tells_progress and told.finish == "length"
    assert all(choice["text"] == "" and choice["finish_reason"] is None for choice in choices)


def test_a_wish_for_progress_that_is_no_flag(worker, expected):
    told = ask(worker, CHAT, chat(worker, stream=True, return_progress="yes"))
    assert told.status == (400 if expected.tells_progress else 200)


def test_the_usage_of_a_stream(worker, expected):
    told = ask(worker, CHAT, chat(worker, stream=True, stream_options=USAGE))
    with_usage = [event for event in told.events if event.get("usage")]
    assert len(with_usage) == expected.usages["one"]
    assert with_usage[-1]["object"] == expected.usage_object
    assert (with_usage[-1]["choices"] == []) == expected.usage_has_an_event
    assert {event["usage"]["completion_tokens"] for event in with_usage} == {5}


def test_the_usage_of_a_stream_with_two_choices(worker, expected):
    told = ask(worker, CHAT, chat(worker, n=2, stream=True, stream_options=USAGE))
    assert len(told.usages) == expected.usages["two"]


def test_a_stream_that_did_not_ask_for_usage(worker, expected):
    assert len(ask(worker, CHAT, chat(worker, stream=True)).usages) == expected.usages["unasked"]


def test_empty_stream_options(worker, expected):
    told = ask(worker, CHAT, chat(worker, stream=True, stream_options={}))
    assert (told.status, told.finish) == (200, "length")
    assert told.is_done == expected.is_done_with_empty_stream_options


def test_two_choices_in_a_plain_answer(worker, expected):
    told = ask(worker, CHAT, chat(worker, n=2))
    assert len(told.json["choices"]) == expected.choices_of_two
    assert told.json["usage"]["completion_tokens"] == 5 * expected.usage_of_two


def test_logprobs_in_a_plain_answer(worker, expected):
    choice = ask(worker, CHAT, chat(worker, logprobs=True, top_logprobs=2)).json["choices"][0]
    assert bool(choice.get("logprobs")) == expected.logprobs["plain"]
    if expected.logprobs["plain"]:
        tokens = choice["logprobs"]["content"]
        assert len(tokens) == 5 and all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 2 for token in tokens)


def test_logprobs_in_a_stream(worker, expected):
    told = ask(worker, CHAT, chat(worker, logprobs=True, top_logprobs=2, stream=True))
    assert any(choice.get("logprobs") for choice in told.choices()) == expected.logprobs["stream"]


def test_logprobs_of_a_text(worker, expected):
    has_texts(expected)
    told = ask(worker, TEXT, text(worker, logprobs=2))
    assert told.status == expected.logprobs_as_number
    if told.status == 200:
        assert bool(told.json["choices"][0].get("logprobs")) == expected.logprobs["plain"]


def test_json_mode(worker, expected):
    told = ask(worker, CHAT, chat(worker, max_tokens=60, response_format={"type": "json_object"}))
    if told.status != 200:
        assert str(told.status) == expected.json_object
        return
    # Random weights may spend all their tokens inside one string: a brace first is obedience enough.
    assert told.text().lstrip().startswith("{") == (expected.json_object == "obeyed")


def test_the_newer_name_of_the_ceiling(worker, expected):
    body = chat(worker, max_completion_tokens=3)
    body["max_tokens"] = 20
    told = ask(worker, CHAT, body)
    assert (told.json["usage"]["completion_tokens"] == 3) == expected.newer_ceiling_is_obeyed


def third_word(worker) -> tuple[str, str]:
    """What this worker says to the small chat, and its third word with the space before it, which is one token."""
    said = ask(worker, CHAT, chat(worker, max_tokens=8)).text()
    return said, " " + said.split()[2]


def test_stop_is_a_string(worker, expected):
    said, stop = third_word(worker)
    told = ask(worker, CHAT, chat(worker, max_tokens=8, stop=stop))
    assert told.status == expected.stop_as_string
    if told.status == 200:
        assert told.finish == "stop" and stop not in told.text() and said.strip().startswith(told.text().strip())


def test_stop_is_a_list(worker, expected):
    said, stop = third_word(worker)
    told = ask(worker, CHAT, chat(worker, max_tokens=8, stop=["never", stop]))
    if expected.stop_is_obeyed:
        assert told.finish == "stop" and stop not in told.text() and said.strip().startswith(told.text().strip())
    else:
        assert (told.finish, told.text()) == ("length", said)


def test_stop_is_part_of_a_word(worker, expected):
    said, stop = third_word(worker)
    told = ask(worker, CHAT, chat(worker, max_tokens=8, stop=[stop[-2:]]))
    assert (told.finish == "stop") == expected.stop_is_found_inside_tokens


def test_several_prompts_streamed(worker, expected):
    if isinstance(expected.several_prompts_bring_a_null, NotSaid):
        pytest.skip(expected.several_prompts_bring_a_null.reason)
    told = ask(worker, TEXT, text(worker, prompt=["hello", "good morning"], stream=True))
    assert (None in told.events) == expected.several_prompts_bring_a_null
    assert all(told.text(index) for index in (0, 1))


def test_several_prompts_in_a_plain_answer(worker, expected):
    if isinstance(expected.several_prompts_bring_a_null, NotSaid) and not expected.takes_several_prompts:
        pytest.skip(expected.several_prompts_bring_a_null.reason)
    told = ask(worker, TEXT, text(worker, prompt=["hello", "good morning"]))
    assert [choice["index"] for choice in told.json["choices"]] == [0, 1]


def test_the_name_of_the_model_in_an_answer(worker):
    """Every kind says the name by which it was asked."""
    assert ask(worker, CHAT, chat(worker)).json["model"] == worker.upstream_name


def test_a_list_of_models(worker):
    told = get(worker, "/v1/models")
    assert told.status == 200
    assert isinstance(json.loads(told.body)["data"], list)
