"""Measures the client that asks teachers, beside a bare aiohttp loop that asks the same server.

    python tests/benchmarks/bench_asking.py [--only plain|faults|capped|cached] [--rounds 3] [--json]

A server on loopback, in a process of its own, answers as an OpenAI-compatible one. The bare loop is 64
workers that post, wait out Retry-After, and append each answer to a file: no memory, no limits, no budget.
Bare and polytune take turns; each turn is a process of its own, and the ratio is of turns that ran one
after the other, since a busy machine slows both. Of polytune, two times are told: that of asking, from
before the first request until every answer is durable, and that of the whole generate step, with planning
before and writing the samples after. CPU is of the asking process alone, for the whole step.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from polytune.engine.step import Progress
from tests.asking.asking_steps import Shop, openai

in_flight = 64
system = "You write Strudel. Answer with one expression, code only, no fences. " * 30
"""About 2,000 characters, so that a request is of realistic size."""
answer = 'stack(\n  s("bd*4, ~ cp ~ cp"),\n  note("c2 eb2 g2").s("sawtooth").lpf(500)\n).cpm(128/4)' * 3


@dataclass(frozen=True)
class Course:
    """What the server does, and how many answers are wanted."""

    name: str
    count: int
    seconds: float
    refused: float = 0.0
    broken: float = 0.0
    cap: float = 0.0
    """Requests a second that are let through; 0 for all."""


courses = {
    course.name: course
    for course in (
        Course("plain", 10_000, 0.05),
        Course("faults", 2_000, 0.2, refused=0.02, broken=0.01),
        Course("capped", 2_000, 0.2, cap=150.0),
    )
}
cap_burst = 150.0
"""The cap's bucket holds a second's worth."""


# the server


class Server:
    """What requests get."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.dice = random.Random(7)
        self.level = cap_burst
        self.since = time.monotonic()
        self.asked = self.refused = self.broken = self.answered = 0

    def status(self) -> int:
        """The status that the next request gets."""
        self.asked += 1
        rolled = self.dice.random()
        if rolled < self.course.refused or (self.course.cap and not self._let_through()):
            self.refused += 1
            return 429
        if rolled < self.course.refused + self.course.broken:
            self.broken += 1
            return 500
        self.answered += 1
        return 200

    def _let_through(self) -> bool:
        now = time.monotonic()
        self.level = min(cap_burst, self.level + (now - self.since) * self.course.cap)
        self.since = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


completion = json.dumps(
    {
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}
        ],
        "usage": {"prompt_tokens": 500, "completion_tokens": 90},
    }
).encode()


class Connection(asyncio.Protocol):
    """One kept-alive connection: enough HTTP for clients that send whole bodies."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each whole request after the course's latency."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(self.received) < end + 4 + length:
                return
            path = head.split(b" ", 2)[1]
            self.received = self.received[end + 4 + length :]
            self._answer(path)

    def _answer(self, path: bytes) -> None:
        server = self.server
        if path == b"/state":
            state = {name: getattr(server, name) for name in ("asked", "refused", "broken", "answered")}
            self._send(200, json.dumps(state).encode())
            server.asked = server.refused = server.broken = server.answered = 0
            return
        status = server.status()
        if status == 200:
            asyncio.get_running_loop().call_later(server.course.seconds, self._send, 200, completion)
        else:
            self._send(status, b'{"error": {"message": "scripted"}}')

    def _send(self, status: int, body: bytes) -> None:
        later = b"Retry-After: 1\r\n" if status == 429 else b""
        head = b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (
            status,
            len(body),
        )
        self.transport.write(head + later + b"\r\n" + body)


async def serve(course: Course) -> None:
    """Serves until the process is ended; the port is printed."""
    server = Server(course)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


@contextmanager
def served(course: Course) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, __file__, "--serve", course.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


# who asks


async def bare(url: str, count: int, folder: Path) -> None:
    """64 workers that post; a refused question waits in its place."""
    numbers = iter(range(count))
    with (folder / "answers.jsonl").open("ab") as file:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def work() -> None:
                for number in numbers:
                    messages = [
                        {"role": "system", "content": system},
                        {"role": "user", "content": f"Piece {number}"},
                    ]
                    body = msgspec.json.encode({"model": "stub-1", "max_tokens": 2048, "messages": messages})
                    headers = {"Content-Type": "application/json"}
                    while True:
                        async with session.post(
                            f"{url}/v1/chat/completions", data=body, headers=headers
                        ) as response:
                            received = await response.read()
                            if response.status == 200:
                                break
                            pause = float(response.headers.get("Retry-After", "0.5"))
                        await asyncio.sleep(pause)
                    text = msgspec.json.decode(received)["choices"][0]["message"]["content"]
                    file.write(msgspec.json.encode({"prompt": number, "answer": text}) + b"\n")

            await asyncio.gather(*(work() for _ in range(in_flight)))


def shop(url: str, count: int, folder: Path) -> Shop:
    """A generate step that asks the server."""
    teacher = openai(f"{url}/v1")
    return Shop(folder, teacher, count=count, concurrency=in_flight, system=system, told=Timed())


class Timed(list[Progress]):
    """Reports, and when the first and the last one came."""

    times: ClassVar[list[float]] = []

    def append(self, report: Progress) -> None:
        """One more report, now."""
        self.times.append(time.monotonic())
        super().append(report)


def ask(who: str, url: str, count: int, folder: Path) -> dict[str, float]:
    """What one turn took."""
    wanted = shop(url, count, folder)
    if who != "bare":
        wanted.step()
    asyncio.run(_open_session())
    idle = resident()
    began, cpu = time.monotonic(), time.process_time()
    if who == "bare":
        asyncio.run(bare(url, count, folder))
    else:
        wanted.run()
    seconds, spent = time.monotonic() - began, time.process_time() - cpu
    times = Timed.times or [began, began + seconds]
    asking = times[-1] - times[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "asking": asking, "cpu": spent, "peak_mb": peak, "idle_mb": idle}


async def _open_session() -> None:
    """What the first session loads is loaded."""
    async with aiohttp.ClientSession():
        return


def resident() -> float:
    """Resident memory now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# measuring


def turn(who: str, url: str, course: Course, folder: Path) -> dict[str, Any]:
    """One turn in a process of its own, with what the server counted."""
    command = [sys.executable, __file__, "--ask", who, url, str(course.count), str(folder)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    whole = time.monotonic() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    return {
        "who": who,
        "whole_seconds": whole,
        **json.loads(done.stdout.splitlines()[-1]),
        **asyncio.run(state(url)),
    }


async def state(url: str) -> dict[str, int]:
    """What the server has counted since it was last asked."""
    host = urlsplit(url)
    async with aiohttp.ClientSession() as session, session.get(f"http://{host.netloc}/state") as response:
        counted: dict[str, int] = json.loads(await response.read())
        return counted


def measure(course: Course, rounds: int) -> dict[str, Any]:
    """Medians over turns of bare and polytune."""
    turns = []
    with served(course) as url, tempfile.TemporaryDirectory(prefix="bench-asking-") as name:
        for number in range(rounds):
            for who in ("bare", "polytune"):
                folder = Path(name) / f"{who}-{number}"
                folder.mkdir()
                turns.append(turn(who, url, course, folder))
        cached = [turn("polytune", url, course, Path(name) / "polytune-0") for _ in range(rounds)]
    pairs = [(turns[at], turns[at + 1]) for at in range(0, len(turns), 2)]
    ratios = [theirs["seconds"] / ours["asking"] for theirs, ours in pairs]
    whole = [theirs["seconds"] / ours["seconds"] for theirs, ours in pairs]
    ours, theirs = ([each for each in turns if each["who"] == who] for who in ("polytune", "bare"))
    return {
        "course": course.name,
        "ratio": statistics.median(ratios),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "whole_step_ratio": statistics.median(whole),
        "bare_per_second": course.count / statistics.median(each["seconds"] for each in theirs),
        "polytune_per_second": course.count / statistics.median(each["asking"] for each in ours),
        "bare_cpu_ms": 1000 * statistics.median(each["cpu"] for each in theirs) / course.count,
        "polytune_cpu_ms": 1000 * statistics.median(each["cpu"] for each in ours) / course.count,
        "above_idle_mb": max(each["peak_mb"] - each["idle_mb"] for each in ours),
        "peak_mb": max(each["peak_mb"] for each in ours),
        "asking_seconds": statistics.median(each["asking"] for each in ours),
        "whole_step_seconds": statistics.median(each["seconds"] for each in ours),
        "ideal_seconds": (course.count - cap_burst) / course.cap if course.cap else None,
        "refused": [each["refused"] for each in ours],
        "bare_refused": [each["refused"] for each in theirs],
        "paid": [each["answered"] for each in ours],
        "cached_seconds": statistics.median(each["seconds"] for each in cached),
        "cached_process_seconds": statistics.median(each["whole_seconds"] for each in cached),
        "cached_cpu_seconds": statistics.median(each["cpu"] for each in cached),
        "cached_peak_mb": max(each["peak_mb"] for each in cached),
        "cached_asked": sum(each["asked"] for each in cached),
    }


def main() -> None:
    """Prints the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=courses)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--ask", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        asyncio.run(serve(courses[chosen.serve]))
    elif chosen.ask:
        who, url, count, folder = chosen.ask
        print(json.dumps(ask(who, url, int(count), Path(folder))))
    else:
        for name in [chosen.only] if chosen.only else courses:
            found = measure(courses[name], chosen.rounds)
            if chosen.json:
                print(json.dumps(found))
            else:
                print(
                    *(
                        f"{key:<24}{value:.3f}" if isinstance(value, float) else f"{key:<24}{value}"
                        for key, value in found.items()
                    ),
                    "",
                    sep="\n",
                )


if __name__ == "__main__":
    main()
