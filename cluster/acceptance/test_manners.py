"""Manners in flight: keepalives, queue, ids, log, stop, CORS, hosts, limits, smuggling, reload, metrics."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from flock.patience import until
from raw_client import RawConnection
from scripted_worker import ANSWER, DONE, FINISH, Script, ScriptedWorker, answer_plainly, content

CHAT = "/v1/chat/completions"
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
BODY = json.dumps(HELLO).encode()
STREAM = json.dumps(HELLO | {"stream": True}).encode()


@pytest.fixture(scope="module")
def house(long_stage):
    """A scripted worker behind a replica with quick clocks, shared by the tests that leave it as it was."""
    worker: ScriptedWorker = long_stage.worker("scripted-1")
    replica = long_stage.replica([worker], {
        "server": {"keepalive_after_seconds": 0.3, "keepalive_interval_seconds": 0.2, "max_body_mb": 1,
                   "header_bytes_max": 8192, "cors": {"allowed_origins": ["https://chat.example"]}},
        "load_balancing": {"stall_seconds": 1}})
    replica.worker = worker
    return replica


@pytest.fixture(autouse=True)
def good_manners_again(request):
    yield
    if "house" in request.fixturenames:
        request.getfixturevalue("house").worker.script = answer_plainly


def error_of(body: bytes) -> dict:
    error = json.loads(body)["error"]
    assert set(error) >= {"message", "type", "param", "code"}, "OpenAI's shape"
    return error


def access_line(replica, name: str, since: int = 0) -> dict:
    return replica.child.line_where(lambda line: line.json().get("request_id") == name, since=since,
                                    what=f"the access line of {name}").json()


# Keepalive and the stall watchdog

def test_keepalive_while_waiting(house):
    """From keepalive_after on a waiting stream gets comments; the answer follows untouched."""
    go = threading.Event()

    def slow(visit):
        go.wait(10)
        answer_plainly(visit)

    house.worker.script = slow
    with RawConnection(house.port) as connection:
        connection.post(CHAT, STREAM, house.key)
        head = connection.read_head()
        assert head.status == 200 and head.get("content-type").startswith("text/event-stream")
        assert head.get("x-accel-buffering") == "no"
        early = connection.read_chunk() + connection.read_chunk()
        go.set()
        body = early
        while chunk := connection.read_chunk():
            body += chunk
    comments = [line for line in body.split(b"\n\n") if line.startswith(b":")]
    assert len(comments) >= 2
    assert early.startswith(b":")
    assert body.endswith(DONE)


def test_a_quick_failure_stays_an_http_error(house):
    refusal = b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}'
    house.worker.script = lambda visit: visit.send_plain(refusal, "400 Bad Request")
    assert house.post(CHAT, STREAM)[0] == 400


def test_a_late_failure_is_an_error_event(house):
    """After the early 200 a failure cannot be a status any more."""

    def late(visit):
        until("the client has its 200", lambda: begun, 10)
        visit.send_plain(b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}', "400 Bad Request")

    begun: list[bool] = []
    house.worker.script = late
    with RawConnection(house.port) as connection:
        connection.post(CHAT, STREAM, house.key)
        head = connection.read_head()
        begun.append(True)
        body = connection.read_body(head)
    assert head.status == 200
    assert b'data: {"error":' in body


def test_plain_answers_get_no_keepalive(house):
    go = threading.Event()

    def slow(visit):
        go.wait(10)
        visit.send_plain(ANSWER)

    house.worker.script = slow
    timer = threading.Timer(0.8, go.set)
    timer.start()
    assert house.post(CHAT, BODY)[2] == ANSWER


def test_stall_watchdog(house):
    """Content came, then nothing: after stall_seconds an error event, and the worker's connection is closed."""

    def stalling(visit):
        visit.send_stream_head()
        visit.send_chunk(content("so"))
        visit.wait_closed()

    house.worker.script = stalling
    house.worker.forget()
    begun = time.monotonic()
    status, _, body = house.post(CHAT, STREAM)
    assert status == 200 and b'"so"' in body and b'data: {"error":' in body
    assert 0.8 < time.monotonic() - begun < 10
    until("the worker's connection was closed", lambda: house.worker.visits[0].closed_ns)


# Queue

def test_queue_is_bounded_and_honest(stage):
    """One slot, one place in the queue: the third is refused at once, the second after queue_seconds."""
    worker = stage.worker(script=lambda visit: visit.wait_closed())
    replica = stage.replica([worker.node(max_concurrency=1)],
                            {"load_balancing": {"queue_per_model_max": 1, "queue_seconds": 2}})
    with RawConnection(replica.port) as holder, RawConnection(replica.port) as waiter:
        holder.post(CHAT, BODY, replica.key)
        worker.visit(1)
        begun = time.monotonic()
        waiter.post(CHAT, BODY, replica.key)
        until("the second one waits", lambda: replica.metric_sum("starling_in_flight") == 2)
        status, fields, body = replica.post(CHAT, BODY)
        assert status in (429, 503)
        assert time.monotonic() - begun < 1.5, "a full queue refuses at once"
        assert int(fields["retry-after"]) >= 1
        assert fields["x-should-retry"] == "true"
        error_of(body)
        late = waiter.read_answer()
        assert late.status == 503
        assert 1.5 < time.monotonic() - begun < 6
        assert int(late.head.get("retry-after")) >= 1
        assert late.head.get("x-should-retry") == "true"
    assert len(worker.visits) == 1


def test_queue_serves_in_order(stage):
    """A freed slot goes to who waits; the wait is told."""
    gates = [threading.Event() for _ in range(3)]

    def one_by_one(visit):
        gates[visit.number - 1].wait(10)
        visit.send_plain(ANSWER)

    worker = stage.worker(script=one_by_one)
    replica = stage.replica([worker.node(max_concurrency=1)])
    connections = [RawConnection(replica.port) for _ in range(3)]
    for number, connection in enumerate(connections):
        connection.post(CHAT, BODY, replica.key, (f"x-request-id: place-{number}",))
        until("it is open", lambda: replica.metric_sum("starling_in_flight") == number + 1)
    waits = []
    for gate, connection in zip(gates, connections):
        gate.set()
        answer = connection.read_answer()
        assert answer.status == 200
        waits.append(float(answer.head.get("x-starling-queue-ms")))
        connection.socket.close()
    assert [visit.get("x-request-id") for visit in worker.visits] == ["place-0", "place-1", "place-2"]
    assert waits[2] >= waits[0]


# Ids and traces

def test_request_id_in_and_out(house):
    house.worker.forget()
    _, fields, _ = house.post(CHAT, BODY, {"x-request-id": "abc-123"})
    assert fields["x-request-id"] == "abc-123"
    assert house.worker.visit(1).get_all("x-request-id") == ["abc-123"]
    _, made, _ = house.post(CHAT, BODY)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{8,128}", made["x-request-id"])
    assert house.worker.visit(2).get("x-request-id") == made["x-request-id"]


def test_an_unreasonable_request_id_is_replaced(house):
    _, fields, _ = house.post(CHAT, BODY, {"x-request-id": "x" * 3000})
    assert len(fields["x-request-id"]) <= 200


def test_traceparent(house):
    """The trace goes on; the span is ours or the client's, never a malformed one."""
    house.worker.forget()
    trace = "0af7651916cd43dd8448eb211c80319c"
    house.post(CHAT, BODY, {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "tracestate": "a=b"})
    passed = house.worker.visit(1).get("traceparent")
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", passed)
    assert house.worker.visit(1).get("tracestate") == "a=b"
    house.post(CHAT, BODY, {"traceparent": "00-zz-01"})
    broken = house.worker.visit(2).get("traceparent")
    assert broken is None or re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", broken)


def test_the_clients_credentials_stay_here(house):
    house.worker.forget()
    house.post(CHAT, BODY, {"Cookie": "session=1", "Accept-Encoding": "gzip"})
    visit = house.worker.visit(1)
    for name in ("authorization", "cookie", "accept-encoding"):
        assert visit.get(name) is None, f"{name} reached the worker"
    assert house.key.encode() not in visit.head


def test_the_workers_own_key_is_sent(stage):
    worker = stage.worker()
    replica = stage.replica([worker.node(api_key="sk-worker-1")])
    assert replica.post(CHAT, BODY)[0] == 200
    assert worker.visit(1).get_all("authorization") == ["Bearer sk-worker-1"]


# Access log

def test_one_access_line_for_each_exchange(house):
    """Every exit path leaves exactly one line, and it says how the exchange ended."""
    mark = house.child.mark()
    house.post(CHAT, BODY, {"x-request-id": "log-plain"})
    house.post(CHAT, STREAM, {"x-request-id": "log-stream"})
    house.request("POST", CHAT, BODY, {"x-request-id": "log-no-key"}, key=None)
    house.post(CHAT, json.dumps(HELLO | {"model": "absent"}), {"x-request-id": "log-no-model"})
    house.post(CHAT, b"{not json", {"x-request-id": "log-not-json"})
    house.post(CHAT, b" " * 1_100_000, {"x-request-id": "log-too-large"})
    house.worker.script = lambda visit: visit.send_plain(
        b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}', "400 Bad Request")
    house.post(CHAT, BODY, {"x-request-id": "log-rejected"})
    house.worker.script = lambda visit: (visit.send_stream_head(), visit.send_chunk(content("so")))
    house.post(CHAT, STREAM, {"x-request-id": "log-truncated"})
    house.worker.script = lambda visit: visit.wait_closed()
    leaver = RawConnection(house.port)
    leaver.post(CHAT, BODY, house.key, ("x-request-id: log-left",))
    until("the exchange is open", lambda: house.metric_sum("starling_in_flight") == 1)
    leaver.leave()
    expected = {
        "log-plain": ("answered", 200), "log-stream": ("answered", 200), "log-no-key": ("unauthorized", 401),
        "log-no-model": ("model_not_found", 404), "log-not-json": ("invalid", 400), "log-too-large": ("invalid", 413),
        "log-rejected": ("rejected", 400), "log-truncated": ("truncated", 200), "log-left": ("cancelled", None)}
    lines = {name: access_line(house, name, mark) for name in expected}
    for name, (outcome, status) in expected.items():
        assert lines[name]["outcome"] == outcome, lines[name]
        if status:
            assert lines[name]["status"] == status, lines[name]
    house.worker.script = answer_plainly
    house.post(CHAT, BODY, {"x-request-id": "log-last"})
    access_line(house, "log-last", mark)
    for name in expected:
        count = sum(line.json().get("request_id") == name for line in house.child.lines_since(mark))
        assert count == 1, f"{name} has {count} lines"


def test_access_line_facts(house):
    mark = house.child.mark()

    def with_usage(visit):
        visit.send_stream_head()
        usage = b'data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\n'
        for piece in (content("a"), content("b"), FINISH, usage, DONE):
            visit.send_chunk(piece)
        visit.end_chunks()

    house.worker.script = with_usage
    house.post(CHAT, STREAM, {"x-request-id": "log-facts"})
    line = access_line(house, "log-facts", mark)
    assert line["model"] == "m" and line["worker"] == "scripted-1" and line["attempts"] == 1
    assert line["events"] == 2
    assert (line["prompt_tokens"], line["completion_tokens"]) == (7, 2)
    assert 0 <= line["ttft_ms"] <= line["duration_ms"]
    text = json.dumps(line)
    assert "hello" not in text, "prompts are not logged"
    assert house.key not in text


def halting_stream() -> tuple[threading.Event, Script]:
    """A script whose streams begin and wait, and what lets them go on to their proper end."""
    go = threading.Event()

    def script(visit):
        visit.send_stream_head()
        visit.send_chunk(content("so"))
        go.wait(20)
        visit.send_chunk(FINISH + DONE)
        visit.end_chunks()

    return go, script


# Graceful stop

def test_graceful_stop(stage):
    """SIGTERM: not ready first, the running stream ends well, then exit code 0."""
    go, slow = halting_stream()
    worker = stage.worker(script=slow)
    replica = stage.replica([worker])
    probe = RawConnection(replica.port)
    with RawConnection(replica.port) as connection:
        connection.post(CHAT, STREAM, replica.key)
        head = connection.read_head()
        body = connection.read_chunk()
        replica.child.send(signal.SIGTERM)
        probe.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            assert probe.read_answer().status == 503
        except (AssertionError, ConnectionError):
            pass                                   # the idle connection may have been closed first, which says the same
        assert replica.child.is_running
        go.set()
        while chunk := connection.read_chunk():
            body += chunk
    assert head.status == 200 and body.endswith(DONE) and b'"error"' not in body
    assert replica.child.process.wait(10) == 0


def begin_and_wait(visit) -> None:
    """A stream that begins and is never over by itself."""
    visit.send_stream_head()
    visit.send_chunk(content("so"))
    visit.wait_closed()


def test_readyz_says_503_before_the_door_closes(stage):
    """Balancers get their notice: while the listener still answers, /readyz is 503 and /livez 200."""
    worker = stage.worker(script=begin_and_wait)
    replica = stage.replica([worker], {"server": {"drain_seconds": 4}})
    with RawConnection(replica.port) as connection:
        connection.post(CHAT, STREAM, replica.key)
        connection.read_head()
        replica.child.send(signal.SIGTERM)

        def readiness() -> int:
            try:
                return replica.get("/readyz")[0]
            except OSError:
                return -1

        statuses = []
        until("/readyz stops being 200", lambda: statuses.append(readiness()) or statuses[-1] != 200, 5)
        assert statuses[-1] == 503, f"the door closed before anybody could read it: {statuses}"


def test_drain_deadline_ends_streams_truthfully(stage):
    worker = stage.worker(script=begin_and_wait)
    replica = stage.replica([worker], {"server": {"drain_seconds": 1}})
    with RawConnection(replica.port) as connection:
        connection.post(CHAT, STREAM, replica.key)
        head = connection.read_head()
        replica.child.send(signal.SIGTERM)
        body = connection.read_body(head)
    assert b'data: {"error":' in body, "the client is told that its stream was ended"
    assert replica.child.process.wait(10) == 0


def test_second_signal_ends_at_once(stage):
    worker = stage.worker(script=begin_and_wait)
    replica = stage.replica([worker], {"server": {"drain_seconds": 60}})
    with RawConnection(replica.port) as connection:
        connection.post(CHAT, STREAM, replica.key)
        connection.read_head()
        replica.child.send(signal.SIGTERM)
        until("the stop has begun", lambda: replica.child.lines_since(0) and any(
            "SIGTERM" in line.text or "stop" in line.text or "drain" in line.text for line in replica.child.lines_since(0)), 5)
        begun = time.monotonic()
        replica.child.send(signal.SIGTERM)
        replica.child.process.wait(5)
    assert time.monotonic() - begun < 3


# CORS, hosts, addresses

def test_cors(house):
    preflight = {"Origin": "https://chat.example", "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "authorization, content-type"}
    status, fields, _ = house.request("OPTIONS", CHAT, headers=preflight, key=None)
    assert status in (200, 204)
    assert fields["access-control-allow-origin"] == "https://chat.example"
    assert "authorization" in fields["access-control-allow-headers"].lower()
    assert "POST" in fields["access-control-allow-methods"]
    assert "origin" in fields["vary"].lower()
    for path, method, body in ((CHAT, "POST", BODY), (CHAT, "POST", b"{"), ("/v1/models", "GET", None)):
        _, fields, _ = house.request(method, path, body, {"Origin": "https://chat.example"})
        assert fields.get("access-control-allow-origin") == "https://chat.example", f"{method} {path} {body}"
        _, fields, _ = house.request(method, path, body, {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in fields


def test_trusted_hosts(stage):
    worker = stage.worker()
    replica = stage.replica([worker], {"server": {"trusted_hosts": ["gateway.lan", "*.studio.lan"]}}, wait_ready=False)

    def status(host: str, path: str = CHAT) -> int:
        with RawConnection(replica.port) as connection:
            method = b"GET" if path != CHAT else b"POST"
            connection.send(method + f" {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {replica.key}\r\n"
                            f"Content-Type: application/json\r\nContent-Length: {len(BODY) if path == CHAT else 0}\r\n\r\n".encode()
                            + (BODY if path == CHAT else b""))
            return connection.read_answer().status

    until("the worker is healthy", lambda: status("gateway.lan") == 200)
    assert status("gateway.lan:8000") == 200
    assert status("GATEWAY.LAN") == 200
    assert status("a.studio.lan") == 200
    worker.forget()
    for host in ("evil.example", "gateway.lan.evil.example", "xstudio.lan", "", "gateway.lan@evil.example"):
        assert status(host) in (400, 421), host
        assert status(host, "/v1/models") in (400, 421), host
    assert not worker.visits


@pytest.mark.parametrize("trusted, sent, passed", [
    ([], "203.0.113.9", "127.0.0.1"),
    (["127.0.0.1/32"], "203.0.113.9", "203.0.113.9, 127.0.0.1"),
    # What stands before the first address we do not trust is that address's own word, and goes no further.
    (["127.0.0.0/8"], "198.51.100.1, 203.0.113.9", "203.0.113.9, 127.0.0.1"),
    (["10.0.0.0/8"], "203.0.113.9", "127.0.0.1")])
def test_forwarded_for_only_from_trusted_proxies(stage, trusted, sent, passed):
    worker = stage.worker()
    replica = stage.replica([worker], {"server": {"trusted_proxies": trusted}})
    mark = replica.child.mark()
    fields = {"X-Forwarded-For": sent, "X-Forwarded-Proto": "https", "Forwarded": "for=1.2.3.4", "x-request-id": "xff-1"}
    assert replica.post(CHAT, BODY, fields)[0] == 200
    visit = worker.visit(1)
    assert ", ".join(visit.get_all("x-forwarded-for")).replace(" ", "") == passed.replace(" ", "")
    line = access_line(replica, "xff-1", mark)
    assert line["client"] == ("203.0.113.9" if passed.startswith(("203", "198")) else "127.0.0.1")


# Limits and shapes

def test_body_limit(house):
    body = b'{"model":"m","x":"' + b"a" * 1_100_000 + b'"}'
    status, _, answer = house.post(CHAT, body)
    assert status == 413
    error_of(answer)
    with RawConnection(house.port) as connection:
        connection.send(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {house.key}\r\n"
                        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        try:
            connection.send(b'6\r\n{"x":"\r\n')
            for _ in range(40):
                connection.send(b"8000\r\n" + b"a" * 0x8000 + b"\r\n")
        except ConnectionError:
            pass
        assert connection.read_head().status == 413


def test_a_body_at_the_limit_passes(house):
    room = 1_048_576 - len(BODY) - len(b',"x":""')
    body = BODY[:-1] + b',"x":"' + b"a" * room + b'"}'
    assert len(body) == 1_048_576
    assert house.post(CHAT, body)[0] == 200
    assert house.post(CHAT, body[:-2] + b'a"}')[0] == 413


def test_header_limit(house):
    status = house.post(CHAT, BODY, {"x-long": "a" * 9000})[0]
    assert status == 431
    assert house.post(CHAT, BODY, {"x-long": "a" * 4000})[0] == 200


@pytest.mark.parametrize("body", [
    b'{"model":"m","messages":[{"role":"user","content":"\xff\xfe"}]}',
    b'{"model":"m","messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
    b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
    b'{"model":"m","x":' + b"[" * 200 + b"]" * 200 + b',"messages":[{"role":"user","content":"a"}]}',
    b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"model":"m","messages":[{"role":"user","content":"a"}]} trailing',
    b'{"model":"m","temperature":NaN,"messages":[{"role":"user","content":"a"}]}',
    b'{"model":"m","model":"m2","messages":[{"role":"user","content":"a"}]}',
    b'["model"]', b'"model"', b"{", b""],
    ids=["not-utf8", "utf8-surrogate", "lone-surrogate", "deep", "very-deep", "trailing", "nan", "duplicate", "array", "string",
         "cut", "empty"])
def test_bodies_that_no_worker_must_see(house, body):
    house.worker.forget()
    status, _, answer = house.post(CHAT, body)
    assert status == 400, answer
    error_of(answer)
    assert not house.worker.visits


def raw_status(house, request: bytes) -> int | None:
    """The status of a raw request, or None if the connection is closed without one."""
    with RawConnection(house.port, seconds=5) as connection:
        connection.send(request)
        try:
            return connection.read_head().status
        except (AssertionError, ConnectionError, TimeoutError):
            return None


@pytest.mark.parametrize("fields, body", [
    (["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\nPOST"),
    (["Content-Length: 5", "Content-Length: 6"], b"hello!"),
    (["Content-Length: +5"], b"hello"),
    (["Content-Length: 5, 5"], b"hello"),
    (["Content-Length: 0x5"], b"hello"),
    (["Content-Length: -1"], b""),
    (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    (["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
    (["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    (["Host: other", "Content-Length: 0"], b""),
    (["x-folded: a\r\n b", "Content-Length: 0"], b""),
    (["x\x00y: a", "Content-Length: 0"], b"")],
    ids=["both-lengths", "two-lengths", "plus", "list", "hex", "negative", "odd-coding", "coding-list", "space-before-colon",
         "two-hosts", "folded", "nul"])
def test_smuggling_shapes(house, fields, body):
    """What two servers could read in two ways is refused, and the connection does not live on."""
    house.worker.forget()
    head = [f"POST {CHAT} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {house.key}", "Content-Type: application/json", *fields]
    second = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {house.key}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    status = raw_status(house, "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body + second)
    assert status is None or status in (400, 501), status
    assert not house.worker.visits, "what came behind the odd request was not taken for a request"


def test_pipelined_requests_are_answered_in_order(house):
    def request(name: str) -> bytes:
        return (f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {house.key}\r\nx-request-id: {name}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n").encode() + BODY

    routed = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + house.key.encode() + b"\r\n\r\n"
    with RawConnection(house.port) as connection:
        connection.send(request("first") + routed + request("second") + routed + request("third"))
        answers = [connection.read_answer() for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    assert [answers[place].head.get("x-request-id") for place in (0, 2, 4)] == ["first", "second", "third"]
    assert answers[1].body == answers[3].body != ANSWER


def test_expect_continue(house):
    with RawConnection(house.port) as connection:
        connection.send(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {house.key}\r\nExpect: 100-continue\r\n"
                        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode())
        assert connection.read_head(skip_informational=False).status == 100
        connection.send(BODY)
        assert connection.read_answer().body == ANSWER


def test_http10_client(house):
    """An old client gets no chunks and an end of the connection."""
    with RawConnection(house.port) as connection:
        connection.send(f"POST {CHAT} HTTP/1.0\r\nAuthorization: Bearer {house.key}\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(STREAM)}\r\n\r\n".encode() + STREAM)
        head = connection.read_head()
        assert head.get("transfer-encoding") is None
        assert connection.read_body(head).endswith(DONE)


def test_a_connection_serves_many_requests(house):
    with RawConnection(house.port) as connection:
        for number in range(50):
            connection.post(CHAT, STREAM if number % 2 else BODY, house.key)
            assert connection.read_answer().status == 200


# The other routes

@pytest.mark.parametrize("path", ["/", "/health", "/livez", "/readyz", "/metrics", "/v1/models", "/v1/models/m", "/v1/cluster/status"])
def test_other_routes_answer(house, path):
    status, _, body = house.get(path)
    assert status == 200 and body


def test_unknown_route_is_404_in_openai_shape(house):
    status, _, body = house.get("/v1/no/such/route")
    assert status == 404
    error_of(body)


def test_cluster_status_tells_the_workers(house):
    text = house.get("/v1/cluster/status")[2].decode()
    assert "scripted-1" in text and "gw-test" in text
    assert house.key not in text


def test_status_needs_a_key(house):
    for path in ("/v1/models", "/v1/cluster/status"):
        assert house.get(path, key=None)[0] == 401


# Reload

def reload_by_signal(replica) -> None:
    replica.child.send(signal.SIGHUP)


def reload_by_request(replica) -> None:
    replica.request("POST", "/admin/config/reload", "{}")


@pytest.mark.parametrize("reload", [reload_by_signal, reload_by_request])
def test_reload_adds_a_worker_and_drops_no_stream(stage, reload):
    go, slow = halting_stream()
    first, second = stage.worker("first", script=slow), stage.worker("second", models=("m", "m2"))
    replica = stage.replica([first])
    with RawConnection(replica.port) as connection:
        connection.post(CHAT, STREAM, replica.key)
        head = connection.read_head()
        body = connection.read_chunk()
        assert replica.post(CHAT, json.dumps(HELLO | {"model": "m2"}))[0] == 404
        replica.write_config(replica.settings | {"cluster_nodes": [first.node(), second.node()]})
        reload(replica)
        until("the new model is served", lambda: replica.post(CHAT, json.dumps(HELLO | {"model": "m2"}))[0] == 200)
        go.set()
        while chunk := connection.read_chunk():
            body += chunk
    assert head.status == 200 and body.endswith(DONE) and b'"error"' not in body


@pytest.mark.parametrize("broken", ["server: {prot: 8000}\n", "server: [\n", "load_balancing: {strategy: fastest}\n"])
def test_a_bad_file_keeps_the_old_settings(stage, broken):
    worker = stage.worker()
    replica = stage.replica([worker])
    mark = replica.child.mark()
    replica.config.write_text(broken)
    status, _, body = replica.request("POST", "/admin/config/reload", "{}")
    assert status in (400, 409, 422)
    place = "gateway.yaml:2" if broken.endswith("[\n") else "gateway.yaml:1"
    assert place in error_of(body)["message"]
    replica.child.send(signal.SIGHUP)
    replica.child.line_where(lambda line: place in line.text, since=mark, what="a line that says what is wrong with the file")
    assert replica.post(CHAT, BODY)[0] == 200


def test_reload_needs_the_admin_key(house):
    assert house.request("POST", "/admin/config/reload", "{}", key=None)[0] == 401


# Workers

def worker_of(replica, name: str) -> dict:
    status, _, body = replica.get(f"/admin/workers/{name}")
    assert status == 200
    return json.loads(body)


def test_a_drained_worker_finishes_and_rests_until_it_is_resumed(stage):
    go, slow = halting_stream()
    first, second = stage.worker("first", script=slow), stage.worker("second")
    replica = stage.replica([first, second])
    with RawConnection(replica.port) as connection:
        connection.post(CHAT, STREAM, replica.key)
        head = connection.read_head()
        body = connection.read_chunk()
        assert head.get("x-starling-worker") == "first"
        status, _, answer = replica.request("POST", "/admin/workers/first/drain", "")
        assert status == 200 and json.loads(answer)["state"] == "draining"
        assert {replica.post(CHAT, BODY)[1]["x-starling-worker"] for _ in range(4)} == {"second"}
        assert worker_of(replica, "first")["state"] == "draining"
        go.set()
        while chunk := connection.read_chunk():
            body += chunk
    assert body.endswith(DONE) and b'"error"' not in body
    until("the worker is drained", lambda: (worker_of(replica, "first")["state"], worker_of(replica, "first").get("why")) == ("down", "drained"))
    assert {replica.post(CHAT, BODY)[1]["x-starling-worker"] for _ in range(4)} == {"second"}
    replica.request("POST", "/admin/workers/first/resume", "")
    until("the worker is back", lambda: worker_of(replica, "first")["state"] == "healthy")
    first.script = answer_plainly
    assert {replica.post(CHAT, BODY)[1]["x-starling-worker"] for _ in range(4)} == {"first", "second"}


def test_a_worker_without_work_is_drained_at_once(stage):
    replica = stage.replica([stage.worker("one")])
    assert json.loads(replica.request("POST", "/admin/workers/one/drain", "")[2])["state"] == "down"
    status, fields, _ = replica.post(CHAT, BODY, seconds=40)
    assert status == 503 and "retry-after" in fields


def test_workers_are_listed_for_admins_and_unknown_ones_are_named(house):
    listed = json.loads(house.get("/admin/workers")[2])
    assert [worker["id"] for worker in listed["data"]] == ["scripted-1"]
    for method, path in (("GET", "/admin/workers/nobody"), ("POST", "/admin/workers/nobody/drain")):
        status, _, body = house.request(method, path, "" if method == "POST" else None)
        assert status == 404 and error_of(body)["code"] == "worker_not_found"
    assert house.request("POST", "/admin/workers/scripted-1/dance", "")[0] == 404
    assert house.get("/admin/workers", key=None)[0] == 401


# Metrics

def test_metrics_families(house):
    house.post(CHAT, BODY)
    house.post(CHAT, STREAM)
    text = house.get("/metrics", key=None)[2].decode()
    families = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    for wanted in ("starling_requests_total", "starling_in_flight"):
        assert wanted in families, sorted(families)
    for subject in ("first_event", "event_gap", "overhead", "queue", "attempts", "retries", "breaker", "worker", "cancel", "process"):
        assert any(subject in family for family in families), f"no family about {subject}: {sorted(families)}"
    assert house.metric_sum("starling_requests_total", 'outcome="answered"', 'model="m"') >= 2
    assert "hello" not in text and house.key not in text


def test_metrics_are_bounded(house):
    """Names that clients invent make no series."""
    before = len(house.metrics())
    for number in range(50):
        house.post(CHAT, json.dumps(HELLO | {"model": f"invented-{number}"}))
        house.get(f"/v1/nothing/{number}")
    assert len(house.metrics()) <= before + 5
    assert "invented" not in house.get("/metrics")[2].decode()


def test_promtool_is_content(house):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    house.post(CHAT, STREAM)
    text = house.get("/metrics")[2]
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0 and not done.stderr and not done.stdout, (done.stdout + done.stderr).decode()
