#!/usr/bin/env python3
"""Which Mac? The strategies against each other, on simulated Macs of real chips.

    placement.py mixed      four Macs of four chips, short and long prompts: seconds until the last token
    placement.py turns      four equal Macs, conversations of several turns: what is cached, seconds until the first token

Macs compute ten times as fast as real ones would; all seconds are told as real Macs' seconds. The same requests, at the same
moments, for each strategy. Figures as JSON on standard output; the plot goes beside this file.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from flock.replica import Replica  # noqa: E402
from flock.simulator import Simulator  # noqa: E402

import curves  # noqa: E402
from traffic import Timed, quantile, stream  # noqa: E402

SCALE = 10
MODEL = "llama-8b"
CHIPS = {"m1-max": "M1 Max", "m2-ultra": "M2 Ultra", "m4-pro": "M4 Pro", "m5-pro": "M5 Pro"}


def words(count: int, chance: random.Random) -> str:
    """So many tokens, as the simulated Macs count them: four bytes each."""
    return "".join(" " + "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=3)) for _ in range(count))


def flock(chips: dict[str, str], strategy: str) -> tuple[list[Simulator], Replica]:
    macs = [Simulator(name, kind="mlx_lm", models=(f"{MODEL}=8:4bit",), chip=chip, memory_gb=64, time_scale=SCALE, slots=4,
                      options=("--context-tokens", "65536")) for name, chip in chips.items()]
    # The chip's rates follow from the size that is declared: a model of a tenth runs ten times as fast.
    nodes = [mac.node(models=[{"name": MODEL, "parameters": 8 / SCALE, "bits": 4, "context_tokens": 65536}]) for mac in macs]
    replica = Replica(nodes, {"load_balancing": {"strategy": strategy, "queue_seconds": 300}, "observability": {"access_log": False}})
    return macs, replica


def compare(strategies: tuple[str, ...], chips: dict[str, str], traffic) -> dict[str, list[Timed]]:
    answers = {}
    for strategy in strategies:
        macs, replica = flock(chips, strategy)
        try:
            answers[strategy] = asyncio.run(traffic(replica))
        finally:
            replica.stop()
            for mac in macs:
                mac.stop()
        if troubled := [answer.trouble for answer in answers[strategy] if answer.trouble]:
            sys.exit(f"{strategy}: {len(troubled)} requests failed: {troubled[:3]}")
    return answers


def mixed() -> dict:
    """Seven of ten are chats, three bring a document; they come by chance, at a rate that keeps the slower ones busy."""
    chance = random.Random(11)
    requests, moment = [], 0.0
    for _ in range(250):
        moment += chance.expovariate(0.45)
        is_chat = chance.random() < 0.7
        prompt = chance.randint(100, 600) if is_chat else chance.randint(4_000, 12_000)
        output = chance.randint(50, 250) if is_chat else chance.randint(50, 150)
        requests.append((moment, {"model": MODEL, "max_tokens": output, "temperature": 0,
                                  "messages": [{"role": "user", "content": words(prompt, chance)}]}))

    async def traffic(replica: Replica) -> list[Timed]:
        begun = time.monotonic()

        async def one(moment: float, body: dict) -> Timed:
            await asyncio.sleep(max(0, begun + moment / SCALE - time.monotonic()))
            return await stream(replica.port, replica.key, body)

        return await asyncio.gather(*(one(*request) for request in requests))

    answers = compare(("round_robin", "least_connections", "resource_aware"), CHIPS, traffic)
    lasts = {name: [answer.last * SCALE for answer in told] for name, told in answers.items()}
    curves.draw(HERE / "placement-mixed.svg", "Seconds until the last token: four Macs, 250 chats and documents", lasts)
    facts = {name: {"p50_s": round(quantile(values, 0.5), 2), "p95_s": round(quantile(values, 0.95), 2),
                    "mean_s": round(sum(values) / len(values), 2),
                    "share": {mac: round(sum(answer.worker == mac for answer in answers[name]) / len(values), 2) for mac in CHIPS}}
             for name, values in lasts.items()}
    ours = facts["resource_aware"]["p95_s"]
    for other in ("round_robin", "least_connections"):
        facts["resource_aware"][f"p95_of_{other}"] = round(ours / facts[other]["p95_s"], 3)
    return facts


def turns() -> dict:
    """Twenty-four conversations of eight turns under one system prompt; each client thinks a while before it goes on."""
    chance = random.Random(5)
    system = words(200, chance)
    plans = [[(chance.expovariate(1 / 20), words(chance.randint(100, 400), chance), chance.randint(80, 250)) for _ in range(8)]
             for _ in range(24)]

    async def traffic(replica: Replica) -> list[Timed]:
        async def conversation(number: int, plan: list) -> list[Timed]:
            messages = [{"role": "system", "content": system}]
            told = []
            await asyncio.sleep(number * 2 / SCALE)
            for pause, question, output in plan:
                await asyncio.sleep(pause / SCALE)
                messages.append({"role": "user", "content": question})
                told.append(await stream(replica.port, replica.key, {
                    "model": MODEL, "max_tokens": output, "temperature": 0, "messages": messages}))
                messages.append({"role": "assistant", "content": told[-1].text})
            return told

        return [answer for told in await asyncio.gather(*(conversation(*each) for each in enumerate(plans))) for answer in told]

    chips = {f"mac-{number}": "M2 Max" for number in range(4)}
    answers = compare(("round_robin", "prefix_affinity"), chips, traffic)
    firsts = {name: [answer.first * SCALE for answer in told] for name, told in answers.items()}
    curves.draw(HERE / "placement-turns.svg", "Seconds until the first token: four Macs, conversations of eight turns", firsts)
    facts = {}
    for name, told in answers.items():
        prompts = sum(answer.prompt_tokens for answer in told)
        best = 0
        for place, answer in enumerate(told):
            before = told[place - 1] if place % 8 else None
            # One cache without an end: all of the turn before, or the system prompt that somebody had before.
            best += before.prompt_tokens + before.completion_tokens if before else (200 if place else 0)
        facts[name] = {"cached_share": round(sum(answer.cached_tokens for answer in told) / prompts, 3),
                       "best_share": round(best / prompts, 3),
                       "first_token_p50_s": round(quantile(firsts[name], 0.5), 2),
                       "first_token_p95_s": round(quantile(firsts[name], 0.95), 2)}
    ours, other = facts["prefix_affinity"], facts["round_robin"]
    ours["of_best"] = round(ours["cached_share"] / ours["best_share"], 3)
    ours["cached_of_round_robin"] = round(ours["cached_share"] / other["cached_share"], 2)
    ours["first_token_p50_of_round_robin"] = round(ours["first_token_p50_s"] / other["first_token_p50_s"], 3)
    return facts


if __name__ == "__main__":
    modes = {"mixed": mixed, "turns": turns}
    if len(sys.argv) != 2 or sys.argv[1] not in modes:
        sys.exit(__doc__)
    print(json.dumps(modes[sys.argv[1]](), indent=1))
