"""Where things are in this checkout, and which binary is meant."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEBUG_BINARY = ROOT / ".build" / "debug" / "starling"
RELEASE_BINARY = ROOT / ".build-release" / "release" / "starling"


def starling_binary() -> Path:
    """The binary under test: `FLOCK_BINARY` if set, else the debug build."""
    named = os.environ.get("FLOCK_BINARY")
    binary = Path(named).resolve() if named else DEBUG_BINARY
    if not os.access(binary, os.X_OK):
        sys.exit(f"{binary}: no such program; run `make build` first, or set FLOCK_BINARY to another build")
    return binary
