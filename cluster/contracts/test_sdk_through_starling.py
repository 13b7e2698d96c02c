"""C27: the SDKs of OpenAI and of Anthropic through Starling, plain and stream, with tools, raw, and leaving early.

The tests of OpenAI's SDK are those of the acceptance tests: here they run against every worker.
"""

from __future__ import annotations

import contextlib

import pytest
from anthropic import Anthropic
from openai import OpenAI

import test_sdk
import test_sdk_real
from test_sdk_real import (  # noqa: F401: collected here, with the fixtures of this page
    test_async_many, test_json_mode_is_told_ignored, test_plain, test_raw_response, test_stream_equals_plain,
    test_stream_helper, test_stream_with_usage, test_the_newer_name_of_the_ceiling_is_obeyed,
    test_unknown_model_never_reaches_the_worker)
from flock.patience import until
from through_starling import MODEL, replica_before

HELLO = [{"role": "user", "content": "hello world, please count to three"}]


@pytest.fixture
def real(worker, replica):
    """The name that the borrowed tests have for a replica before any worker."""
    replica.worker = worker
    return replica


@pytest.fixture
def client(replica):
    with OpenAI(base_url=f"{replica.url}/v1", api_key=replica.key, max_retries=0, timeout=60) as client:
        yield client


@pytest.mark.parametrize("borrowed", [test_sdk.test_tools, test_sdk.test_tools_streamed, test_sdk.test_tool_result_goes_back],
                         ids=lambda test: test.__name__.removeprefix("test_"))
def test_tools(subject, client, borrowed):
    if not subject.is_simulated and borrowed is not test_sdk.test_tool_result_goes_back:
        pytest.skip("a model of random weights calls no tool")
    borrowed(client)


def test_completions(expected, client):
    if not expected.has_texts:
        pytest.skip("it has no text completions")
    test_sdk_real.test_completions(client)


def test_tools_are_accepted(subject, client):
    if subject.is_simulated:
        pytest.skip("a simulated model calls the tools that it is given")
    test_sdk_real.test_tools_are_accepted(client)


def test_leaving_early(start):
    replica = replica_before(start(takes_its_time=True))
    with contextlib.ExitStack() as ends:
        ends.callback(replica.stop)
        client = ends.enter_context(OpenAI(base_url=f"{replica.url}/v1", api_key=replica.key, max_retries=0, timeout=60))
        test_sdk_real.test_timeout_frees_the_slot(replica)
        test_sdk_real.test_leaving_a_stream_frees_the_worker(replica, client)


@pytest.fixture
def anthropic(subject, expected, replica):
    if not expected.end_of_a_messages_stream:
        pytest.skip(f"{subject.kind} has no /v1/messages")
    with Anthropic(base_url=replica.url, api_key=replica.key, max_retries=0, timeout=60) as client:
        yield client


def test_anthropic_plain(anthropic):
    answer = anthropic.messages.create(model=MODEL, max_tokens=6, messages=HELLO)
    assert answer.type == "message" and answer.stop_reason == "max_tokens"
    assert answer.content[0].text
    assert answer.usage.output_tokens == 6


def test_anthropic_stream(anthropic, expected):
    with anthropic.messages.stream(model=MODEL, max_tokens=6, messages=HELLO) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said and final.content[0].text == said
    assert final.stop_reason == expected.end_of_a_messages_stream


def test_anthropic_leaves_a_stream(anthropic, replica):
    with anthropic.messages.stream(model=MODEL, max_tokens=3_000, messages=HELLO) as stream:
        next(iter(stream))
    until("no exchange is open", lambda: replica.metric_sum("starling_in_flight") == 0)
    assert anthropic.messages.create(model=MODEL, max_tokens=2, messages=HELLO).content
