"""One request that kills: each of those known to end an engine goes through Starling to real servers, among good ones."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from flock.real_workers import VOCABULARY, MLXWorker, VLLMMLXWorker

pytestmark = [pytest.mark.real, pytest.mark.timeout(700)]
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HELLO = [{"role": "user", "content": "hello"}]
ROUNDS = int(os.environ.get("ACCEPTANCE_DEATH_ROUNDS", "10"))


def chat(members: str) -> tuple[str, str]:
    return CHAT, '{"model":"tiny-llama","max_tokens":3,"messages":%s,%s}' % (json.dumps(HELLO), members)


def text(prompt: str) -> tuple[str, str]:
    return TEXT, '{"model":"tiny-llama","max_tokens":3,"prompt":%s}' % prompt


# What is answered has another form that says the same; what is refused is no request of OpenAI's, or not for this kind.
DEADLY = {
    "list of one prompt": (*text('["a"]'), 200),
    "list of two prompts": (*text('["a","b"]'), 200),
    "list of an empty prompt": (*text('[""]'), 400),
    "empty prompt": (*text('""'), 400),
    "token ids": (*text("[1,2]"), 400),
    "stop is a number": (*chat('"stop":5'), 400),
    "stop has a number": (*chat('"stop":[5]'), 400),
    "lone surrogate": (*chat(r'"stop":"\ud800"'), 400),
    "top_k past the vocabulary": (*chat('"top_k":200000,"temperature":1'), 200),
    "token past the vocabulary": (*chat('"logit_bias":{"%d":1}' % VOCABULARY), 400),
    "token far past it": (*chat('"logit_bias":{"2000000000":1}'), 400),
    "last token": (*chat('"logit_bias":{"%d":-1}' % (VOCABULARY - 1)), 200),
    "endless number": (*chat('"presence_penalty":' + "1" * 400), 400),
    "tokenizer's argument": (*chat('"chat_template_kwargs":{"return_tensors":"pt"}'), 400),
    "deep": (*chat('"x":' + "[" * 100_000 + "]" * 100_000), 400),
    "negative seed": (*chat('"seed":-1'), 200),
    "seed past 64 bits": (*chat('"seed":18446744073709551616'), 400),
    "repetition_penalty": (*chat('"repetition_penalty":1.3'), 200),
    "nulls": (*chat('"stream":null,"temperature":null,"top_p":null,"top_k":null,"min_p":null,"logprobs":null'), 200),
    "another model to load": (*chat('"adapters":"elsewhere"'), 400),
}

# vllm-mlx takes several prompts, and members of mlx_lm alone are nothing to it. A request whose logits it has to change
# breaks the batch of one that has nothing of the sort: both would hang.
OF_VLLM_MLX = {"another model to load": 200, "tokenizer's argument": 200,
               "last token": 400, "repetition_penalty": 400}


@pytest.fixture(scope="module", params=[MLXWorker, VLLMMLXWorker], ids=lambda kind: kind.kind)
def trio(long_stage, request):
    workers = long_stage.real(*(lambda name=f"real-{number}": request.param(name) for number in (1, 2, 3)))
    replica = long_stage.replica(workers)
    replica.workers = workers
    return replica


def test_no_query_of_death_reaches_a_worker(trio):
    good = ("good", *chat('"temperature":0'), 200)
    others = OF_VLLM_MLX if trio.workers[0].kind == "vllm_mlx" else {}
    asked = [(name, path, body, others.get(name, status)) for name, (path, body, status) in DEADLY.items()] * ROUNDS + [good] * len(DEADLY) * ROUNDS
    random.Random(7).shuffle(asked)
    processes = [worker.child.pid for worker in trio.workers]

    def ask(query) -> str | None:
        name, path, body, expected = query
        status, _, answer = trio.post(path, body, seconds=60)
        if status != expected:
            return f"{name}: {status} instead of {expected}: {answer[:300].decode()}"
        if expected == 400 and not json.loads(answer)["error"]["message"]:
            return f"{name}: refused without a word"
        return None

    with ThreadPoolExecutor(6) as pool:
        wrong = [failure for failure in pool.map(ask, asked) if failure]
    assert not wrong, "\n".join(sorted(set(wrong)))
    assert [worker.child.pid for worker in trio.workers if worker.child.is_running] == processes
    for worker in trio.workers:
        assert worker.completes(), f"{worker.name} is there and computes nothing"
    print(f"  {len(asked)} requests, {len(DEADLY)} kinds of death, 0 of {len(processes)} workers lost")
