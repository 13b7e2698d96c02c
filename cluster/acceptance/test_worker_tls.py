"""Workers behind TLS: whom we trust, what they are sent, and what holds there as it does without."""

from __future__ import annotations

import json
import ssl

import pytest

from conftest import self_signed
from flock.patience import until
from raw_client import RawConnection
from scripted_worker import ANSWER, DONE, answer_plainly, content

CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
STREAM = BODY | {"stream": True}


def server_context(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def secure(stage, certificate):
    return stage.worker("secure", tls=server_context(certificate))


def trusting(worker, certificate, **more) -> dict:
    return worker.node(tls=True, tls_ca=str(certificate[0]), **more)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_address_and_a_name_are_both_verified_and_served(stage, certificate, secure, host):
    replica = stage.replica([trusting(secure, certificate, host=host, api_key="sk-worker-1")])
    status, fields, body = replica.post(CHAT, BODY)
    assert (status, body) == (200, ANSWER)
    assert fields["x-starling-worker"] == "secure"
    status, _, body = replica.post(CHAT, STREAM)
    assert status == 200 and body.endswith(DONE) and b'"error"' not in body
    first, second = secure.visit(1), secure.visit(2)
    assert first.get_all("authorization") == ["Bearer sk-worker-1"]
    assert first.socket is second.socket, "the TLS connection was not used again"


def refusal(replica) -> str:
    """What the client is told of the only worker, in the words of the log too."""
    status, _, body = replica.post(CHAT, BODY)
    message = json.loads(body)["error"]["message"]
    assert status == 503 and "The worker 'secure' could not be reached" in message, message
    assert ".swift" not in message and "checkouts" not in message
    why = message.partition("reached: ")[2].rstrip(".")
    replica.child.line_where(lambda line: why in line.text, what=f"a log line with {why!r}")
    return why


def test_a_certificate_that_nobody_vouches_for_is_refused_and_named(stage, secure):
    replica = stage.replica([secure.node(tls=True)], wait_ready=False)
    assert "tls_ca" in refusal(replica)
    assert not secure.visits and not secure.probes, "something was sent to a worker that could not prove who it is"


def test_a_certificate_for_another_host_is_refused_and_named(stage, tmp_path):
    other = self_signed(tmp_path, "elsewhere.test")
    secure = stage.worker("secure", tls=server_context(other))
    replica = stage.replica([trusting(secure, other)], wait_ready=False)
    assert "for another host" in refusal(replica)
    assert not secure.visits and not secure.probes


def test_a_worker_without_tls_is_named(stage):
    replica = stage.replica([stage.simulator("secure").node(tls=True, models=["m"])], wait_ready=False)
    assert "leave out tls" in refusal(replica)


def test_a_stream_cut_without_tls_goodbye_is_told(stage, certificate, secure):
    def cut(visit):
        visit.send_stream_head()
        visit.send_chunk(content("so"))
        visit.reset()

    secure.script = cut
    replica = stage.replica([trusting(secure, certificate)])
    status, _, body = replica.post(CHAT, STREAM)
    assert status == 200
    assert b"so" in body and b"upstream." in body and not body.endswith(DONE)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_client_that_leaves_closes_the_secure_connection(stage, certificate, secure, stream):
    secure.script = lambda visit: visit.wait_closed()
    replica = stage.replica([trusting(secure, certificate)])
    leaver = RawConnection(replica.port)
    leaver.post(CHAT, json.dumps(STREAM if stream else BODY).encode(), replica.key)
    visit = secure.visit(1)
    leaver.leave()
    until("the worker sees the close", lambda: visit.closed_ns is not None)
    until("nothing is in flight", lambda: replica.metric_sum("starling_in_flight") == 0)
    secure.script = answer_plainly
    assert replica.post(CHAT, BODY)[0] == 200
