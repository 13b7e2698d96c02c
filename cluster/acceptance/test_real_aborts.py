"""Clients that leave real servers which would not notice: mlx_lm and, where it is built, llama-server.

Left alone, they compute a lost plain answer to its end (over 10 and over 20 seconds were seen). What is measured is the
processor time of the server's own process, so nobody's word is needed for it.

After 1,000 aborts on two cores that others kept busy, too (a load of 8), mlx_lm rested 0.85 s after the last, and had computed
for half a second of them; llama-server was at rest before anybody could look. But one time in a hundred it did not look at its
connections for 0.6 to 2.9 s ("cancel task" in its log), when none of ours was open any more.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import time

import pytest

from flock.child import Child
from flock.patience import until
from flock.real_workers import LlamaServer, MLXWorker

pytestmark = [pytest.mark.real, pytest.mark.timing, pytest.mark.timeout(900)]

ABORTS = int(os.environ.get("ACCEPTANCE_REAL_ABORTS", "200"))
"""The full form is 1,000."""
COMPUTES_ON_SECONDS = {"mlx_lm": 1.0, "llama_cpp": 3.5}
"""Of processor time, after the last has left: the bar of one second whatever else the machine does, and what llama-server may
take until it looks."""
BUSY_MACHINE_SECONDS = 2.0
"""On top, by the clock."""
LOOK_SECONDS = 0.5
BUSY_SHARE = 0.1
"""Of a look: what answering probes may cost."""
AT_ONCE = 8
STAYS_SECONDS = 0.3
HELLO = [{"role": "user", "content": "hello world, please count to three"}]
LONG_PROMPT = [{"role": "user", "content": "hello world " * 200}]


@pytest.fixture(params=[MLXWorker, LlamaServer], ids=lambda kind: kind.kind)
def real(stage, request):
    if not request.param.is_built():
        pytest.skip("building this server takes minutes: make contract-all does it")
    worker = stage.real(request.param)
    replica = stage.replica([worker])
    replica.worker = worker
    return replica


class Rest:
    """When a process stopped computing: the beginning of the first look in which it did next to nothing."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.samples = [(time.monotonic(), child.processor_seconds())]

    def seen(self) -> float | None:
        self.samples.append((time.monotonic(), self.child.processor_seconds()))
        now, spent = self.samples[-1]
        looks = [at for at, before in self.samples
                 if now - at >= LOOK_SECONDS and spent - before <= BUSY_SHARE * (now - at)]
        return looks[0] if looks else None


def request(path: str, body: dict, key: str) -> bytes:
    payload = json.dumps({"model": "tiny-llama", "max_tokens": 4000} | body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n").encode() + payload


def test_abandoned_plain_answers_cost_the_worker_nothing_more(real):
    """Clients ask for plain answers of many seconds and leave at random moments, in either way: soon nobody computes."""
    chance = random.Random(7)
    asked = [request("/v1/chat/completions", {"messages": HELLO}, real.key),
             request("/v1/chat/completions", {"messages": LONG_PROMPT}, real.key),
             request("/v1/completions", {"prompt": "hello"}, real.key)]
    open_ones: list[tuple[float, socket.socket]] = []
    before = real.worker.child.processor_seconds()

    def one_leaves() -> None:
        moment, connection = open_ones.pop(0)
        until("its moment has come", lambda: time.monotonic() >= moment)
        if chance.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    for _ in range(ABORTS):
        connection = socket.create_connection(("127.0.0.1", real.port))
        connection.sendall(chance.choices(asked, [6, 1, 3])[0])
        open_ones.append((time.monotonic() + chance.uniform(0, STAYS_SECONDS), connection))
        if len(open_ones) == AT_ONCE:
            one_leaves()
    while open_ones:
        one_leaves()
    rest = Rest(real.worker.child)
    rests = until("the worker rests", rest.seen, 20, every=0.02) - rest.samples[0][0]
    spent = rest.samples[-1][1] - rest.samples[0][1]
    print(f"  {real.worker.kind} rests {rests:.2f} s after the last of {ABORTS} left, having computed {spent:.2f} s")
    assert rest.samples[0][1] - before > 1, "it hardly computed for anybody: the test shows nothing"
    assert spent <= COMPUTES_ON_SECONDS[real.worker.kind]
    assert rests <= COMPUTES_ON_SECONDS[real.worker.kind] + BUSY_MACHINE_SECONDS
    until("the gateway has no exchange open", lambda: real.metric_sum("starling_in_flight") == 0)
    assert real.metric_sum("starling_worker_running") == 0
    shown = json.loads(real.get(f"/admin/workers/{real.worker.name}")[2])
    assert (shown["running"], shown["prompt_tokens_ahead"], shown["output_tokens_ahead"]) == (0, 0, 0)
    assert real.worker.completes()
