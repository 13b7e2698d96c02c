"""Many clients at once: connects that do not flood a small backlog, even shares, and conversations that stay where they are."""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
import sys
import threading
import time

import pytest

from flock.patience import until
from load_client import exchange, request_bytes
from scripted_worker import ScriptedWorker

CHAT = "/v1/chat/completions"

CONNECT_SECONDS = 0.1
"""Of any connect to an mlx_lm, whose backlog is five: 64 direct ones took 1.2 s in the median and 7.7 s at the most."""
CROWD = 64
SYN_SENT = "02"
SHARE_MAX = 1.25
"""The busiest worker against the mean, in exchanges running. 1.02 was seen with `resource_aware`, 1.00 with `least_connections`."""
CLIENTS, WORKERS = 30, 3
FAIR_SHARE = CLIENTS / WORKERS
BOUNDED_LOAD = math.ceil(1.25 * (CLIENTS + 1) / WORKERS)
"""What strategies that keep conversations together may put on one worker: 1.25 of the fair share, in whole exchanges, with the
one that is to be placed."""
LOOKS = 40


class SlowToAccept(ScriptedWorker):
    """Takes one connection after another with a pause, as a server does whose only thread computes."""

    pause = threading.Event()
    pause_seconds = 0.004

    def _accept(self) -> None:
        while True:
            self.pause.wait(self.pause_seconds)
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.take(connection)


class Connects(threading.Thread):
    """How long each connect to a port of this machine has been unanswered, as the kernel's table tells."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.wanted = f":{port:04X}"
        self.seen: dict[str, list[float]] = {}
        self.ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(0.002):
            now = time.monotonic()
            for line in open("/proc/net/tcp").readlines()[1:]:
                row = line.split()
                if row[2].endswith(self.wanted) and row[3] == SYN_SENT:
                    self.seen.setdefault(row[1], [now, now])[1] = now

    def slowest(self) -> float:
        self.ended.set()
        self.join()
        return max((last - first for first, last in self.seen.values()), default=0)


def ask_at_once(port: int, key: str, stream: bool, seconds: float = 60) -> list:
    request = request_bytes(CHAT, json.dumps(
        {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}).encode(), key)

    async def everybody() -> list:
        return await asyncio.gather(*(exchange(port, request, seconds) for _ in range(CROWD)))

    return asyncio.run(everybody())


@pytest.mark.timing
@pytest.mark.skipif(sys.platform != "linux", reason="a full accept queue drops connects silently on Linux only")
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_crowd_does_not_flood_a_small_backlog(stage, stream):
    """The worker's kernel holds five connects; what comes on top is dropped without a word and tried again a second later."""
    worker = stage.keep(SlowToAccept(kind="mlx_lm", backlog=5))
    replica = stage.replica([worker.node(max_concurrency=4)])
    connects = Connects(worker.port)
    outcomes = ask_at_once(replica.port, replica.key, stream)
    slowest = connects.slowest()
    failed = [outcome for outcome in outcomes if outcome.status != 200 or not outcome.whole or not outcome.has_finish]
    assert not failed, failed[:3]
    print(f"  slowest connect {slowest * 1000:.0f} ms, slowest answer {max(outcome.seconds for outcome in outcomes):.2f} s")
    assert slowest <= CONNECT_SECONDS
    direct = Connects(worker.port)
    ask_at_once(worker.port, replica.key, stream, seconds=2)
    assert direct.slowest() > 5 * CONNECT_SECONDS, "the worker takes a crowd by itself: the test shows nothing"


@pytest.mark.timing
@pytest.mark.skipif(sys.platform != "linux", reason="a full accept queue drops connects silently on Linux only")
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("sort", ["scripted", "simulated"])
def test_a_crowd_does_not_flood_a_small_backlog_with_many_slots(stage, sort, stream):
    """The kernel takes a connection before the worker does: more than five that stand may be five that lie in its queue."""
    if sort == "scripted":
        worker = stage.keep(SlowToAccept(kind="mlx_lm", backlog=5))
        node = worker.node(max_concurrency=32)
    else:
        worker = stage.simulator(kind="mlx_lm", models=("m",), time_scale=10, slots=64)
        node = worker.node()
    replica = stage.replica([node])
    connects = Connects(worker.port)
    outcomes = ask_at_once(replica.port, replica.key, stream)
    slowest = connects.slowest()
    failed = [outcome for outcome in outcomes if outcome.status != 200 or not outcome.whole or not outcome.has_finish]
    print(f"  slowest connect {slowest * 1000:.0f} ms, {len(failed)} of {len(outcomes)} failed")
    after = replica.post(CHAT, {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2})[0]
    assert (len(failed), after) == (0, 200)
    assert slowest <= CONNECT_SECONDS


# Even shares

@pytest.mark.parametrize("strategy, running_max", [
    ("resource_aware", SHARE_MAX * FAIR_SHARE), ("least_connections", SHARE_MAX * FAIR_SHARE),
    ("prefix_affinity", BOUNDED_LOAD), ("consistent_hash", BOUNDED_LOAD)])
def test_skewed_clients_load_equal_workers_evenly(stage, strategy, running_max):
    """Of ten requests, eight come from one client: its conversation does not drown the worker that it began on."""
    sims = [stage.simulator(f"mac-{number}", kind="mlx_lm", models=("m=8:4bit",), time_scale=1, slots=32)
            for number in range(WORKERS)]
    replica = stage.replica(sims, {"load_balancing": {"strategy": strategy}})
    users = ["busy"] * 8 + ["quiet", "silent"]
    ended = threading.Event()

    def ask_for_ever(number: int) -> None:
        asked = 0
        while not ended.is_set():
            asked += 1
            user = users[number % len(users)]
            messages = [{"role": "user", "content": f"I am {user}. " * 20}, {"role": "assistant", "content": "Yes."},
                        {"role": "user", "content": f"{number}, {asked}"}]
            body = {"model": "m", "max_tokens": 20 + (7 * number + 11 * asked) % 40, "user": user, "messages": messages}
            assert replica.post(CHAT, body, {"x-starling-affinity": user})[0] == 200

    clients = [threading.Thread(target=ask_for_ever, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        until("all clients are in", lambda: replica.metric_sum("starling_worker_running") >= CLIENTS - 3)
        looks: list[list[float]] = []

        def look() -> bool:
            looks.append([worker["running"] for worker in json.loads(replica.get("/admin/workers")[2])["data"]])
            return len(looks) >= LOOKS

        until("enough was seen", look, 30, every=0.1)
    finally:
        ended.set()
        for client in clients:
            client.join(30)
    means = [sum(look[place] for look in looks) / len(looks) for place in range(WORKERS)]
    print(f"  {strategy}: running {', '.join(f'{mean:.1f}' for mean in means)} in the mean")
    assert max(means) <= running_max


# The same worker

CONVERSATIONS, TURNS = 24, 4


def test_a_conversation_stays_where_it_began(stage):
    """Turns come in any order, through two replicas that have never heard of each other: one home for each conversation."""
    sims = [stage.simulator(f"mac-{number}", kind=kind, models=("m",)) for number, kind in enumerate(["mlx_lm", "llama_cpp"] * 2)]
    replicas = [stage.replica(sims, {"load_balancing": {"strategy": "prefix_affinity"}}) for _ in range(2)]
    histories = [[{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": f"Tell me of subject {number}."}]
                 for number in range(CONVERSATIONS)]
    homes: list[set[str]] = [set() for _ in histories]
    turns = list(range(CONVERSATIONS)) * TURNS
    random.Random(7).shuffle(turns)
    for turn, number in enumerate(turns):
        replica, request_id = replicas[turn % 2], f"turn-{turn}"
        status, fields, answer = replica.post(
            CHAT, {"model": "m", "max_tokens": 4, "stream": False, "messages": histories[number]}, {"x-request-id": request_id})
        assert status == 200
        told = json.loads(replica.get(f"/admin/decisions/{request_id}")[2])
        assert (told["strategy"], told["attempts"][0]["chosen"]) == ("prefix_affinity", fields["x-starling-worker"])
        homes[number].add(fields["x-starling-worker"])
        histories[number] += [json.loads(answer)["choices"][0]["message"], {"role": "user", "content": f"And then? ({turn})"}]
    assert all(len(home) == 1 for home in homes), homes
    assert {worker for home in homes for worker in home} == {sim.name for sim in sims}, "all have their part"
