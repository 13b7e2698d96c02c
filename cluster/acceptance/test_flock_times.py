"""How long a flock takes to learn of a death, a newcomer, and each other's load."""

from __future__ import annotations

import statistics
import threading
import time

import pytest

from flock.gossip import Flock
from flock.patience import until

pytestmark = pytest.mark.timing

KILLS = 20
JOINS = 5
# Bars in seconds
DETECTED_MEDIAN, DETECTED_MAX = 3.0, 4.0
JOINED_MAX = 0.5
# Of the busiest worker's running exchanges to the mean
SPREAD_MAX = 1.25


def test_a_death_is_known_by_all_in_three_seconds_and_never_later_than_four(stage):
    worker = stage.simulator("sim-1")
    flock = stage.keep(Flock(5, [worker.node()]))
    first, all_know = [], []
    for number in range(KILLS):
        flock.wait_until_they_agree(5)
        victim = number % 5
        others = [index for index in range(5) if index != victim]
        flock.kill(victim)
        killed = time.monotonic()
        knowing: dict[int, float] = {}

        def everybody_knows() -> bool:
            for index in others:
                if index not in knowing and flock.status(victim, index) == "dead":
                    knowing[index] = time.monotonic() - killed
            return len(knowing) == len(others)

        until("all others hold it dead", everybody_knows, 2 * DETECTED_MAX)
        first.append(min(knowing.values()))
        all_know.append(max(knowing.values()))
        flock.start(victim)
    for what, took in (("first detection", first), ("all know", all_know)):
        print(f"\n{what}: median {statistics.median(took):.2f} s, max {max(took):.2f} s of {len(took)} kills", end="")
    print()
    assert statistics.median(all_know) <= DETECTED_MEDIAN, sorted(all_know)
    assert max(all_know) <= DETECTED_MAX, sorted(all_know)


def test_a_fifth_is_known_by_all_half_a_second_after_it_listens(stage):
    worker = stage.simulator("sim-1")
    flock = stage.keep(Flock(4, [worker.node()]))
    fifth = flock.add()
    took = []
    for _ in range(JOINS):
        flock.wait_until_they_agree(5)
        flock.start(fifth, wait_ready=False)
        took.append(flock.wait_until_they_agree(5))
        flock[fifth].stop()
        until("it has left", lambda: all(flock.status(fifth, index) == "left" for index in range(4)), 8)
        flock.forget_data(fifth)
    print(f"\na join: median {1000 * statistics.median(took):.0f} ms, max {1000 * max(took):.0f} ms of {len(took)}")
    assert max(took) <= JOINED_MAX, took


def test_workers_are_equally_busy_though_clients_are_not(stage):
    workers = [stage.simulator(f"sim-{number + 1}", slots=16, time_scale=1, seed=number) for number in range(5)]
    flock = stage.keep(Flock(3, [worker.node() for worker in workers], {"load_balancing": {"strategy": "least_connections"}}))
    flock.wait_until_they_agree()
    ends = threading.Event()
    failures: list[int] = []

    def client(replica: int) -> None:
        while not ends.is_set():
            status, _, _ = flock[replica].post("/v1/chat/completions", {
                "model": "llama-7b", "max_tokens": 60, "messages": [{"role": "user", "content": "hello"}]}, seconds=60)
            if status != 200:
                failures.append(status)

    # 80, 15 and 5 of a hundred clients on each of the replicas
    clients = [threading.Thread(target=client, args=(replica,)) for replica, count in enumerate((32, 6, 2)) for _ in range(count)]
    for thread in clients:
        thread.start()
    try:
        until("all are busy", lambda: sum(running(worker) for worker in workers) >= len(clients) // 2, 20)
        sums, peaks = [0] * len(workers), []
        began = time.monotonic()
        # The length of this look is the test.
        while time.monotonic() - began < 20:
            now = [running(worker) for worker in workers]
            sums = [total + count for total, count in zip(sums, now)]
            if sum(now):
                peaks.append(max(now) * len(now) / sum(now))
            time.sleep(0.05)
    finally:
        ends.set()
        for thread in clients:
            thread.join()
    spread = max(sums) * len(sums) / sum(sums)
    print(f"\nbusiest worker to mean: {spread:.3f} over time, {statistics.median(peaks):.3f} in the median moment")
    assert not failures
    assert spread <= SPREAD_MAX, (sums, spread)


def running(worker) -> int:
    return int(worker.state()["running"])
