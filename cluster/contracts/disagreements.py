"""What is known to be wrong: strict expected failures, so that a run turns red when somebody has mended one.

The key is the test's name with its parameters, as pytest prints it.
"""

from __future__ import annotations


def each(reason: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, reason)


DISAGREEMENTS: dict[str, str] = {}
"""Where a simulated worker differs from the real one. The simulator is wrong and has to learn it: no real server belongs here."""

OWED_BY_STARLING: dict[str, str] = {}
"""What Starling itself does not do yet, whoever stands behind it."""
