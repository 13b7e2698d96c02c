"""One process that we started: its lines with the moment each arrived, and a sure end."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

LINES_MAX = 200_000


@dataclass(frozen=True)
class Line:
    """A line of a child's standard error and the monotonic moment (ns) at which we read it."""

    at_ns: int
    text: str

    def json(self) -> dict:
        """The line as a JSON object; an empty one if it is something else."""
        try:
            value = json.loads(self.text)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


_living: set["Child"] = set()


def quiet_environment() -> dict[str, str]:
    """Our own environment without `STARLING_…`: each such variable is a setting, and a test must say its settings itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}


class Child:
    """A child process whose standard error is read all the time, since a full pipe would stop it."""

    def __init__(self, command: list[str | Path], environment: dict[str, str] | None = None, echo: bool = False):
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=quiet_environment() | (environment or {}), start_new_session=True)
        self.lines: deque[Line] = deque(maxlen=LINES_MAX)
        self.seen = 0
        self._arrived = threading.Condition()
        self._echo = echo
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        _living.add(self)

    def _read(self) -> None:
        assert self.process.stderr
        for raw in self.process.stderr:
            line = Line(time.monotonic_ns(), raw.decode("utf-8", "replace").rstrip("\n"))
            with self._arrived:
                self.lines.append(line)
                self.seen += 1
                self._arrived.notify_all()
            if self._echo:
                print(line.text, flush=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def mark(self) -> int:
        """A place in the log; pass it to `line_where` to look only at what came later."""
        with self._arrived:
            return self.seen

    def lines_since(self, mark: int) -> list[Line]:
        with self._arrived:
            fresh = self.seen - mark
            return list(self.lines)[-fresh:] if fresh > 0 else []

    def line_where(self, matches, since: int = 0, seconds: float = 10, what: str = "a log line") -> Line:
        """The first line for which `matches(line)` is true, waiting for it if need be."""
        deadline = time.monotonic() + seconds
        looked = since
        while True:
            with self._arrived:
                fresh = self.seen - looked
                batch = list(self.lines)[-fresh:] if fresh > 0 else []
                looked = self.seen
            for line in batch:
                if matches(line):
                    return line
            with self._arrived:
                if self.seen == looked:
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._arrived.wait(min(left, 0.5)):
                        if time.monotonic() >= deadline:
                            tail = "\n".join(line.text for line in list(self.lines)[-15:])
                            raise AssertionError(f"{what} did not come within {seconds:g} s; the log ends with:\n{tail}")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As `kill -9`: no goodbye."""
        self.process.kill()
        self.process.wait()
        _living.discard(self)

    def stop(self, seconds: float = 5) -> int | None:
        """SIGTERM, some patience, then SIGKILL. Answers the exit code."""
        if self.is_running:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        code = self.process.wait()
        _living.discard(self)
        return code

    def resident_kib(self) -> int:
        """Resident memory as `ps` tells it, on Linux and macOS alike."""
        out = subprocess.run(["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, text=True, check=True)
        return int(out.stdout)

    def processor_seconds(self) -> float:
        """What the process and its threads have computed so far."""
        statistics = Path(f"/proc/{self.pid}/stat")
        if statistics.exists():
            fields = statistics.read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        # macOS: minutes:seconds.hundredths
        told = subprocess.run(["ps", "-o", "time=", "-p", str(self.pid)], capture_output=True, text=True, check=True)
        minutes, _, seconds = told.stdout.strip().rpartition(":")
        return 60 * float(minutes.replace(":", "") or 0) + float(seconds)


def wait_for_file(path: Path, child: Child, seconds: float = 30) -> dict:
    """Read the JSON that a child writes once it listens. A child that ends first is an error with its last words."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists():
            try:
                return json.loads(path.read_text())
            except ValueError:
                pass
        if not child.is_running:
            child._reader.join(2)
            tail = "\n".join(line.text for line in list(child.lines)[-20:])
            raise AssertionError(f"{' '.join(child.command)}\nended with {child.process.returncode} before it listened:\n{tail}")
        time.sleep(0.01)
    child.kill()
    tail = "\n".join(line.text for line in list(child.lines)[-20:])
    raise AssertionError(f"{' '.join(child.command)}\ndid not write {path} within {seconds:g} s:\n{tail}")


def end_all() -> None:
    """Whatever still runs goes with us."""
    for child in list(_living):
        child.process.kill()
    for child in list(_living):
        child.process.wait()
        _living.discard(child)


atexit.register(end_all)
