"""Every exchange of exchanges/ travels byte for byte in both directions, over HTTP/1.1, TLS and HTTP/2."""

from __future__ import annotations

import ssl

import httpx
import pytest

import exchange_file
from exchange_file import Exchange
from raw_client import RawConnection
from scripted_worker import ScriptedWorker, answer_plainly

EXCHANGES = exchange_file.load_all()
NAMES = [exchange.name for exchange in EXCHANGES]
ALIASES = {"gpt-4o-mini": "m"}
WORKER_MODELS = {
    "openai": ["m"],
    "mlx_lm": [{"name": "m-mlx", "upstream_name": "m-mlx"}],
    "llama_cpp": [{"name": "m-llama", "upstream_name": "models/m.gguf"}],
}


class Theatre:
    """One scripted worker of each kind, one replica without and one with TLS before them."""

    def __init__(self, stage, certificate) -> None:
        models = {"openai": ("m",), "mlx_lm": ("m-mlx",), "llama_cpp": ("models/m.gguf",)}
        self.workers: dict[str, ScriptedWorker] = {
            kind: stage.worker(f"scripted-{kind}", kind=kind, models=models[kind]) for kind in models}
        # Whatever the kind: here an answer passes as it is.
        nodes = [worker.node(models=WORKER_MODELS[kind], assemble_plain_answers="never")
                 for kind, worker in self.workers.items()]
        settings = {"models": {"aliases": ALIASES}}
        self.plain = stage.replica(nodes, settings)
        self.tls = stage.replica(nodes, settings | {
            "server": {"tls": {"certificate": str(certificate[0]), "key": str(certificate[1])}}})
        self.trust = ssl.create_default_context(cafile=certificate[0])
        self.h2 = httpx.Client(http2=True, http1=False, verify=ssl.create_default_context(cafile=certificate[0]), timeout=20)

    def rehearse(self, exchange: Exchange) -> list:
        """The next request that carries this exchange's id is answered by it. Answers where its visit will be found.

        A canary that the gateway sends on its own account must not be taken for it.
        """
        visits = []

        def script(visit):
            if visit.get("x-request-id") != exchange.name:
                return answer_plainly(visit)
            visits.append(visit)
            exchange.play(visit)

        self.workers[exchange.kind].script = script
        return visits


@pytest.fixture(scope="module")
def theatre(long_stage, certificate):
    return Theatre(long_stage, certificate)


def over_http1(theatre: Theatre, exchange: Exchange):
    with RawConnection(theatre.plain.port) as connection:
        connection.post(exchange.path, exchange.body, theatre.plain.key, (f"x-request-id: {exchange.name}",))
        answer = connection.read_answer()
        return answer.status, dict((name.lower(), value) for name, value in answer.head.fields), answer.body


def over_tls(theatre: Theatre, exchange: Exchange):
    with RawConnection(theatre.tls.port, tls=theatre.trust) as connection:
        connection.post(exchange.path, exchange.body, theatre.tls.key, (f"x-request-id: {exchange.name}",))
        answer = connection.read_answer()
        return answer.status, dict((name.lower(), value) for name, value in answer.head.fields), answer.body


def over_http2(theatre: Theatre, exchange: Exchange):
    fields = {"Authorization": f"Bearer {theatre.tls.key}", "Content-Type": "application/json", "x-request-id": exchange.name}
    url = f"https://localhost:{theatre.tls.port}{exchange.path}"
    with theatre.h2.stream("POST", url, content=exchange.body, headers=fields) as answer:
        assert answer.http_version == "HTTP/2"
        body = b"".join(answer.iter_raw())
        return answer.status_code, dict(answer.headers), body


@pytest.mark.parametrize("transport", [over_http1, over_tls, over_http2], ids=["http1", "tls", "http2"])
@pytest.mark.parametrize("exchange", EXCHANGES, ids=NAMES)
def test_exchange(theatre, exchange: Exchange, transport):
    visits = theatre.rehearse(exchange)
    status, fields, body = transport(theatre, exchange)

    assert len(visits) == 1, "the worker sees the request once"
    arrived = visits[0]
    assert exchange.is_faithfully_forwarded(arrived.body), f"sent {exchange.body!r}\narrived {arrived.body!r}"
    assert arrived.path == exchange.path
    assert arrived.get("content-length") == str(len(arrived.body))
    assert arrived.get("transfer-encoding") is None and arrived.get("accept-encoding") is None

    assert status == exchange.status_code
    assert body == exchange.relayed
    assert fields["content-type"].split(";")[0] == exchange.content_type
    if exchange.framing in ("length", "http10-length"):
        assert fields["content-length"] == str(len(exchange.sent)), "a known length stays known"
    for line in exchange.fields:
        name, _, value = line.partition(": ")
        assert fields[name] == value


def test_there_are_enough():
    assert len(EXCHANGES) >= 40


def test_a_request_cut_at_each_byte(theatre):
    """The client's bytes arrive in two parts, cut anywhere: the worker sees the same."""
    exchange = next(exchange for exchange in EXCHANGES if exchange.name == "stream-usage-refused")
    with RawConnection(theatre.plain.port) as connection:
        for place in range(len(exchange.body) + 1):
            visits = theatre.rehearse(exchange)
            connection.send(
                f"POST {exchange.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"x-request-id: {exchange.name}\r\nAuthorization: Bearer {theatre.plain.key}\r\n"
                f"Content-Length: {len(exchange.body)}\r\n\r\n".encode())
            connection.send(exchange.body[:place])
            connection.send(exchange.body[place:])
            answer = connection.read_answer()
            assert answer.body == exchange.relayed, f"cut at {place}"
            assert exchange.is_faithfully_forwarded(visits[0].body), f"cut at {place}"


# The checker itself must be able to refuse.

def test_the_checker_refuses_other_bytes():
    exchange = next(exchange for exchange in EXCHANGES if exchange.name == "stream-compact")
    spliced = exchange.body.replace(b'{"model"', b'{"stream_options":{"include_usage":true},"model"', 1)
    assert exchange.is_faithfully_forwarded(spliced)
    assert not exchange.is_faithfully_forwarded(exchange.body), "usage was not asked for"
    assert not exchange.is_faithfully_forwarded(spliced.replace(b"hello", b"hello "))
    assert not exchange.is_faithfully_forwarded(spliced.replace(b'"stream":true', b'"stream": true'))
    assert exchange.relayed != exchange.sent and b'"usage"' not in exchange.relayed
