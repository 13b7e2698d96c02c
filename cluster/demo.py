#!/usr/bin/env python3
"""Three replicas of Starling before three pretended Macs, with commands to paste. Ctrl-C ends everything that was started.

    make demo                   stays in the foreground and shows the first replica's log
    DEMO_ONCE=1 make demo       pastes its own commands, checks the answers and ends: 0 if all is as the screen says
    DEMO_PORT=9000 make demo    ports from 9000 on instead of 8000
    DEMO_REPLICAS=1 make demo   so many replicas, on ports one after another
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flock.patience import until            # noqa: E402
from flock.replica import Replica           # noqa: E402
from flock.repository import starling_binary  # noqa: E402
from flock.simulator import Simulator       # noqa: E402
from up import free_ports                   # noqa: E402

BACK_AFTER_SECONDS = 20
REPLICAS = 3
FLOCK = [
    {"name": "mac-studio-1", "kind": "mlx_lm", "chip": "M2 Ultra", "memory_gb": 192, "models": ("llama-7b",)},
    {"name": "mac-studio-2", "kind": "llama_cpp", "chip": "M1 Max", "memory_gb": 64, "models": ("llama-7b",)},
    {"name": "macbook-pro-1", "kind": "openai", "chip": "M4 Max", "memory_gb": 128, "models": ("llama-7b", "qwen-14b=14:4bit")},
]


def refuse_taken_port(port: int) -> None:
    """Say it before anything is started: a bind error deep in a log is no help to a newcomer."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(f"port {port} on 127.0.0.1 cannot be used ({error.strerror}): end what listens there, "
                     f"or choose another: DEMO_PORT={port + 1000} make demo")


def curl(port: int, key: str, words: str, tokens: int, stream: bool) -> str:
    body = '{"model": "llama-7b"%s, "max_tokens": %d, "messages": [{"role": "user", "content": "%s"}]}' % (
        ', "stream": true' if stream else "", tokens, words)
    return (f"curl {'-N ' if stream else ''}-si http://127.0.0.1:{port}/v1/chat/completions \\\n"
            f"     -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n"
            f"     -d '{body}'")


class Demo:
    def __init__(self, port: int, replicas: int) -> None:
        self.workers = {facts["name"]: Simulator(time_scale=1, **facts) for facts in FLOCK}
        self.shared = tempfile.TemporaryDirectory(prefix="starling-demo-")
        self.replicas: list[Replica] = []
        gossip = [f"127.0.0.1:{free}" for free in free_ports(replicas, 0, both=True)] if replicas > 1 else []
        for number in range(replicas):
            self.replicas.append(self._replica(number, port + number if port else 0, gossip))
        self.replica = self.replicas[0]
        self.port = self.replica.port
        self.plain = curl(self.port, self.replica.key, "Why do starlings fly in flocks?", 60, stream=False)
        self.stream = curl(self.port, self.replica.key, "Tell me a long story about starlings.", 900, stream=True)

    def _replica(self, number: int, port: int, gossip: list[str]) -> Replica:
        settings = {
            "server": {"port": port}, "replica": {"name": f"gw-{number + 1}" if gossip else "gw-demo"},
            "load_balancing": {"strategy": "resource_aware"}, "models": {"aliases": {"gpt-4o-mini": "llama-7b"}}}
        if gossip:
            settings |= {"cluster": {"secret_file": str(Path(self.shared.name) / "cluster.secret")},
                         "gossip": {"bind": gossip[number], "seeds": gossip}}
        # One log is enough to read along.
        return Replica([worker.node() for worker in self.workers.values()], settings,
                       echo=number == 0 and not os.environ.get("DEMO_ONCE"))

    def explain(self) -> None:
        rows = "\n".join(f"   {name:14} {worker.kind:10} {worker.chip:9} {worker.memory_gb:4} GB   pid {worker.child.pid}"
                         for name, worker in self.workers.items())
        print(f"""
{self._who()}; behind {'it' if len(self.replicas) == 1 else 'them'} three pretended Macs:

{rows}

The admin key of this run{'' if len(self.replicas) == 1 else ', which all of them know'}:

   {self.replica.key}

1. A plain answer. The x-starling-* headers tell who gave it and why:

{self.plain}

2. A stream, long enough for what comes next:

{self.stream}

3. While it runs, kill the worker that its x-starling-worker header names, from another terminal:

   kill -9 PID

   The stream ends with an error event that says so, never as if it were complete; the log below has one line for it with
   the outcome. Ask again: another Mac answers. The dead one comes back after {BACK_AFTER_SECONDS} s and is taken in again.

{self._flock_words()}More to see:  curl -s http://127.0.0.1:{self.port}/v1/cluster/status -H 'Authorization: Bearer {self.replica.key}'
              curl -s http://127.0.0.1:{self.port}/metrics
The configuration of this run: {self.replica.config}
Ctrl-C ends everything.
""", flush=True)

    def _who(self) -> str:
        if len(self.replicas) == 1:
            return f"Starling listens on http://127.0.0.1:{self.port}"
        return (f"{len(self.replicas)} replicas of Starling listen, any of them answers:\n\n" + "\n".join(
            f"   {self._name(replica):14} http://127.0.0.1:{replica.port}   pid {replica.child.pid}"
            for replica in self.replicas) + "\n\nThey find each other")

    def _flock_words(self) -> str:
        if len(self.replicas) == 1:
            return ""
        return f"""4. Who is in the flock, as {self._name(self.replicas[0])} sees it. Kill another replica with kill -9 PID and look again after three seconds:

   {self._starling('members')}

   A stream that runs through {self._name(self.replicas[0])} meanwhile does not notice. What happens, as it happens:

   {self._starling('monitor')}

"""

    @staticmethod
    def _name(replica: Replica) -> str:
        return replica.settings["replica"]["name"]

    def _starling(self, command: str) -> str:
        return f"{starling_binary()} {command} --url http://127.0.0.1:{self.port} --key {self.replica.key}"

    # In the foreground

    def watch(self, ended: threading.Event) -> None:
        gone: dict[str, float] = {}
        while not ended.wait(0.2):
            for replica in list(self.replicas):
                if replica.child.is_running:
                    continue
                if len(self.replicas) == 1:
                    sys.exit(f"the replica ended by itself with {replica.child.process.returncode}")
                print(f"-- {self._name(replica)} is gone; the others go on", flush=True)
                self.replicas.remove(replica)
            for name, worker in list(self.workers.items()):
                if worker.child.is_running:
                    continue
                if name not in gone:
                    print(f"-- {name} is gone; it comes back in {BACK_AFTER_SECONDS} s", flush=True)
                    gone[name] = time.monotonic()
                elif time.monotonic() - gone[name] > BACK_AFTER_SECONDS:
                    facts = next(facts for facts in FLOCK if facts["name"] == name)
                    self.workers[name] = Simulator(time_scale=1, port=worker.port, **facts)
                    del gone[name]
                    print(f"-- {name} is back, pid {self.workers[name].child.pid}", flush=True)

    # Once, by itself

    def try_everything(self) -> None:
        plain = self._paste(self.plain)
        expect(plain.startswith("HTTP/1.1 200"), "the plain curl answers 200", plain)
        expect('"choices"' in plain and '"usage"' in plain, "the plain answer has choices and usage", plain)
        expect(self._worker_of(plain) in self.workers, "x-starling-worker names one of the flock", plain)

        story = self._paste(self.stream.replace('"max_tokens": 900', '"max_tokens": 20'))
        expect("text/event-stream" in story and story.rstrip().endswith("data: [DONE]"), "the stream ends with [DONE]", story)

        cut, worker = self._kill_during_stream()
        expect('data: {"error":' in cut, "the stream of a killed worker ends with an error event", cut)
        line = self.replica.child.line_where(
            lambda line: line.json().get("worker") == worker and line.json().get("outcome") not in (None, "answered"),
            what=f"an access line telling that {worker} broke a stream")
        print(f"   the log says: {line.text}")

        again = self._paste(self.plain)
        expect(again.startswith("HTTP/1.1 200") and self._worker_of(again) != worker, "another worker answers", again)

        if len(self.replicas) > 1:
            self._lose_a_replica()

    def _lose_a_replica(self) -> None:
        """Each knows all; one that is killed is known to be dead by the others."""
        def statuses() -> dict[str, str]:
            page = json.loads(self._paste(self._starling("members --format json"), quietly=True))
            return {member["name"]: member["status"] for member in page["members"]}

        names = {self._name(replica) for replica in self.replicas}
        until("all replicas are alive", lambda: {name for name, status in statuses().items() if status == "alive"} == names)
        print("   ok: starling members lists all replicas as alive", flush=True)
        last = self.replicas[-1]
        last.child.kill()
        until("the killed one is dead", lambda: statuses().get(self._name(last)) == "dead", 8)
        print("   ok: one that is killed is dead for the others", flush=True)

    def _paste(self, command: str, quietly: bool = False) -> str:
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
        if not quietly or done.returncode != 0:
            expect(done.returncode == 0, f"{shlex.split(command)[0]} ends well", done.stderr)
        return done.stdout

    def _worker_of(self, answer: str) -> str:
        found = re.search(r"(?im)^x-starling-worker: *(\S+)", answer)
        expect(found is not None, "the answer has an x-starling-worker header", answer)
        return found.group(1)

    def _kill_during_stream(self) -> tuple[str, str]:
        """Read until there is content, kill the worker that sends it, read to the end."""
        curling = subprocess.Popen(["bash", "-c", f"exec {self.stream}"], stdout=subprocess.PIPE)
        guard = threading.Timer(60, curling.kill)
        guard.start()
        text = ""
        worker = None
        for raw in curling.stdout:
            text += raw.decode()
            if worker is None and '"content":"' in text:
                worker = self._worker_of(text)
                os.kill(self.workers[worker].child.pid, signal.SIGKILL)
        guard.cancel()
        expect(worker is not None, "the stream brought content", text)
        expect(curling.wait() == 0, "curl sees a well-formed end", text[-500:])
        return text, worker

    def stop(self) -> None:
        for replica in self.replicas:
            replica.child.stop()
        for worker in self.workers.values():
            worker.child.stop()
        self.shared.cleanup()


def expect(holds: bool, what: str, seen: str) -> None:
    if not holds:
        sys.exit(f"not so: {what}\n{seen}")
    print(f"   ok: {what}", flush=True)


def port_and_end(ports: int = 1) -> tuple[int, threading.Event]:
    """The port that was asked for, known to be free with those behind it, and what is set when somebody ends the show."""
    port = int(os.environ.get("DEMO_PORT", "8000"))
    for number in range(ports if port else 0):
        refuse_taken_port(port + number)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return port, ended


def main() -> None:
    replicas = int(os.environ.get("DEMO_REPLICAS", REPLICAS))
    port, ended = port_and_end(replicas)
    try:
        demo = Demo(port, replicas)
    except AssertionError as failure:
        sys.exit(str(failure))
    try:
        demo.explain()
        if os.environ.get("DEMO_ONCE"):
            demo.try_everything()
        else:
            demo.watch(ended)
    finally:
        demo.stop()
    print("all ended")


if __name__ == "__main__":
    main()
