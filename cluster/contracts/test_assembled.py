"""C28: a plain answer of Starling's says what the worker's own says, however it was obtained.

Left out are what no two answers share (id, created, timings), what depends on the turn (counts of cached tokens), the name of the
model, which is the client's, and llama-server's usage of several choices, which counts one of them alone.
"""

from __future__ import annotations

import contextlib

import pytest

from flock.patience import OutOfPatience, until
from talk import CHAT, TEXT, ask, chat, text
from test_through_starling import LOOK, SCHEMA
from through_starling import ask_starling

WORDS = [{"role": "user", "content": "Say some words, one after another."}]
SAYS_TOOL = [{"role": "user", "content": "Look around. «tool:look»"}]
EVERY = ("openai", "mlx_lm", "llama_cpp", "vllm_mlx", "exo", "ollama", "lm_studio", "omlx")
TEXTS = ("openai", "mlx_lm", "llama_cpp", "vllm_mlx", "ollama", "lm_studio", "omlx")

ANSWERS: dict[str, tuple[str, dict, tuple[str, ...]]] = {
    "chat": (CHAT, {}, EVERY),
    "stop": (CHAT, {"stop": ["e", " a"], "max_tokens": 20}, EVERY),
    "text": (TEXT, {}, TEXTS),
    "tools": (CHAT, {"tools": LOOK, "messages": SAYS_TOOL, "max_tokens": 60}, ("openai", "mlx_lm", "llama_cpp")),
    "logprobs": (CHAT, {"logprobs": True, "top_logprobs": 2}, ("openai", "llama_cpp", "mlx_lm")),
    "text with logprobs": (TEXT, {"logprobs": 2}, ("openai", "llama_cpp")),
    "JSON schema": (CHAT, {"response_format": SCHEMA, "max_tokens": 60}, ("openai", "llama_cpp")),
    "two choices": (CHAT, {"n": 2}, ("openai", "llama_cpp")),
    "two prompts": (TEXT, {"prompt": ["hello", "good morning"]}, ("openai", "llama_cpp")),
    "a tool that must be called": (CHAT, {"tools": LOOK, "tool_choice": "required", "max_tokens": 60}, ("llama_cpp",)),
    "thoughts": (CHAT, {"messages": [{"role": "user", "content": "«think:4» and answer"}], "max_tokens": 12}, EVERY),
}
"""The route, the members, and the kinds that can do it."""


def comparable(answer: dict, kind: str) -> dict:
    left_out = {"id", "created", "timings", "model"}
    answer = {name: value for name, value in answer.items() if name not in left_out}
    usage = {name: value for name, value in answer["usage"].items() if name != "prompt_tokens_details"}
    several = len(answer["choices"]) > 1 and kind == "llama_cpp"
    answer["usage"] = sorted(usage) if several else usage
    for choice in answer["choices"]:
        # mlx_lm leaves out of a text's choice what the interface has there, and null says no more.
        if choice.get("logprobs") is None:
            choice.pop("logprobs", None)
        # A call's id is drawn anew each time.
        for call in choice.get("message", {}).get("tool_calls") or []:
            assert call.pop("id")
    return answer


def about(value):
    """The same again, but that a probability may differ in its fourth place: it depends on what was in the cache."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-3)
    if isinstance(value, dict):
        return {name: about(inner) for name, inner in value.items()}
    return [about(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_the_workers_own(worker, replica, expected, name):
    path, members, kinds = ANSWERS[name]
    if worker.kind not in kinds:
        pytest.skip(f"{worker.kind} cannot")
    body = (chat if path == CHAT else text)(worker, **members)
    said = wanted = None

    def says_the_same() -> bool:
        nonlocal said, wanted
        native, ours = ask(worker, path, body), ask_starling(replica, path, body)
        assert (native.status, ours.status) == (200, 200), ours.body
        said, wanted = comparable(ours.json, worker.kind), about(comparable(native.json, worker.kind))
        return said == wanted

    if expected.says("sampling_is_ones_own") and not expected.sampling_is_ones_own:
        # What an earlier test left may run in its batch for a while, and changes what this one is answered.
        with contextlib.suppress(OutOfPatience):
            until("they say the same", says_the_same, 45, every=0.5)
    else:
        says_the_same()
    assert said == wanted


@pytest.mark.parametrize("name", ["two choices", "two prompts"])
def test_the_usage_of_several_choices_counts_them_all(worker, replica, name):
    path, members, kinds = ANSWERS[name]
    if worker.kind not in kinds:
        pytest.skip(f"{worker.kind} cannot")
    usage = ask_starling(replica, path, (chat if path == CHAT else text)(worker, **members)).json["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] in (5, 10), "llama-server's own counts one, an assembled one both"


def test_the_answer_names_the_model_as_the_client_did(worker, replica):
    assert ask_starling(replica, CHAT, chat(worker)).json["model"] == "tiny-llama"
