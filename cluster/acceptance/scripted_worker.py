"""A worker that does on its socket exactly what a test says, and remembers what it was sent.

Probes are answered so that the gateway finds it healthy. Every other request becomes a `Visit` and is given to `script`,
which may send any bytes, wait, close or reset.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flock.patience import until


@dataclass
class Visit:
    """One request as it arrived, and the socket to answer on."""

    socket: socket.socket
    head: bytes
    body: bytes
    arrived_ns: int
    closed_ns: int | None = None
    keep: bool = False
    number: int = 0

    @property
    def path(self) -> str:
        return self.head.split()[1].decode()

    @property
    def fields(self) -> list[tuple[str, str]]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines if line)]

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def json(self) -> dict:
        return json.loads(self.body)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_plain(self, body: bytes, status: str = "200 OK", content_type: str = "application/json",
                   fields: tuple[str, ...] = ()) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *fields]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        self.keep = True

    def send_stream_head(self) -> None:
        self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    def send_chunk(self, data: bytes) -> None:
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end_chunks(self) -> None:
        self.send(b"0\r\n\r\n")
        self.keep = True

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_closed(self, seconds: float = 20) -> bool:
        """Stand silently until the gateway closes; remembers when that was."""
        poller = select.poll()
        poller.register(self.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not poller.poll(left * 1000):
                continue
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                self.closed_ns = time.monotonic_ns()
                return True
        return False


Script = Callable[[Visit], None]

CHUNK = '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}'
ANSWER = (b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
          b'{"role":"assistant","content":"hello"},"finish_reason":"stop"}],'
          b'"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}')


def event(text: str) -> bytes:
    return f"data: {text}\n\n".encode()


def content(text: str) -> bytes:
    """A content event."""
    return event(CHUNK % (json.dumps({"content": text}), "null"))


ROLE = event(CHUNK % ('{"role":"assistant"}', "null"))
FINISH = event(CHUNK % ("{}", '"stop"'))
DONE = event("[DONE]")


def answer_plainly(visit: Visit) -> None:
    """What a good worker does: a whole answer, plain or streamed."""
    if visit.json().get("stream"):
        visit.send_stream_head()
        for piece in (ROLE, content("hel"), content("lo"), FINISH, DONE):
            visit.send_chunk(piece)
        visit.end_chunks()
    else:
        visit.send_plain(ANSWER)


@dataclass
class ScriptedWorker:
    name: str = "scripted-1"
    kind: str = "openai"
    models: tuple[str, ...] = ("m",)
    script: Script = answer_plainly
    backlog: int = 128
    visits: list[Visit] = field(default_factory=list)
    probes: int = 0
    probe_status: int = 200
    tls: ssl.SSLContext | None = None
    """Speaks TLS with this context's certificate."""

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=self.backlog)
        self.port = self.listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def node(self, **more) -> dict:
        return {"node_id": self.name, "host": "127.0.0.1", "port": self.port, "kind": self.kind,
                "models": list(self.models), "max_concurrency": 16} | more

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.take(connection)

    def take(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(connection)
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls:
                plain, connection = connection, self.tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.discard(plain)
                    self._open.add(connection)
            unread = bytearray()
            while self._one(connection, unread):
                pass
        except (ConnectionError, OSError):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _one(self, connection: socket.socket, unread: bytearray) -> bool:
        while (end := unread.find(b"\r\n\r\n")) < 0:
            data = connection.recv(65536)
            if not data:
                return False
            unread += data
        head = bytes(unread[:end + 4])
        del unread[:end + 4]
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                       if line.startswith(b"content-length:")), 0)
        while len(unread) < length:
            data = connection.recv(65536)
            if not data:
                return False
            unread += data
        body = bytes(unread[:length])
        del unread[:length]
        if head.startswith(b"GET "):
            return self._probe(connection, head.split()[1].decode())
        visit = Visit(connection, head, body, time.monotonic_ns())
        with self._lock:
            self.visits.append(visit)
            visit.number = len(self.visits)
        self.script(visit)
        return visit.keep

    def _probe(self, connection: socket.socket, path: str) -> bool:
        self.probes += 1
        known = {
            "/health": {"status": "ok"},
            "/v1/models": {"object": "list", "data": [
                {"id": model, "object": "model", "created": 1, "owned_by": "local"} for model in self.models]},
            "/props": {"total_slots": 16, "default_generation_settings": {"n_ctx": 4096}},
            "/slots": [],
        }
        body = json.dumps(known.get(path, {"error": "no such page"})).encode()
        status = self.probe_status if path in known else 404
        connection.sendall(f"HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return True

    def visit(self, number: int = 1, seconds: float = 10) -> Visit:
        """The request of that number, counted from 1, waiting for it to arrive."""
        until(f"{self.name} gets its request number {number}", lambda: len(self.visits) >= number, seconds)
        return self.visits[number - 1]

    def forget(self) -> None:
        with self._lock:
            self.visits.clear()

    def close_listener(self) -> None:
        """New connections are refused from now on; running ones go on."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def stop(self) -> None:
        self.close_listener()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
