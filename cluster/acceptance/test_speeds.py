"""How fast a worker is believed to be: what its answers show takes the place of what its chip's name said."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

CHAT = "/v1/chat/completions"
EXCHANGES = 20
"""A measurement counts as much as the prior after 200 tokens of decoding and 2,000 of prefill: these are 20 times that."""
OUTPUT_TOKENS = 200
PROMPT_TOKENS = 2_000
WITHIN_SHARE = 0.10
"""Of the truth, with a prior that is wrong by two. 5 % is what is left of the prior by then."""

BILLIONS, GIGABYTES = 8, 4.5
"""Of `=8:4bit`: four and a half bits a parameter."""
TIME_SCALE = 8
BANDWIDTH, PREFILL_7B, DECODE_7B = 400e9, 671, 66.0
"""The M2 Max in the public table, of a model of seven billion parameters and 3.82 GB. The simulator has a copy of its own
(`ChipFigures.swift`), and so has the gateway (`ChipPriors.swift`)."""


def true_rates() -> tuple[float, float]:
    """Tokens a second of prefill, and of one stream on the mean context of these exchanges."""
    context = PROMPT_TOKENS + OUTPUT_TOKENS / 2
    step = GIGABYTES / (DECODE_7B * 3.82) + context * 131_072 / BANDWIDTH
    return PREFILL_7B * 7 / BILLIONS * TIME_SCALE, TIME_SCALE / step


@pytest.mark.timing
def test_wrong_priors_are_found_out(stage):
    """Two equal Macs; of one it is thought that it computes twice as fast as it does, of the other half as fast."""
    factors = {"overrated": 2, "underrated": 0.5}
    sims = [stage.simulator(name, kind="mlx_lm", chip="M2 Max", models=(f"{name}=8:4bit",), time_scale=TIME_SCALE)
            for name in factors]
    # Twice as fast: a model half as large. A simulated Mac that hurries must be rated as one.
    replica = stage.replica([sim.node(models=[{"name": sim.name, "parameters": BILLIONS / TIME_SCALE / factor, "bits": 4}])
                             for sim, factor in zip(sims, factors.values())])

    def believed(name: str) -> tuple[float, float]:
        speeds, = json.loads(replica.get(f"/admin/workers/{name}")[2])["speeds"]
        return speeds["prefill_tokens_per_second"], speeds["decode_tokens_per_second"]

    truth = true_rates()
    for name, factor in factors.items():
        for prior, true in zip(believed(name), truth):
            assert prior / true == pytest.approx(factor, rel=0.1), "the prior is not wrong by two: the test shows nothing"

    def ask(name: str) -> list[int]:
        # A new prompt each time: what is cached is not computed. A token is four bytes.
        return [replica.post(CHAT, {"model": name, "max_tokens": OUTPUT_TOKENS, "stream": number % 2 == 1, "messages": [
            {"role": "user", "content": f"{number:04d}" * PROMPT_TOKENS}]}, seconds=60)[0] for number in range(EXCHANGES)]

    with ThreadPoolExecutor(2) as pool:
        assert [status for answers in pool.map(ask, factors) for status in answers] == [200] * 2 * EXCHANGES
    wrong = [f"{name}: {rate:.1f} for {true:.1f} tokens a second" for name in factors
             for rate, true in zip(believed(name), truth) if abs(rate / true - 1) > WITHIN_SHARE]
    for name in factors:
        print(f"  {name}: prefill and decode at " + ", ".join(f"{rate / true:.3f}" for rate, true in zip(believed(name), truth)))
    assert not wrong, wrong
