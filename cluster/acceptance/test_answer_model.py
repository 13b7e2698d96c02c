"""`models.answer_model: alias`: answers name the model as the client did, whatever its worker calls it."""

from __future__ import annotations

import pytest
from openai import OpenAI

HELLO = [{"role": "user", "content": "Hello, who are you?"}]
ALIAS = "gpt-4o-mini"


@pytest.mark.parametrize("kind", ["mlx_lm", "llama_cpp", "vllm_mlx", "exo", "openai"])
def test_answers_by_the_clients_name(stage, kind):
    worker = stage.simulator(kind=kind, models=("/Users/somebody/models/llama",))
    models = [{"name": "llama", "upstream_name": "/Users/somebody/models/llama"}]
    node = worker.node(models=models)
    replica = stage.replica([node], {"models": {"aliases": {ALIAS: "llama"}, "answer_model": "alias"}})
    with OpenAI(base_url=f"{replica.url}/v1", api_key=replica.key, max_retries=0, timeout=30) as client:
        for name in (ALIAS, "llama"):
            plain = client.chat.completions.with_raw_response.create(model=name, messages=HELLO, max_tokens=12, temperature=0)
            assert plain.parse().model == name and b"somebody" not in plain.content
            assert int(plain.headers["content-length"]) == len(plain.content)
            text, names = "", set()
            for chunk in client.chat.completions.create(model=name, messages=HELLO, max_tokens=12, temperature=0, stream=True,
                                                        stream_options={"include_usage": True}):
                names.add(chunk.model)
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
            assert names == {name}
            assert text == plain.parse().choices[0].message.content
        if kind not in ("mlx_lm", "exo"):
            vectors = client.embeddings.create(model=ALIAS, input="hello") if kind != "vllm_mlx" else None
            assert vectors is None or vectors.model == ALIAS


def test_answers_by_the_workers_name_are_the_rule(stage):
    worker = stage.simulator(kind="openai", models=("theirs",))
    node = worker.node(models=[{"name": "llama", "upstream_name": "theirs"}])
    replica = stage.replica([node], {"models": {"aliases": {ALIAS: "llama"}}})
    with OpenAI(base_url=f"{replica.url}/v1", api_key=replica.key, max_retries=0, timeout=30) as client:
        assert client.chat.completions.create(model=ALIAS, messages=HELLO, max_tokens=4).model == "theirs"
        stream = client.chat.completions.create(model=ALIAS, messages=HELLO, max_tokens=4, stream=True)
        assert {chunk.model for chunk in stream} == {"theirs"}
