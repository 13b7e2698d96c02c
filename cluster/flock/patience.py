"""Waiting for something to become true, with a deadline instead of a guess."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class OutOfPatience(AssertionError):
    """What was waited for did not happen in time."""


def until(what: str, condition: Callable[[], T], seconds: float = 10, every: float = 0.01) -> T:
    """Ask again and again until `condition` answers something true, and give that back.

    `what` is a clause for the error: "the replica answers 200 on /readyz".
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise OutOfPatience(f"waited {seconds:g} s in vain until {what}; the last answer was {answer!r}")
        time.sleep(every)


def throughout(what: str, condition: Callable[[], object], seconds: float, every: float = 0.2) -> None:
    """Hold the world as it is for so long, and see all the while that `condition` is true.

    `what` is a clause for the error: "nobody is dead".
    """
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        assert condition(), f"after {time.monotonic() - began:.1f} of {seconds:g} s it was no longer true that {what}"
        time.sleep(every)
