"""Models that come and go: a load is the gateway's own, whoever asked for it and whoever left meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import threading
import time

import pytest

from flock.patience import until

CHAT = "/v1/chat/completions"
# A load of 90 s and 30 clients. The worker's time runs twenty times as fast, and the queue's clock is shorter than the load by
# as much as a usual one is.
TIME_SCALE = 20
LOAD_SECONDS = 90
CLIENTS = 30
BIG = "big=160"


def chat(model: str, words: str = "hello", **more) -> bytes:
    return json.dumps({"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": words}]} | more).encode()


class Client(threading.Thread):
    """Asks once, and leaves after a while if it is told to."""

    def __init__(self, replica, model: str, number: int = 0, leaves_after: float | None = None, stream: bool = True):
        super().__init__(daemon=True)
        self.replica, self.model, self.number, self.leaves_after, self.stream = replica, model, number, leaves_after, stream
        self.status, self.body, self.seconds = None, b"", 0.0
        self.start()

    def run(self) -> None:
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.replica.port, timeout=self.leaves_after or 180)
        with contextlib.closing(connection), contextlib.suppress(TimeoutError, OSError):
            connection.request(
                "POST", CHAT, chat(self.model, f"client {self.number}", stream=self.stream),
                {"Authorization": f"Bearer {self.replica.key}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            self.status = answer.status
            while self.leaves_after is None or time.monotonic() < began + self.leaves_after:
                part = answer.read1()
                if not part:
                    break
                self.body += part
        self.seconds = time.monotonic() - began

    @property
    def is_whole(self) -> bool:
        end = b"data: [DONE]" if self.stream else b'"usage"'
        return self.status == 200 and b'"finish_reason":"' in self.body and end in self.body


def entries(worker, kind: str) -> list[dict]:
    return [entry for entry in worker.journal() if entry["event"] == kind]


def model_state(replica, worker: str, model: str) -> str:
    shown = json.loads(replica.get(f"/admin/workers/{worker}")[2])
    return next(speed["state"] for speed in shown["speeds"] if speed["model"] == model)


@pytest.mark.skipif(not os.environ.get("ACCEPTANCE_LONG"), reason="takes minutes: ACCEPTANCE_LONG=1")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["ollama", "lm_studio", "omlx", "exo", "mlx_lm", "llama_cpp"])
def test_one_load_for_all_in_real_time(stage, kind):
    one_load_for_all(stage, kind, time_scale=1)


@pytest.mark.parametrize("kind", ["ollama", "lm_studio", "omlx", "exo", "mlx_lm", "llama_cpp"])
def test_one_load_for_all(stage, kind):
    one_load_for_all(stage, kind, TIME_SCALE)


def one_load_for_all(stage, kind: str, time_scale: int) -> None:
    # mlx_lm has its first model in memory from the start, and llama.cpp routes where it has two; the others are asked for
    # their only one.
    models = ("small=1", BIG) if kind in ("mlx_lm", "llama_cpp") else (BIG,)
    worker = stage.simulator("mac", kind=kind, models=models, time_scale=time_scale, slots=4)
    if kind == "exo":
        direct = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=10)
        direct.request("DELETE", "/instance/instance-big")
        assert direct.getresponse().status == 200
        direct.close()
    replica = stage.replica([worker], {"load_balancing": {"queue_seconds": 30 / time_scale, "probe_interval_seconds": 0.2}})
    until("it is known what is in memory", lambda: model_state(replica, "mac", "big") == "available")
    clients = [Client(replica, "big", number, 0.5 + number / 20 if number % 2 else None, stream=number % 3 > 0)
               for number in range(CLIENTS)]
    for client in clients:
        client.join(150)
    stayed = [client for client in clients if client.leaves_after is None]
    assert [client.number for client in stayed if not client.is_whole] == [], [client.body[-300:] for client in stayed]
    assert min(client.seconds for client in stayed) >= LOAD_SECONDS / time_scale * 0.9
    begun = entries(worker, "load_begin")
    assert len(begun) == 1 and entries(worker, "load_abort") == []
    assert model_state(replica, "mac", "big") == "resident"
    assert replica.metric_sum("starling_worker_probes_total", 'result="loaded"') == 1


PATIENCE = 2


@pytest.mark.parametrize("macs", [1, 2])
def test_two_models_do_not_thrash(stage, macs):
    """W12: swaps ≤ 1 per patience and Mac; nobody waits for a model longer than patience + load + what still runs."""
    workers = [stage.simulator(f"mac-{number}", kind="mlx_lm", models=("a=16", "b=16"), time_scale=TIME_SCALE, slots=4)
               for number in range(macs)]
    settings = {"load_balancing": {"swap_patience_seconds": PATIENCE, "strategy": "resource_aware", "queue_seconds": 60,
                                   "residency_min_seconds": 4}}
    replica = stage.replica(workers, settings)
    load_seconds, run_seconds = 9 / TIME_SCALE, 2
    done: list[Client] = []
    until_time = time.monotonic() + 12

    def ask(model: str, number: int) -> None:
        while time.monotonic() < until_time:
            client = Client(replica, model, number, stream=number % 2 == 0)
            client.join(60)
            done.append(client)

    threads = [threading.Thread(target=ask, args=("ab"[number % 2], number), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert [client.body[-200:] for client in done if not client.is_whole] == [] and len(done) > 100
    assert {client.model for client in done} == {"a", "b"}
    # With one Mac somebody always waits for the other model; with two each has its own, and there is nothing to swap.
    for worker in workers:
        begun = [entry["t_ns"] / 1e9 for entry in entries(worker, "load_begin")]
        assert entries(worker, "load_abort") == []
        assert all(after - before >= PATIENCE * 0.9 for before, after in zip(begun, begun[1:])), begun
        assert len(begun) >= 3 if macs == 1 else len(begun) <= 2, begun
    assert max(client.seconds for client in done) <= PATIENCE + load_seconds + run_seconds


def test_a_load_that_cannot_be(stage):
    """A model that is larger than its Mac: an honest answer, no waiting for ever, and others go on."""
    worker = stage.simulator("mac", kind="ollama", models=("small=1", "huge=900"), memory_gb=64, time_scale=TIME_SCALE,
                             slots=4, options=("--memory", "refuse"))
    replica = stage.replica([worker], {"load_balancing": {"probe_interval_seconds": 0.2}})
    until("it is known what is in memory", lambda: model_state(replica, "mac", "huge") == "available")
    status, _, text = replica.post(CHAT, chat("huge"))
    assert status == 503 and json.loads(text)["error"]["code"] == "gateway.no_worker"
    assert model_state(replica, "mac", "huge") == "failed"
    assert replica.post(CHAT, chat("small"))[0] == 200
