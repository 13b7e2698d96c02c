"""Many requests at once from one thread: an asyncio client that spends little and hides nothing.

HTTP libraries repeat requests on stale connections and swallow cut bodies; a test that counts errors cannot use them.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass


@dataclass
class Outcome:
    """What one client saw. `whole` is true when the body ended as its framing promised."""

    status: int = 0
    body: bytes = b""
    whole: bool = False
    trouble: str = ""
    seconds: float = 0.0
    fields: str = ""

    @property
    def has_content(self) -> bool:
        return re.search(rb'"content": ?"[^"]', self.body) is not None

    @property
    def has_error_event(self) -> bool:
        return b'data: {"error":' in self.body

    @property
    def has_finish(self) -> bool:
        return re.search(rb'"finish_reason": ?"', self.body) is not None


def request_bytes(path: str, body: bytes, key: str) -> bytes:
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body


async def exchange(port: int, request: bytes, seconds: float = 60) -> Outcome:
    """One request on a connection of its own."""
    outcome = Outcome()
    begun = time.monotonic()
    writer = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            outcome.fields = head
            outcome.status = int(head.split()[1])
            await _read_body(reader, head.lower(), outcome)
    except (ConnectionError, asyncio.IncompleteReadError, ValueError) as error:
        outcome.trouble = f"{type(error).__name__}: {error}"
    except TimeoutError:
        outcome.trouble = f"no end within {seconds:g} s"
    finally:
        outcome.seconds = time.monotonic() - begun
        if writer:
            writer.close()
    return outcome


async def _read_body(reader: asyncio.StreamReader, head: str, outcome: Outcome) -> None:
    if "transfer-encoding: chunked" in head:
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            if size == 0:
                await reader.readuntil(b"\r\n")
                outcome.whole = True
                return
            outcome.body += await reader.readexactly(size)
            await reader.readexactly(2)
    elif "content-length:" in head:
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        outcome.body = await reader.readexactly(length)
        outcome.whole = True
    else:
        outcome.body = await reader.read()


async def at_rate(per_second: float, seconds: float, start_one) -> list:
    """Open loop: starts are planned ahead, so a slow answer delays nobody. `start_one(i)` is a coroutine."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    tasks = []
    for number in range(int(per_second * seconds)):
        due = begun + number / per_second
        while (left := due - loop.time()) > 0:
            await asyncio.sleep(left)
        tasks.append(asyncio.create_task(start_one(number)))
    return await asyncio.gather(*tasks)
