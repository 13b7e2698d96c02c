"""A client that leaves costs a worker nothing more: the upstream connection closes at once, in every phase.

The moment of leaving is the client's monotonic clock, the moment of noticing the worker's; both processes read the same
clock of this machine. Where no worker is involved yet (queue, connect) the exchange's access line is the evidence.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import socket
import struct
import sys
import threading
import time

import pytest

from flock.patience import until
from raw_client import RawConnection
from scripted_worker import ScriptedWorker, answer_plainly, content

pytestmark = pytest.mark.timing

ROUNDS = int(os.environ.get("ACCEPTANCE_LEAVING_ROUNDS", "100"))
ABORTS = int(os.environ.get("ACCEPTANCE_ABORTS", "2000"))
PLAIN_ABORTS = int(os.environ.get("ACCEPTANCE_PLAIN_ABORTS", "1000"))
"""The full form is 10,000."""
BAR_MS = 50
"""Gateways that look for their client only when they write need the next chunk, or never notice. p99 of a release build on two
cores: 0.3 to 8 ms where the worker's end was watched, 10 to 15 ms where the access line was (it is written every 10 ms)."""
CHAT = "/v1/chat/completions"


def body(stream: bool, words: str = "hello", **more) -> bytes:
    return json.dumps({"model": "m", "stream": stream, "messages": [{"role": "user", "content": words}]} | more).encode()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def leave(connection: RawConnection, how: str) -> int:
    return connection.leave() if how == "FIN" else connection.leave_rudely()


def judge(latencies: list[float]) -> None:
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    print(f"  closed after p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {max(latencies):.2f} ms over {len(latencies)} rounds")
    assert p99 <= BAR_MS


@pytest.fixture(scope="module")
def house(long_stage):
    """A scripted worker that stays silent or decodes for ever, behind one replica."""
    worker: ScriptedWorker = long_stage.worker("scripted-1")
    replica = long_stage.replica([worker.node(max_concurrency=8)])
    replica.worker = worker
    return replica


def silent(visit) -> None:
    visit.wait_closed()


def decoding(visit) -> None:
    """A head and one event, then silence: the next write would notice anyway, so none comes."""
    visit.send_stream_head()
    visit.send_chunk(content("so"))
    visit.wait_closed()


def half_a_plain_answer(visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{\"id\":")
    visit.wait_closed()


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("phase, stream, script", [
    ("prefill", False, silent), ("prefill", True, silent), ("decode", True, decoding), ("decode", False, half_a_plain_answer)])
def test_the_worker_sees_the_close(house, phase, stream, script, how):
    house.worker.script = script
    house.worker.forget()
    latencies = []
    for number in range(1, ROUNDS + 1):
        connection = RawConnection(house.port)
        connection.post(CHAT, body(stream), house.key)
        visit = house.worker.visit(number)
        if phase == "decode":
            connection.read_until(b"so" if stream else b'{"id":')
        left = leave(connection, how)
        until("the worker sees the close", lambda: visit.closed_ns, 5, every=0.0005)
        latencies.append((visit.closed_ns - left) / 1e6)
    judge(latencies)
    until("no exchange is open", lambda: house.metric_sum("starling_in_flight") == 0)


@pytest.fixture(scope="module")
def assembling_house(long_stage):
    """A worker that does not notice a lost plain client: it is asked for streams, and plain answers are made of them."""
    worker: ScriptedWorker = long_stage.worker("scripted-2", kind="mlx_lm")
    replica = long_stage.replica([worker.node(max_concurrency=8)])
    until("it has proved itself", lambda: json.loads(replica.get("/admin/workers/scripted-2")[2])["state"] == "healthy")
    replica.worker = worker
    return replica


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("said", [None, b": keepalive 2048/6000\n\n", content("so")], ids=["head", "prefill", "decode"])
def test_the_worker_sees_the_close_of_an_assembled_answer(assembling_house, said, how):
    """The client has had no byte and will have none before the end, so only its connection tells that it left."""
    house = assembling_house
    sent = threading.Semaphore(0)

    def observed(visit):
        if b"Are you there?" in visit.body:
            return answer_plainly(visit)
        if said:
            visit.send_stream_head()
            visit.send_chunk(said)
        told.append(visit)
        sent.release()
        visit.wait_closed()

    house.worker.script = observed
    latencies = []
    for _ in range(ROUNDS):
        told = []
        connection = RawConnection(house.port)
        connection.post(CHAT, body(False), house.key)
        assert sent.acquire(timeout=10)
        visit, = told
        assert visit.json()["stream"] is True
        left = leave(connection, how)
        until("the worker sees the close", lambda: visit.closed_ns, 5, every=0.0005)
        latencies.append((visit.closed_ns - left) / 1e6)
    judge(latencies)
    until("no exchange is open", lambda: house.metric_sum("starling_in_flight") == 0)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_leaving_under_tls(stage, certificate, stream):
    """The two-step ending of TLS, and a client that does not say goodbye."""
    import ssl
    worker = stage.worker(script=silent)
    replica = stage.replica([worker], {"server": {"tls": {"certificate": str(certificate[0]), "key": str(certificate[1])}}})
    trust = ssl.create_default_context(cafile=certificate[0])
    latencies = []
    for number in range(1, 31):
        connection = RawConnection(replica.port, tls=trust)
        connection.post(CHAT, body(stream), replica.key)
        visit = worker.visit(number)
        left = leave(connection, "FIN")
        until("the worker sees the close", lambda: visit.closed_ns, 5, every=0.0005)
        latencies.append((visit.closed_ns - left) / 1e6)
    judge(latencies)


def test_leaving_under_http2(stage, certificate):
    """RST_STREAM on one stream; its neighbour on the same connection goes on."""
    import ssl

    import h2.connection
    import h2.events

    def two_ways(visit):
        if b"neighbour" in visit.body:
            visit.send_stream_head()
            visit.send_chunk(content("so"))
            until("the other one was left", lambda: done, 10)
            visit.send_chunk(content("on") + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
            visit.end_chunks()
        else:
            visit.wait_closed()

    done: list[bool] = []
    worker = stage.worker(script=two_ways)
    replica = stage.replica([worker], {"server": {"tls": {"certificate": str(certificate[0]), "key": str(certificate[1])}}})
    trust = ssl.create_default_context(cafile=certificate[0])
    trust.set_alpn_protocols(["h2"])
    raw = trust.wrap_socket(socket.create_connection(("127.0.0.1", replica.port), timeout=20), server_hostname="localhost")
    assert raw.selected_alpn_protocol() == "h2"
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    raw.sendall(connection.data_to_send())
    fields = [(":method", "POST"), (":path", CHAT), (":scheme", "https"), (":authority", "localhost"),
              ("authorization", f"Bearer {replica.key}"), ("content-type", "application/json")]
    connection.send_headers(1, fields)
    connection.send_data(1, body(True, "neighbour"), end_stream=True)
    raw.sendall(connection.data_to_send())
    worker.visit(1)
    latencies, received, ended = [], b"", False
    for number in range(30):
        stream = 3 + 2 * number
        connection.send_headers(stream, fields)
        connection.send_data(stream, body(number % 2 == 0), end_stream=True)
        raw.sendall(connection.data_to_send())
        visit = worker.visit(2 + number)
        connection.reset_stream(stream, error_code=8)
        left = time.monotonic_ns()
        raw.sendall(connection.data_to_send())
        until("the worker sees the close", lambda: visit.closed_ns, 5, every=0.0005)
        latencies.append((visit.closed_ns - left) / 1e6)
    done.append(True)
    while not ended:
        for event in connection.receive_data(raw.recv(65536)):
            if isinstance(event, h2.events.DataReceived):
                received += event.data
            ended = ended or isinstance(event, h2.events.StreamEnded)
        raw.sendall(connection.data_to_send())
    raw.close()
    assert received.endswith(b"data: [DONE]\n\n")
    judge(latencies)


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_leaving_the_queue(stage, how, stream):
    """The only slot is taken. Who waits and leaves is gone from the queue, and the worker never hears of them."""
    worker = stage.worker(script=silent)
    replica = stage.replica([worker.node(max_concurrency=1)])
    with RawConnection(replica.port) as holder:
        holder.post(CHAT, body(True, "holder"), replica.key)
        worker.visit(1)
        judge(_leave_and_read_the_log(replica, how, stream, rounds=40))
        assert len(worker.visits) == 1, "nobody who left the queue reached the worker"
    until("no exchange is open", lambda: replica.metric_sum("starling_in_flight") == 0)


def test_leaving_during_a_load(stage):
    """The worker says that it loads, so clients wait here. Who leaves aborts nothing there: it never heard of them."""
    worker = stage.worker(kind="llama_cpp", probe_status=503)
    replica = stage.replica([worker])
    assert json.loads(replica.get(f"/admin/workers/{worker.name}")[2])["state"] == "loading"
    ways = itertools.product(("FIN", "RST"), (False, True))
    judge([latency for how, stream in ways for latency in _leave_and_read_the_log(replica, how, stream, rounds=40)])
    assert not worker.visits
    until("no exchange is open", lambda: replica.metric_sum("starling_in_flight") == 0)
    worker.probe_status = 200
    assert replica.post(CHAT, body(False))[0] == 200, "the load ended well"


@pytest.mark.skipif(sys.platform != "linux", reason="a full accept queue drops connects silently on Linux only")
@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_leaving_while_connecting(stage, how, stream, host):
    """The worker's accept queue is full, so the connect hangs. Who leaves takes the attempt along."""
    worker = stage.worker()
    replica = stage.replica([worker.node(host=host)], {"load_balancing": {"connect_seconds": 30, "probe_interval_seconds": 300}})
    with BlackHole(worker):
        latencies = _leave_and_read_the_log(replica, how, stream, rounds=20, seconds_before=0.02)
        judge(latencies)
        until("no exchange is open", lambda: replica.metric_sum("starling_in_flight") == 0)
        until("no attempt hangs on", lambda: dials_to(worker.port, replica.child.pid) == 0, 1)


def dials_to(port: int, process: int) -> int:
    """Connects of a process to a port of this machine that nobody has answered yet."""
    sockets = set()
    for name in os.listdir(f"/proc/{process}/fd"):
        with contextlib.suppress(FileNotFoundError):
            sockets.add(os.readlink(f"/proc/{process}/fd/{name}"))
    rows = [line.split() for table in ("tcp", "tcp6") for line in open(f"/proc/{process}/net/{table}").readlines()[1:]]
    syn_sent = "02"
    return sum(row[2].endswith(f":{port:04X}") and row[3] == syn_sent and f"socket:[{row[9]}]" in sockets for row in rows)


class BlackHole:
    """In the place of a worker's listener, one that never accepts and whose queue is full."""

    def __init__(self, worker: ScriptedWorker) -> None:
        self.worker = worker

    def __enter__(self) -> None:
        self.worker.stop()
        until("the worker's port is free", self._takes_its_place, 10)
        self.fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.worker.port))
            self.fillers.append(filler)

    def _takes_its_place(self) -> bool:
        try:
            self.listener = socket.create_server(("127.0.0.1", self.worker.port), backlog=0)
            return True
        except OSError:
            return False

    def __exit__(self, *_) -> None:
        for filler in self.fillers:
            filler.close()
        self.listener.close()


def _leave_and_read_the_log(replica, how: str, stream: bool, rounds: int, seconds_before: float = 0) -> list[float]:
    """Ask, wait until the exchange is under way, leave; the time until its access line says `cancelled`."""
    latencies = []
    for number in range(rounds):
        name = f"leaver-{how}-{stream}-{number}"
        open_before = replica.metric_sum("starling_in_flight")
        connection = RawConnection(replica.port)
        connection.post(CHAT, body(stream), replica.key, (f"x-request-id: {name}",))
        until("the exchange is open", lambda: replica.metric_sum("starling_in_flight") > open_before, 5, every=0.002)
        mark = replica.child.mark()
        left = leave(connection, how)
        line = replica.child.line_where(lambda line: name in line.text, since=mark, seconds=5, what=f"the access line of {name}")
        assert line.json()["outcome"] == "cancelled", line.text
        latencies.append((line.at_ns - left) / 1e6)
    return latencies


@pytest.mark.timeout(900)
def test_random_aborts_leave_nothing_behind(stage):
    """Thousands of clients leave at random moments. After that: nothing open, nothing queued, no memory kept."""
    sims = [stage.simulator(f"sim-{kind}", kind=kind, time_scale=20, models=("m",)) for kind in ("mlx_lm", "llama_cpp", "openai")]
    replica = stage.replica(sims, {"load_balancing": {"strategy": "least_connections", "queue_seconds": 20}})
    generator = random.Random(7)
    wave(replica, max(1000, ABORTS // 4), generator)
    before = replica.child.resident_kib()
    wave(replica, ABORTS, generator)
    after = replica.child.resident_kib()
    print(f"  resident {before} KiB before, {after} KiB after {ABORTS} aborts")
    assert after <= before * 1.05
    nothing_is_held(replica, sims)


@pytest.mark.timeout(900)
def test_random_aborts_of_plain_requests_leave_nothing_behind(stage):
    """Of workers that would not notice: the answers are assembled, so each departure closes a stream."""
    sims = [stage.simulator(f"sim-{kind}", kind=kind, time_scale=4, models=("m",), slots=16) for kind in ("mlx_lm", "llama_cpp")]
    replica = stage.replica(sims, {"load_balancing": {"strategy": "least_connections", "queue_seconds": 20}})
    wave(replica, PLAIN_ABORTS, random.Random(8), streams=0)
    nothing_is_held(replica, sims)
    left = sum(sim.state()["counters"]["left"] for sim in sims)
    print(f"  {left} of {PLAIN_ABORTS} left while a worker computed for them")
    assert left > PLAIN_ABORTS / 20, "too few reached a worker: the test shows nothing"


def wave(replica, count: int, generator: random.Random, streams: float = 0.6) -> None:
    asyncio.run(_abort_many(replica.port, replica.key, count, generator, streams))
    until("no exchange is open", lambda: replica.metric_sum("starling_in_flight") == 0, 30)


def nothing_is_held(replica, sims) -> None:
    """No slot, no ticket, no tokens reserved, on either side; and the next request is served."""
    for sim in sims:
        until(f"{sim.name} is idle", lambda: not any_running(sim.state()) and not sim.state()["queued"], 30)
    until("no slot of ours is taken", lambda: replica.metric_sum("starling_worker_running") == 0)
    assert replica.metric_sum("starling_queued") == 0
    for worker in json.loads(replica.get("/admin/workers")[2])["data"]:
        assert (worker["running"], worker["prompt_tokens_ahead"], worker["output_tokens_ahead"]) == (0, 0, 0), worker
    assert replica.metric_sum("starling_faults_total") == 0, "no rule of our own was broken"
    assert replica.post(CHAT, body(False, max_tokens=4))[0] == 200


def any_running(state: dict) -> bool:
    """Whether a simulated worker still computes for anybody."""
    running = state.get("running", state.get("slots", 0))
    return bool([slot for slot in running if slot.get("phase") not in (None, "idle")] if isinstance(running, list) else running)


async def _abort_many(port: int, key: str, count: int, generator: random.Random, streams: float, at_once: int = 48) -> None:
    gate = asyncio.Semaphore(at_once)

    async def one(number: int, wait: float, stream: bool, rude: bool, tokens: int) -> None:
        async with gate:
            payload = body(stream, f"abort {number} " + "word " * (number % 50), max_tokens=tokens)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
                         f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload)
            try:
                async with asyncio.timeout(wait):
                    while await reader.read(65536):
                        pass
            except (TimeoutError, ConnectionError):
                pass
            if rude:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()

    await asyncio.gather(*(
        one(number, generator.random() * 0.25, generator.random() < streams, generator.random() < 0.5, generator.randint(1, 400))
        for number in range(count)))
