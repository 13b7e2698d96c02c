"""A client that sends exact bytes and shows exact bytes: what an HTTP library would tidy up is what we want to see."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from dataclasses import dataclass, field


class Cut(AssertionError):
    """The connection ended where the framing promised more."""


@dataclass
class Head:
    status: int
    fields: list[tuple[str, str]]
    raw: bytes

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first field of that name, in any case."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), default)


@dataclass
class Answer:
    head: Head
    body: bytes = b""
    trailers: bytes = b""

    @property
    def status(self) -> int:
        return self.head.status


@dataclass
class RawConnection:
    port: int
    tls: ssl.SSLContext | None = None
    seconds: float = 20
    _unread: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=self.seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            self.socket = self.tls.wrap_socket(self.socket, server_hostname="localhost")

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    # Speaking

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, path: str, body: bytes, key: str | None, fields: tuple[str, ...] = ()) -> None:
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json",
                 f"Content-Length: {len(body)}", *fields]
        if key:
            lines.append(f"Authorization: Bearer {key}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def leave(self) -> int:
        """Close as a vanishing process does (FIN) and tell when."""
        now = time.monotonic_ns()
        self.socket.close()
        return now

    def leave_rudely(self) -> int:
        """Close with a reset (RST) and tell when."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        now = time.monotonic_ns()
        self.socket.close()
        return now

    # Listening

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._unread += data
        return bool(data)

    def _line(self) -> bytes:
        while (end := self._unread.find(b"\n")) < 0:
            if not self._more():
                raise Cut(f"the connection ended inside a line: {bytes(self._unread)!r}")
        line = bytes(self._unread[:end + 1])
        del self._unread[:end + 1]
        return line

    def _exactly(self, count: int) -> bytes:
        while len(self._unread) < count:
            if not self._more():
                raise Cut(f"the connection ended {count - len(self._unread)} bytes too early")
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    def read_head(self, skip_informational: bool = True) -> Head:
        while True:
            raw = self._line()
            status = int(raw.split()[1])
            fields = []
            while (line := self._line()) not in (b"\r\n", b"\n"):
                raw += line
                name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
                fields.append((name, value.strip()))
            if status >= 200 or not skip_informational:
                return Head(status, fields, raw)

    def read_chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int(self._line().split(b";")[0], 16)
        if size == 0:
            while self._line() not in (b"\r\n", b"\n"):
                pass
            return b""
        data = self._exactly(size)
        self._exactly(2)
        return data

    def read_answer(self) -> Answer:
        head = self.read_head()
        return Answer(head, self.read_body(head))

    def read_body(self, head: Head) -> bytes:
        if head.status in (204, 304):
            return b""
        if (head.get("transfer-encoding") or "").lower() == "chunked":
            body = bytearray()
            while chunk := self.read_chunk():
                body += chunk
            return bytes(body)
        if (length := head.get("content-length")) is not None:
            return self._exactly(int(length))
        while self._more():
            pass
        body, self._unread = bytes(self._unread), bytearray()
        return body

    def read_until(self, wanted: bytes) -> bytes:
        """All bytes so far, raw, as soon as they contain `wanted`."""
        while wanted not in self._unread:
            if not self._more():
                raise Cut(f"the connection ended before {wanted!r}: {bytes(self._unread)!r}")
        return bytes(self._unread)

    def is_closed_by_peer(self, seconds: float = 5) -> bool:
        """Whether the other side ends the connection in time, all unread bytes set aside."""
        self.socket.settimeout(seconds)
        try:
            while self._more():
                pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False
