"""Macs that somebody uses besides Starling: what a worker's own count and its monitor say is believed."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time

import pytest

from flock.patience import until
from flock.real_workers import VLLMMLXWorker

CHAT = "/v1/chat/completions"
pytestmark = pytest.mark.timeout(400)


def body(words: str = "hello", tokens: int = 5, **more) -> bytes:
    return json.dumps({"model": "tiny-llama", "max_tokens": tokens, "messages": [{"role": "user", "content": words}]} | more).encode()


def worker(replica, name: str) -> dict:
    return json.loads(replica.get(f"/admin/workers/{name}")[2])


class Strangers:
    """Long streams on a worker's own port, past Starling."""

    def __init__(self, server, count: int, tokens: int = 100_000) -> None:
        self._connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=60) for _ in range(count)]
        for number, connection in enumerate(self._connections):
            connection.request("POST", CHAT, body(f"stranger {number}", tokens, stream=True),
                               {"Content-Type": "application/json"})
            assert connection.getresponse().status == 200

    def leave(self) -> None:
        for connection in self._connections:
            connection.close()


class ComingAndGoing:
    """Clients that come, finish and leave in the middle of plain answers and streams, as fast as they can."""

    def __init__(self, replica) -> None:
        self._replica = replica
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(6)]

    def _run(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            leaves, streams = (number + turn) % 3 == 0, turn % 2 == 0
            connection = http.client.HTTPConnection("127.0.0.1", self._replica.port, timeout=60)
            connection.request("POST", CHAT, body(f"{number}, {turn}", 2_000 if leaves else 20, stream=streams),
                               {"Content-Type": "application/json", "Authorization": f"Bearer {self._replica.key}"})
            if leaves and streams:
                connection.getresponse().read(1)
            elif not leaves:
                connection.getresponse().read()
            connection.close()

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(70)


def looks(replica, name: str, count: int) -> set[int | None]:
    """What so many looks at a worker found it to run for others."""
    seen: list[int | None] = []
    until("so many looks", lambda: seen.append(worker(replica, name).get("foreign")) or len(seen) >= count, 60, every=0.1)
    return set(seen)


def served(replica, count: int) -> dict[str, int]:
    """So many requests, four at a time, and who answered how many of them."""
    counts: dict[str, int] = {}
    lock = threading.Lock()

    def ask(number: int) -> None:
        for turn in range(count // 4):
            status, fields, _ = replica.post(CHAT, body(f"client {number}, {turn}", 20), seconds=60)
            assert status == 200
            with lock:
                name = fields["x-starling-worker"]
                counts[name] = counts.get(name, 0) + 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert sum(counts.values()) == count
    return counts


@pytest.mark.parametrize("kind,strategy", [("vllm_mlx", "resource_aware"), ("llama_cpp", "least_connections")])
def test_a_mac_that_somebody_uses_directly_gets_less(stage, kind, strategy):
    """Two equal Macs; on one of them three streams run that Starling never saw."""
    sims = [stage.simulator(name, models=("tiny-llama",), kind=kind, slots=4, time_scale=1) for name in ("free", "used")]
    replica = stage.replica(sims, {"load_balancing": {"strategy": strategy, "probe_interval_seconds": 1}})
    until("both are healthy", lambda: {worker(replica, sim.name)["state"] for sim in sims} == {"healthy"})
    strangers = Strangers(sims[1], 3)
    try:
        until("the strangers are seen", lambda: worker(replica, "used").get("foreign") == 3, 15)
        assert replica.metric_sum("starling_worker_foreign_exchanges", 'worker="used"') == 3
        assert worker(replica, "free")["foreign"] == 0
        counts = served(replica, 80)
        print(f"  {kind}, {strategy}: {counts}")
        assert counts.get("used", 0) * 2 <= counts["free"]
    finally:
        strangers.leave()
    until("they are gone", lambda: worker(replica, "used").get("foreign") == 0, 15)
    counts = served(replica, 80)
    print(f"  alone again: {counts}")
    assert min(counts[sim.name] for sim in sims) >= 16


def test_a_mac_without_memory_is_spared_until_it_has_some(stage):
    """Other programs take its memory; its monitor tells. Requests go to the others, and come back."""
    sims = [stage.simulator(name, models=("tiny-llama",), kind="mlx_lm", memory_gb=64, time_scale=1) for name in ("roomy", "full")]
    nodes = [sim.node(telemetry_url=f"http://127.0.0.1:{sim.control_port}/json") for sim in sims]
    replica = stage.replica(nodes, {"load_balancing": {"strategy": "round_robin", "probe_interval_seconds": 0.5}})
    until("both are healthy", lambda: {worker(replica, sim.name)["state"] for sim in sims} == {"healthy"})
    until("memory is known", lambda: worker(replica, "full").get("memory", {}).get("measured"), 10)
    assert replica.metric_sum("starling_worker_memory_ratio", 'worker="full"') < 0.5
    assert worker(replica, "full")["heat"] == "nominal"
    fault = sims[1].fault("memory_taken", gigabytes=57)
    try:
        until("it is seen", lambda: worker(replica, "full")["state"] == "degraded", 15)
        told = worker(replica, "full")
        assert told["why"] == "pressure" and told["memory"]["ratio"] >= 0.92 and told["memory"]["swap_grows"]
        assert served(replica, 16) == {"roomy": 16}
    finally:
        sims[1].ask("DELETE", f"/_sim/faults/{fault['id']}")
    until("it is taken back", lambda: worker(replica, "full")["state"] == "healthy", 30)
    counts = served(replica, 16)
    print(f"  with memory again: {counts}")
    assert counts.get("full", 0) >= 4


@pytest.mark.skipif(not os.environ.get("ACCEPTANCE_LONG"), reason="takes three minutes of real time; ACCEPTANCE_LONG=1 runs it")
def test_a_mac_that_throttles_is_spared_and_taken_back(stage):
    """Heat: it decodes at 0.4 of its own rate. After a minute the others do its work; when it is cool it has its share."""
    sims = [stage.simulator(name, models=("tiny-llama",), kind="mlx_lm", slots=4, time_scale=1) for name in ("cool", "hot")]
    replica = stage.replica(sims, {"load_balancing": {"strategy": "round_robin"}})
    until("both are healthy", lambda: {worker(replica, sim.name)["state"] for sim in sims} == {"healthy"})
    stop = threading.Event()
    answers: list[str] = []

    def ask(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            status, fields, _ = replica.post(CHAT, body(f"client {number}, {turn}", 60), seconds=60)
            answers.append(fields["x-starling-worker"] if status == 200 else str(status))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        until("both have a rate of their own", lambda: min(answers.count(sim.name) for sim in sims) >= 12, 30)
        fault = sims[1].fault("slow", factor=0.4)
        begun = time.monotonic()
        until("it is noticed", lambda: worker(replica, "hot")["state"] == "degraded", 90, every=0.2)
        noticed = time.monotonic() - begun
        assert worker(replica, "hot")["why"] == "slow" and noticed >= 50
        # What runs there ends first.
        until("the others go on", lambda: answers[-12:] == ["cool"] * 12, 30)
        sims[1].ask("DELETE", f"/_sim/faults/{fault['id']}")
        begun = time.monotonic()
        until("it is taken back", lambda: worker(replica, "hot")["state"] == "healthy", 90, every=0.2)
        mark = len(answers)
        until("it has its share", lambda: answers[mark:].count("hot") >= 10, 30)
        assert worker(replica, "hot")["state"] == "healthy"
        print(f"  spared after {noticed:.0f} s, taken back {time.monotonic() - begun:.0f} s after it was cool")
    finally:
        stop.set()
        for thread in threads:
            thread.join(70)
    assert set(answers) == {"cool", "hot"}


@pytest.mark.parametrize("kind", ["vllm_mlx", "llama_cpp", "exo", "omlx"])
def test_our_own_exchanges_never_look_foreign(stage, kind):
    """Clients come, finish and leave in the middle, as fast as they can, while the worker is asked again and again."""
    sim = stage.simulator("busy", models=("tiny-llama",), kind=kind, slots=4, time_scale=5)
    if kind == "exo":
        connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
        connection.request("POST", "/place_instance", json.dumps({"model_id": "tiny-llama"}))
        assert connection.getresponse().status == 200
    replica = stage.replica([sim], {"load_balancing": {"probe_interval_seconds": 0.2}})
    until("it answers", lambda: replica.post(CHAT, body(), seconds=30)[0] == 200, 60)
    with ComingAndGoing(replica):
        seen = looks(replica, "busy", 60)
    assert 0 in seen and seen <= {0, None}, seen


@pytest.mark.real
def test_a_real_server_tells_ours_from_others(stage):
    """The same on a real `vllm-mlx`: ours never look foreign, and a stranger is seen beside them."""
    server = stage.real(lambda: VLLMMLXWorker("busy"))
    replica = stage.replica([server], {"load_balancing": {"probe_interval_seconds": 0.2}})
    until("it is healthy", lambda: worker(replica, "busy")["state"] == "healthy", 30)
    with ComingAndGoing(replica):
        seen = looks(replica, "busy", 60)
    assert 0 in seen and seen <= {0, None}, seen
    strangers = Strangers(server, 1, 4_000)
    try:
        until("the stranger is seen", lambda: worker(replica, "busy").get("foreign") == 1, 15)
    finally:
        strangers.leave()
    until("it is gone", lambda: worker(replica, "busy").get("foreign") == 0, 15)
