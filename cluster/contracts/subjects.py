"""What the contracts are held against: simulated workers of each kind, and the real servers, under one interface."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass

from flock.child import Child
from flock.patience import until
from flock.real_workers import WORKERS, LlamaServer, MLXWorker, RealWorker, VLLMMLXWorker
from flock.repository import starling_binary
from flock.simulator import Simulator

SERVERS: dict[str, type[RealWorker]] = {"mlx_lm": MLXWorker, "vllm_mlx": VLLMMLXWorker, "llama_cpp": LlamaServer}

TINY_MODEL_CONTEXT = 32_768

NEEDED_WITH_ALL = {"llama_cpp"}
"""Real servers whose building takes minutes: only `CONTRACTS_ALL=1` (`make contract-all`) asks for them."""

NOT_SIMULATED_YET: dict[str, str] = {}
"""Kinds with a column that `starling worker-sim` need not know. One that it knows must leave this list."""


@dataclass(frozen=True)
class Wish:
    """How a worker is to be started, beyond the ordinary. A simulated and a real one read it in their own ways."""

    slots: int | None = None
    context_tokens: int | None = None
    takes_its_time: bool = False
    """A simulated worker answers at once unless it is told to be as slow as a Mac. A real one is as slow as it is."""


@dataclass(frozen=True)
class Subject:
    """A kind of worker, simulated or real, that can be started."""

    kind: str
    is_simulated: bool

    @property
    def name(self) -> str:
        return ("simulated-" if self.is_simulated else "real-") + self.kind

    def start(self, wish: Wish = Wish()):
        return SimulatedWorker(self.kind, wish) if self.is_simulated else RealOne.of(self.kind, wish)


class SimulatedWorker(Simulator):
    is_simulated = True
    upstream_name = "tiny-llama"

    def __init__(self, kind: str, wish: Wish) -> None:
        options = ("--context-tokens", str(wish.context_tokens)) if wish.context_tokens else ()
        super().__init__(f"simulated-{kind}", kind=kind, models=("tiny-llama=8:4bit",), slots=wish.slots,
                         time_scale=1 if wish.takes_its_time else 0, options=options)

    def is_computing(self) -> bool:
        return self.running() > 0

    def computes_on(self, seconds: float) -> bool:
        """Whether it runs something all the time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.is_computing():
                return False
        return True

    def running(self) -> int:
        return self.state()["running"]


class RealOne:
    """What a real server has to have for these tests, mixed into its class."""

    is_simulated = False

    @staticmethod
    def of(kind: str, wish: Wish):
        server = SERVERS[kind]
        options, model = server_options(kind, wish)
        return type(f"Real{server.__name__}", (RealOne, server), {})(f"real-{kind}", options=options, model=model)

    def is_computing(self) -> bool:
        """Whether its process uses more than a tenth of a core, looked at for a while: it must not be asked itself."""
        before, begun = cpu_seconds(self.child.pid), time.monotonic()
        time.sleep(0.25)
        return (cpu_seconds(self.child.pid) - before) / (time.monotonic() - begun) > 0.1

    def computes_on(self, seconds: float) -> bool:
        """The same over a longer time, in which others may use the machine now and then."""
        before, begun = cpu_seconds(self.child.pid), time.monotonic()
        until("the time is over", lambda: time.monotonic() >= begun + seconds, seconds + 5)
        return (cpu_seconds(self.child.pid) - before) / (time.monotonic() - begun) > 0.1

    def running(self) -> int | None:
        """How many requests it says to be running; None for a server that does not say."""
        if self.kind == "llama_cpp":
            return sum(slot["is_processing"] for slot in self.told("/slots"))
        return self.told("/v1/status")["num_running"] if self.kind == "vllm_mlx" else None

    def told(self, path: str):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)


def server_options(kind: str, wish: Wish):
    """The real server's own words for a wish: its options, and a model if the tiny one will not do."""
    options: list[str] = []
    model = None
    if wish.slots:
        options += {"mlx_lm": ["--decode-concurrency", str(wish.slots), "--prompt-concurrency", str(wish.slots)],
                    "vllm_mlx": ["--max-num-seqs", str(wish.slots)],
                    "llama_cpp": ["--parallel", str(wish.slots)]}[kind]
    if wish.context_tokens:
        if kind == "llama_cpp":
            options += ["--ctx-size", str(wish.context_tokens * (wish.slots or 2))]
        elif wish.context_tokens != TINY_MODEL_CONTEXT:
            model = model_with_context(wish.context_tokens)
    return tuple(options), model


def model_with_context(tokens: int):
    """The tiny model with a smaller context: only the number in its configuration differs."""
    source, target = WORKERS / "models" / "tiny-llama", WORKERS / "models" / f"tiny-llama-{tokens}"
    if not (target / "config.json").exists():
        shutil.copytree(source, target, dirs_exist_ok=True)
        config = json.loads((source / "config.json").read_text()) | {"max_position_embeddings": tokens}
        (target / "config.json").write_text(json.dumps(config))
    return target


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    if sys.platform == "linux":
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    text = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout.strip()
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


@contextlib.contextmanager
def stopped(child: Child):
    """While this holds, the process takes no step: connects are the kernel's affair."""
    child.send(signal.SIGSTOP)
    try:
        until("the process stands still", lambda: process_state(child.pid).startswith("T"))
        yield
    finally:
        child.send(signal.SIGCONT)


def process_state(pid: int) -> str:
    return subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()


def speaks(kind: str) -> bool:
    """Whether `starling worker-sim` imitates this kind."""
    asked = subprocess.run([starling_binary(), "worker-sim", "--kind", kind, "--model", "", "--port", "0"],
                           capture_output=True, text=True)
    return f'--kind "{kind}"' not in asked.stderr
