"""What a llama-server tells of its model stands in for what the operator did not declare."""

from __future__ import annotations

import openai
import pytest
from openai import OpenAI

from flock.patience import until

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client(stage):
    """Before a llama-server whose slots have 512 tokens, of which the settings say nothing."""
    worker = stage.simulator(kind="llama_cpp", options=("--context-tokens", "512"))
    replica = stage.replica([worker.node(models=[])])
    replica.worker = worker
    with OpenAI(base_url=f"{replica.url}/v1", api_key=replica.key, max_retries=0, timeout=30) as client:
        until("the worker has told its model", lambda: [model.id for model in client.models.list()] == ["llama-7b"], 30)
        client.worker = worker
        yield client


def test_a_prompt_that_no_slot_can_hold(client):
    long = [{"role": "user", "content": "far too many words for this " * 200}]
    with pytest.raises(openai.BadRequestError, match="maximum context length is 512 tokens") as refused:
        client.chat.completions.create(model="llama-7b", messages=long)
    assert refused.value.code == "context_length_exceeded"


def test_a_bias_for_a_token_that_does_not_exist(client):
    for token, ignored in (("17", None), ("2000000000", "logit_bias")):
        answer = client.chat.completions.with_raw_response.create(
            model="llama-7b", messages=HELLO, max_tokens=4, logit_bias={token: 1})
        assert answer.parse().choices[0].message.content
        assert answer.headers.get("x-starling-ignored") == ignored, "its server passes over it in silence"
