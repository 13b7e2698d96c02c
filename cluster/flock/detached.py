"""Processes that outlive the script that started them, written down so that another script can end exactly these.

A process is known by its number and the moment it started: a number alone may belong to somebody else by now.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from .child import quiet_environment


def birth(pid: int) -> str | None:
    """When the process of this number started, in words that no later process of the same number has; None if there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if fields[0] in "ZX":
            return None  # ended; its parent has not asked yet
        # Clock ticks since this boot.
        return f"{fields[19]}@{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    # macOS
    told = subprocess.run(["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, started = told.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


class Ledger:
    """The processes of one flock, in the order in which they were started, in a file that is whole at any time."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.file = folder / "processes.json"

    def entries(self) -> list[dict]:
        try:
            return json.loads(self.file.read_text())
        except FileNotFoundError:
            return []

    def living(self) -> list[dict]:
        return [entry for entry in self.entries() if birth(entry["pid"]) == entry["birth"]]

    def _write(self, entries: list[dict]) -> None:
        beside = self.file.with_suffix(".new")
        beside.write_text(json.dumps(entries, indent=1) + "\n")
        beside.replace(self.file)

    def start(self, name: str, command: list[str | Path], **facts) -> dict:
        """Start it with its own log file and session; the terminal that closes does not end it."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                env=quiet_environment(), start_new_session=True)
        entry = {"name": name, "pid": process.pid, "birth": birth(process.pid), "log": str(log)} | facts
        self._write(self.entries() + [entry])
        return entry

    def note(self, name: str, **facts) -> None:
        self._write([entry | facts if entry["name"] == name else entry for entry in self.entries()])

    def end(self, seconds: float, tell=print) -> bool:
        """SIGTERM to all of them, the last started first, some patience, then SIGKILL. False when one had to be killed."""
        living = self.living()[::-1]
        for entry in living:
            for number in (signal.SIGCONT, signal.SIGTERM):
                _send(entry, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(birth(entry["pid"]) == entry["birth"] for entry in living):
            time.sleep(0.02)
        stubborn = [entry for entry in living if birth(entry["pid"]) == entry["birth"]]
        for entry in stubborn:
            tell(f"{entry['name']} (pid {entry['pid']}) did not end within {seconds:g} s and was killed")
            _send(entry, signal.SIGKILL)
        return not stubborn


def _send(entry: dict, number: int) -> None:
    """Only to the very process that was started."""
    if birth(entry["pid"]) == entry["birth"]:
        try:
            os.kill(entry["pid"], number)
        except ProcessLookupError:
            pass


def wait_ready(entry: dict, ready: Path, seconds: float = 30) -> dict:
    """What the process wrote once it listened; its last words if it ended instead."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready.exists():
            return json.loads(ready.read_text())
        if birth(entry["pid"]) != entry["birth"]:
            break
        time.sleep(0.01)
    words = "\n".join(Path(entry["log"]).read_text(errors="replace").splitlines()[-15:])
    raise RuntimeError(f"{entry['name']} did not come up; {entry['log']} ends with:\n{words}")
