"""A worker fails; who has seen no content yet notices nothing, who has is told the truth."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

from flock.patience import until
from load_client import at_rate, exchange, request_bytes
from raw_client import RawConnection
from scripted_worker import ANSWER, DONE, FINISH, ROLE, ScriptedWorker, answer_plainly, content, event

CHAT = "/v1/chat/completions"
CLOSED, HALF_OPEN, OPEN = 0, 1, 2
RETRY_SHARE = 0.2
"""Of the requests of a total outage; gateways without a budget send each of them to everybody. Errors that no breaker counts
reached the budget (60 retries for 300 requests), breakers ended the other outages after 3 to 8."""
REFUSALS_MAX = 1
"""Requests that a dead worker may still be offered before nobody is sent there any more."""


def chat(stream: bool = False, words: str = "hello", **more) -> dict:
    return {"model": "m", "stream": stream, "messages": [{"role": "user", "content": words}]} | more


class Pair:
    """A worker that misbehaves and one that does not. Round robin decides who is asked first, so a test asks twice."""

    def __init__(self, stage, settings: dict | None = None) -> None:
        self.bad: ScriptedWorker = stage.worker("bad")
        self.good: ScriptedWorker = stage.worker("good")
        self.replica = stage.replica([self.bad, self.good], settings)

    def ask(self, stream: bool, **more) -> list[tuple[int, dict, bytes]]:
        return [self.replica.post(CHAT, chat(stream, **more)) for _ in range(2)]

    def assert_all_served(self, stream: bool) -> None:
        answers = self.ask(stream)
        assert [status for status, _, _ in answers] == [200, 200]
        for _, fields, body in answers:
            assert fields["x-starling-worker"] == "good"
            if stream:
                assert body.endswith(DONE) and b'"error"' not in body
            else:
                assert body == ANSWER
        assert self.bad.visits, "the bad worker was asked, or the test shows nothing"
        assert "2" in [fields["x-starling-attempts"] for _, fields, _ in answers]


@pytest.fixture
def pair(stage):
    return Pair(stage)


def reset(visit) -> None:
    visit.reset()


def end_at_once(visit) -> None:
    """Not a byte: the connection just ends."""


def half_a_head(visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Ty")


def nonsense(visit) -> None:
    visit.send(b"this is not HTTP at all\r\n\r\n")


def server_error(visit) -> None:
    visit.send_plain(b'{"error":{"message":"oops","type":"server_error","param":null,"code":null}}', "500 Internal Server Error")


def bad_gateway(visit) -> None:
    visit.send_plain(b"<html>bad gateway</html>", "502 Bad Gateway", "text/html")


def full(visit) -> None:
    visit.send_plain(b'{"error":{"message":"busy","type":"server_error","param":null,"code":null}}', "503 Service Unavailable")


def head_then_end(visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n")


def stream_then_end(visit) -> None:
    visit.send_stream_head()


def stream_then_eof(visit) -> None:
    visit.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")


def stream_then_clean_end(visit) -> None:
    visit.send_stream_head()
    visit.end_chunks()


def stream_with_comment_then_end(visit) -> None:
    visit.send_stream_head()
    visit.send_chunk(b": keepalive 1/2\n\n")


def stream_with_role_then_end(visit) -> None:
    visit.send_stream_head()
    visit.send_chunk(ROLE)


def stream_with_error_event(visit) -> None:
    visit.send_stream_head()
    visit.send_chunk(event('{"error":{"message":"out of memory","type":"server_error","param":null,"code":500}}') + DONE)
    visit.end_chunks()


def stream_with_done_only(visit) -> None:
    visit.send_stream_head()
    visit.send_chunk(DONE)
    visit.end_chunks()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("script", [reset, end_at_once, half_a_head, nonsense, server_error, bad_gateway, full])
def test_failure_before_the_head(pair, script, stream):
    pair.bad.script = script
    pair.assert_all_served(stream)


def test_plain_head_then_end(pair):
    pair.bad.script = head_then_end
    pair.assert_all_served(stream=False)


@pytest.mark.parametrize("script", [
    stream_then_end, stream_then_eof, stream_then_clean_end, stream_with_comment_then_end, stream_with_role_then_end,
    stream_with_error_event, stream_with_done_only])
def test_stream_that_fails_before_content(pair, script):
    pair.bad.script = script
    pair.assert_all_served(stream=True)


def test_connect_refused(pair):
    pair.bad.stop()
    answers = pair.ask(False) + pair.ask(True)
    assert [status for status, _, _ in answers] == [200] * 4
    assert {fields["x-starling-worker"] for _, fields, _ in answers} == {"good"}


def test_first_byte_timeout(stage):
    """A worker that takes the request and says nothing: short prompts go to the next one."""
    pair = Pair(stage, {"load_balancing": {"first_byte_seconds": 0.3, "plain_first_byte_seconds": 0.3}})
    pair.bad.script = lambda visit: visit.wait_closed()
    pair.assert_all_served(stream=False)
    until("the silent worker's connection was closed", lambda: all(visit.closed_ns for visit in pair.bad.visits))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_long_prompt_is_not_prefilled_twice(stage, stream):
    """After a slow timeout a long prompt is not sent to a second Mac: that would make the fleet slower, not safer."""
    clocks = {"first_byte_seconds": 0.5, "plain_first_byte_seconds": 0.5, "long_prompt_tokens": 1000}
    pair = Pair(stage, {"load_balancing": clocks})
    pair.bad.script = pair.good.script = lambda visit: visit.wait_closed()
    status, _, body = pair.replica.post(CHAT, chat(stream, words="word " * 2000))
    assert status == 504, body
    assert json.loads(body)["error"]["code"]
    assert len(pair.bad.visits) + len(pair.good.visits) == 1


def test_a_long_prompt_is_repeated_when_asked(stage):
    clocks = {"plain_first_byte_seconds": 0.5, "long_prompt_tokens": 1000, "retry_long_prompts": True}
    pair = Pair(stage, {"load_balancing": clocks})
    pair.bad.script = lambda visit: visit.wait_closed()
    for _ in range(2):
        assert pair.replica.post(CHAT, chat(words="word " * 2000))[0] == 200


def test_a_client_error_is_nobodys_fault(pair):
    """A worker's 400 is passed on at once: no second worker is bothered, no breaker opens."""
    refusal = b'{"error":{"message":"no","type":"invalid_request_error","param":"messages","code":null}}'
    for worker in (pair.bad, pair.good):
        worker.script = lambda visit: visit.send_plain(refusal, "400 Bad Request")
    for _ in range(10):
        status, fields, body = pair.replica.post(CHAT, chat())
        assert (status, body, fields["x-starling-attempts"]) == (400, refusal, "1")
    assert len(pair.bad.visits) == len(pair.good.visits) == 5


def test_stale_connection_is_retried_without_blame(stage):
    """A pooled connection that the worker closed in the same moment: once more on a fresh one, same worker."""
    worker = stage.worker("only")
    replica = stage.replica([worker])
    assert replica.post(CHAT, chat())[0] == 200
    calls = []

    def close_if_reused(visit):
        calls.append(visit)
        if len(calls) > 1:
            answer_plainly(visit)

    worker.script = close_if_reused
    status, fields, _ = replica.post(CHAT, chat())
    assert (status, fields["x-starling-worker"], fields["x-starling-attempts"]) == (200, "only", "1")
    assert len(calls) == 2


# After content

CONTENT_THEN = {
    "reset": lambda visit: visit.reset(),
    "end": lambda visit: None,
    "clean end without finish": lambda visit: visit.end_chunks(),
    "error event": lambda visit: (visit.send_chunk(event('{"error":{"message":"metal","type":"server_error"}}')), visit.end_chunks()),
    "half an event": lambda visit: visit.send_chunk(b'data: {"choices":[{"ind'),
}


@pytest.mark.parametrize("ending", CONTENT_THEN, ids=lambda name: name.replace(" ", "-"))
def test_after_content_the_truth(pair, ending):
    """No second worker, no silent end: an error event closes the stream, and the framing is whole."""

    def script(visit):
        visit.send_stream_head()
        visit.send_chunk(ROLE + content("half a"))
        seen.wait(5)
        CONTENT_THEN[ending](visit)

    pair.bad.script = pair.good.script = script
    seen = threading.Event()
    with RawConnection(pair.replica.port) as connection:
        connection.post(CHAT, json.dumps(chat(True)).encode(), pair.replica.key)
        head = connection.read_head()
        body = connection.read_chunk()
        while b"half a" not in body:
            body += connection.read_chunk()
        seen.set()
        while chunk := connection.read_chunk():
            body += chunk
    assert head.status == 200
    assert len(pair.bad.visits) + len(pair.good.visits) == 1
    events = [part for part in body.split(b"\n\n") if part]
    last = next(part for part in reversed(events) if part != b"data: [DONE]")
    assert last.startswith(b"data: {\"error\":"), body
    error = json.loads(last[6:])["error"]
    assert error["message"]
    if ending != "error event":
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"].startswith("upstream")
    assert b'"finish_reason":"stop"' not in body


def test_a_cut_plain_answer_is_cut_visibly(pair):
    """A fixed length cannot be taken back: the client must see the connection end too early."""

    def script(visit):
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n" + ANSWER[:100])

    pair.bad.script = pair.good.script = script
    with RawConnection(pair.replica.port) as connection:
        connection.post(CHAT, json.dumps(chat()).encode(), pair.replica.key)
        head = connection.read_head()
        if head.status == 200:
            with pytest.raises(AssertionError):
                connection.read_body(head)
        else:
            assert head.status in (502, 503)
            assert json.loads(connection.read_body(head))["error"]["code"]


# Budget and breaker

def test_retry_budget(stage):
    """When everybody fails, retries stay within the budget instead of multiplying the load."""
    workers = [stage.worker(f"w{number}", script=server_error) for number in range(3)]
    replica = stage.replica(workers, {"load_balancing": {"retry_budget_percent": 20}})
    requests = 60
    answers = [replica.post(CHAT, chat())[0] for _ in range(requests)]
    assert all(status >= 500 for status in answers)
    visits = sum(len(worker.visits) for worker in workers)
    assert visits <= requests * 1.2 + 3, f"{visits} attempts for {requests} requests"


def test_breaker_leaves_a_failing_worker_alone(pair):
    """After a few faults the bad worker is left alone; then exactly one exchange tries it again."""
    pair.bad.script = bad_gateway
    for _ in range(30):
        assert pair.replica.post(CHAT, chat())[0] == 200
    asked = len(pair.bad.visits)
    assert asked < 12, "an open breaker keeps exchanges away"
    pair.bad.script = answer_plainly
    until("the worker is taken in again", lambda: pair.replica.post(CHAT, chat())[1].get("x-starling-worker") == "bad", 30, every=0.1)


def test_half_open_is_one_exchange(pair):
    """The trial of a worker whose breaker was open takes its time: as long as it runs, nobody else is sent there."""
    pair.bad.script = bad_gateway
    for _ in range(10):
        assert pair.replica.post(CHAT, chat())[0] == 200
    assert pair.replica.metric_sum("starling_breaker_state", 'worker="bad"') == OPEN
    told = threading.Event()

    def slow_trial(visit):
        told.wait(20)
        answer_plainly(visit)

    pair.bad.forget()
    pair.bad.script = slow_trial
    ended = threading.Event()

    def ask_for_ever() -> None:
        while not ended.is_set():
            assert pair.replica.post(CHAT, chat())[0] == 200

    clients = [threading.Thread(target=ask_for_ever) for _ in range(8)]
    for client in clients:
        client.start()
    try:
        pair.bad.visit(1, seconds=15)
        good = len(pair.good.visits)
        until("the others went on", lambda: len(pair.good.visits) >= good + 200, 20)
        assert len(pair.bad.visits) == 1, "exactly one exchange tries it"
        assert pair.replica.metric_sum("starling_breaker_state", 'worker="bad"') == HALF_OPEN
        told.set()
        until("the worker is taken in again", lambda: len(pair.bad.visits) > 10)
    finally:
        told.set()
        ended.set()
        for client in clients:
            client.join(20)
    assert pair.replica.metric_sum("starling_breaker_state", 'worker="bad"') == CLOSED


def test_everybody_is_down(stage):
    """No worker at all: an honest 503 in OpenAI's shape, fast, and the SDK may retry."""
    worker = stage.worker("only")
    replica = stage.replica([worker], {"load_balancing": {"queue_seconds": 1}})
    worker.stop()
    begun = time.monotonic()
    status, fields, body = replica.post(CHAT, chat())
    assert status in (502, 503)
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    assert time.monotonic() - begun < 5


# Under load

@pytest.mark.parametrize("kind", ["openai", "mlx_lm"])
def test_one_refused_connect_is_enough(stage, kind):
    """A worker died unseen, since probes are rare here: the first request that is refused tells for all, and none fails."""
    sims = [stage.simulator(f"sim-{number}", kind=kind, models=("m",), time_scale=20, slots=32) for number in range(3)]
    replica = stage.replica(sims, {"load_balancing": {"probe_interval_seconds": 60}})
    assert {replica.post(CHAT, chat(max_tokens=1))[1]["x-starling-worker"] for _ in range(6)} == {sim.name for sim in sims}
    request = [request_bytes(CHAT, json.dumps(chat(stream, max_tokens=8)).encode(), replica.key) for stream in (False, True)]
    sims[1].kill()
    outcomes = asyncio.run(at_rate(150, 2, lambda number: exchange(replica.port, request[number % 2])))
    failed = [outcome for outcome in outcomes if outcome.status != 200 or not outcome.whole or not outcome.has_finish]
    assert not failed, failed[:3]
    refused = replica.metric_sum("starling_upstream_attempts_total", 'worker="sim-1"', 'outcome="connect_failed"')
    assert 1 <= refused <= REFUSALS_MAX, f"{refused:g} of {len(outcomes)} requests were refused"


OUTAGES = {
    "errors": ("openai", lambda sim: sim.fault("refuse", status=500)),
    "doubtful errors": ("vllm_mlx", lambda sim: sim.fault("refuse", status=500)),
    "resets": ("mlx_lm", lambda sim: sim.fault("reset")),
    "silent ends": ("llama_cpp", lambda sim: sim.fault("silent_end")),
    "killed": ("openai", lambda sim: sim.kill()),
}


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda name: name.replace(" ", "-"))
def test_retries_in_a_total_outage(stage, outage):
    """All workers fail at once under 100 requests a second: what is tried again stays a fifth of what was asked."""
    kind, strike = OUTAGES[outage]
    sims = [stage.simulator(f"sim-{number}", kind=kind, models=("m",), slots=32) for number in range(4)]
    replica = stage.replica(sims, {"load_balancing": {"queue_seconds": 1}})
    for sim in sims:
        strike(sim)
    outcomes = asyncio.run(at_rate(100, 3, lambda number: exchange(
        replica.port, request_bytes(CHAT, json.dumps(chat(number % 2 == 1, f"hello {number}")).encode(), replica.key))))
    assert not [outcome for outcome in outcomes if outcome.trouble], "everybody was told"
    assert all(outcome.status >= 500 or outcome.has_error_event for outcome in outcomes)
    attempts = replica.metric_sum("starling_upstream_attempts_total")
    retries = replica.metric_sum("starling_upstream_retries_total")
    print(f"  {outage}: {len(outcomes)} requests, {attempts:g} attempts, {retries:g} of them retries")
    assert retries <= len(outcomes) * RETRY_SHARE
    assert attempts <= len(outcomes) * (1 + RETRY_SHARE)


@pytest.mark.timing
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["openai", "llama_cpp"])
def test_killed_mid_prefill_under_load(stage, kind):
    """200 requests a second on three workers, one of them is killed. Nobody without content sees an error."""
    sims = [stage.simulator(f"sim-{number}", kind=kind, models=("m",), time_scale=20, slots=48) for number in range(3)]
    replica = stage.replica(sims, {"load_balancing": {"strategy": "least_connections"}})
    request = {stream: request_bytes(CHAT, json.dumps(chat(stream, words="word " * 150, max_tokens=16)).encode(), replica.key)
               for stream in (False, True)}

    async def everything() -> list:
        async def killer() -> None:
            await asyncio.sleep(2)
            sims[1].kill()

        async def one(number: int):
            return await exchange(replica.port, request[number % 2 == 1], 60)

        task = asyncio.create_task(killer())
        outcomes = await at_rate(200, 6, one)
        await task
        return outcomes

    outcomes = asyncio.run(everything())
    truncated = [outcome for outcome in outcomes if outcome.has_content and outcome.has_error_event]
    failed = [outcome for outcome in outcomes if outcome not in truncated and (
        outcome.trouble or outcome.status != 200 or not outcome.whole or not outcome.has_finish)]
    retried = [outcome for outcome in outcomes if "x-starling-attempts: 2" in outcome.fields.lower()]
    print(f"  {len(outcomes)} requests, {len(retried)} served by a second worker, {len(truncated)} told after content")
    assert not failed, failed[:5]
    assert retried, "the kill hit nobody in prefill, so the test shows nothing"
    for outcome in truncated:
        assert outcome.whole, "the error event ends a well-framed stream"


def words_of(words: str) -> bytes:
    return json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": words}]}).encode()


def test_a_suspect_that_was_refused_goes_to_the_next(stage):
    """A connect that was refused sent nothing: the one trial that a suspect has is still to come."""
    bad_is_free, good_is_free = threading.Event(), threading.Event()

    def half_an_answer(visit, gate: threading.Event) -> None:
        visit.send_stream_head()
        visit.send_chunk(ROLE + content("so"))
        gate.wait(30)
        visit.send_chunk(FINISH + DONE)
        visit.end_chunks()

    def dies(visit) -> None:
        if b"holder" in visit.body:
            half_an_answer(visit, bad_is_free)
            # The next one comes on a new connection: on a kept one an end without a byte is no death.
            visit.keep = False
        else:
            # Not a byte: the connection ends, and nobody listens any more.
            bad.close_listener()

    bad, good = stage.worker("bad", script=dies), stage.worker("good", script=lambda visit: half_an_answer(visit, good_is_free))
    replica = stage.replica([bad, good], {"load_balancing": {"strategy": "least_connections", "probe_interval_seconds": 60}})
    answers: dict[str, tuple] = {}

    def ask(name: str, words: str) -> threading.Thread:
        thread = threading.Thread(target=lambda: answers.update({name: replica.post(CHAT, words_of(words), seconds=40)}))
        thread.start()
        return thread

    threads = [ask(f"holder {number}", f"holder {number}") for number in range(2)]
    until("each worker has one", lambda: len(bad.visits) == len(good.visits) == 1)
    bad_is_free.set()
    until("the bad one is idle", lambda: replica.metric_sum("starling_worker_running", 'worker="bad"') == 0)
    # The first goes to the idle worker, which ends under it, and goes on at the good one.
    threads.append(ask("first", "twin"))
    until("the good worker has it", lambda: len(good.visits) == 2)
    # The second asks the same while the first is being answered. The bad worker looks idle, and refuses.
    threads.append(ask("second", "twin"))
    until("the second was told, or the good worker has it", lambda: "second" in answers or len(good.visits) == 3, 20)
    good_is_free.set()
    for thread in threads:
        thread.join(40)
    assert {name: answer[0] for name, answer in answers.items()} == dict.fromkeys(answers, 200), answers["second"]
