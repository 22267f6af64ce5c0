"""A judge in a supervised child process: one JSON object per line in each direction, one case at a time.

    to the child     {"id": 7, "prompt": ..., "answer": ..., "reference": ..., "variables": {...}}
    from the child   {"id": 7, "passed": true, "score": 0.5, "reason": "...", "details": {...}}

`score`, `reason` and `details` are optional. A child may print `{"ready": true}` once it is able to judge,
and include `"last": true` in the last reply before it exits. Replies to earlier cases are ignored. A child
that dies or exceeds a timeout is killed together with everything it started, and replaced; the case that
broke it fails.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from polytune import umask
from polytune.errors import StepFailed
from polytune.graders.interface import Case, Verdict

# A judge that fails three times in a row is broken itself; one bad answer must not end a run.
fruitless_limit = 3
# Bytes. Bounds what a runaway judge can make this process buffer.
longest_line = 64 << 20
stderr_kept = 4000
closing_seconds = 2.0
supervisor = str(Path(__file__).with_name("_supervisor.py"))
cannot_start = 127


@dataclass(frozen=True)
class Launch:
    """How to start a judge, and how long to wait for it."""

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    timeout_seconds: float
    startup_seconds: float
    place: str
    """The judge's name in messages: 'grader command `python judge.py`'."""
    remedy: str
    """What the user can do if it does not work."""
    announces: bool = False
    """Whether it prints `ready` once it can judge. If so, no case is sent before."""


class JudgeReply(msgspec.Struct):
    """One line from the child."""

    id: int | None = None
    ready: bool = False
    last: bool = False
    passed: bool | None = None
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    reason: str = ""
    details: dict[str, str | int | float | bool] = {}


class Broke(Exception):
    """The child exited or did not answer in time; the message says which."""

    def __init__(self, how: str, said: str, status: int | None = None) -> None:
        super().__init__(how)
        self.said = said
        self.status = status
        self.blameless = status == 0
        """Whether the case being judged may not be the cause."""


class Judge:
    """Sends cases to a child process, and replaces the process if it fails."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._child: Child | None = None
        # The protocol has one case in flight: a case that kills the child can then be named.
        self._one_at_a_time = asyncio.Lock()
        self._asked = 0
        self._answers = False
        self._fruitless = 0

    async def judge(self, case: Case) -> Verdict:
        """The child's verdict, or a failing verdict that says how the case broke the child.

        Raises StepFailed if no child can be started, if three in a row fail without giving a verdict, or if
        a reply is not a verdict.
        """
        async with self._one_at_a_time:
            while True:
                try:
                    verdict = await self._ask(case)
                except Broke as broke:
                    await self._drop()
                    self._fruitless += 1
                    if self._fruitless >= fruitless_limit or broke.status == cannot_start:
                        raise self._hopeless(broke) from broke
                    # Before the first verdict ever the fault may be the judge's, and a child that ended in
                    # order may have done so before it saw the case: in both, ask a fresh one.
                    if self._answers and not broke.blameless:
                        return Verdict(passed=False, score=0.0, reason=f"the judge {broke}")
                else:
                    self._answers, self._fruitless = True, 0
                    return verdict

    async def close(self) -> None:
        """The child and every process that it started have exited."""
        async with self._one_at_a_time:
            if self._child is not None:
                await self._child.finish()
            await self._drop()

    async def _ask(self, case: Case) -> Verdict:
        child = await self._ready()
        # A new id per attempt, so that a late reply to the first attempt is not taken for the second's.
        self._asked += 1
        line = msgspec.json.encode({"id": self._asked, **msgspec.to_builtins(case)}) + b"\n"
        reply = await child.ask(self._asked, line)
        return self._verdict(reply)

    async def _ready(self) -> Child:
        if self._child is not None and self._child.ended():
            await self._drop()
        if self._child is None:
            self._child = await Child.start(self._launch)
            if self._launch.announces:
                await self._announced(self._child)
        return self._child

    async def _announced(self, child: Child) -> None:
        try:
            await child.announced()
        # No case has been sent yet, so none can be the cause.
        except Broke as broke:
            broke.blameless = True
            raise
        self._answers, self._fruitless = True, 0

    async def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.kill()

    def _verdict(self, reply: JudgeReply) -> Verdict:
        if reply.passed is None:
            raise StepFailed(f"{self._launch.place}: a reply has no 'passed'. {self._launch.remedy}")
        score = float(reply.passed) if reply.score is None else reply.score
        reason = reply.reason or ("" if reply.passed else "the judge gave no reason")
        return Verdict(passed=reply.passed, score=score, reason=reason, details=reply.details)

    def _hopeless(self, broke: Broke) -> StepFailed:
        said = f" Its last words:\n{broke.said}" if broke.said else " It said nothing on stderr."
        times = "" if broke.status == cannot_start else f" {self._fruitless} times in a row"
        return StepFailed(f"{self._launch.place}: it {broke}{times}. {self._launch.remedy}{said}")


class Child:
    """One running judge and its supervisor."""

    def __init__(self, launch: Launch, process: asyncio.subprocess.Process, pipe: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._launch, self._process, self._pipe = launch, process, pipe
        self._input, self._output = process.stdin, process.stdout
        self._said = bytearray()
        self._listener = asyncio.create_task(self._listen(process.stderr))
        self._fresh = True
        self._over = False

    @classmethod
    async def start(cls, launch: Launch) -> Child:
        """A child has been started. Whether it can judge shows at the first case."""
        # The supervisor kills the judge when this pipe closes: also if polytune itself is killed.
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                # Isolated and without site-packages: the supervisor starts fast and imports no foreign code.
                *(sys.executable, "-I", "-S", supervisor, str(reading), *launch.command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=launch.folder,
                env=dict(launch.environment),
                pass_fds=(reading,),
                umask=umask.usual(),
                # Longer than asyncio's 64 KiB: a verdict may quote the answer.
                limit=longest_line,
                # Ctrl-C reaches polytune only, which then closes its judges in order.
                start_new_session=True,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return cls(launch, process, writing)

    def ended(self) -> bool:
        """Whether the process has exited, has closed its output, or has sent its last reply."""
        return self._over or self._process.returncode is not None or self._output.at_eof()

    async def announced(self) -> None:
        """The child has printed `ready`. Raises Broke if it exits or does not print it in time."""
        while not (await self._within(self._launch.startup_seconds, self._reply())).ready:
            continue

    async def ask(self, number: int, line: bytes) -> JudgeReply:
        """The reply to case `number`; replies to earlier cases are ignored. Raises Broke."""
        seconds = self._launch.timeout_seconds + (self._launch.startup_seconds if self._fresh else 0)
        return await self._within(seconds, self._exchange(number, line))

    async def finish(self) -> None:
        """The child's input is closed, and the child had two seconds to exit by itself."""
        self._input.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), closing_seconds)

    async def kill(self) -> None:
        """The child and everything it started have been killed, and their pipes are closed."""
        # Closing the pipe makes the supervisor kill the whole process group. Kill the supervisor itself only
        # if it does not react: then its children may survive.
        self._let_go()
        self._input.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), closing_seconds)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        with suppress(TimeoutError, OSError, ValueError):
            await asyncio.wait_for(self._output.read(), closing_seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._listener, closing_seconds)
        with suppress(OSError):
            await self._input.wait_closed()

    async def _exchange(self, number: int, line: bytes) -> JudgeReply:
        # A child that died while it was idle shows as a broken pipe here; reading its output tells how.
        with suppress(ConnectionError):
            self._input.write(line)
            await self._input.drain()
        while True:
            reply = await self._reply()
            if reply.id == number:
                self._fresh, self._over = False, reply.last
                return reply
            # A reply to a case not sent yet, or without an id, means that the program breaks the protocol.
            if not reply.ready and (reply.id is None or not 0 < reply.id < number):
                raise self._nonsense(f"replied to case {reply.id}, which was not sent")

    async def _reply(self) -> JudgeReply:
        try:
            line = await self._output.readline()
        except ValueError:
            raise self._nonsense(f"printed a line longer than {longest_line >> 20} MiB") from None
        if not line.strip():
            if line:
                return await self._reply()
            raise await self._death()
        try:
            return msgspec.json.decode(line, type=JudgeReply)
        except msgspec.DecodeError as error:
            shown = line[:200].decode(errors="replace").strip()
            raise self._nonsense(f"printed a line that is not a verdict ({error}): {shown}") from None

    async def _within(self, seconds: float, work: Coroutine[object, object, JudgeReply]) -> JudgeReply:
        try:
            return await asyncio.wait_for(work, seconds)
        except TimeoutError:
            raise Broke(f"gave no verdict within {seconds:g} s", self._tail()) from None

    async def _death(self) -> Broke:
        # Wait for the rest of stderr, which says why. Shielded: `kill` waits for the same task.
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._listener), closing_seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), closing_seconds)
        status = self._process.returncode
        if status is None:
            return Broke("closed its output", self._tail())
        if status == cannot_start:
            return Broke("could not be started", self._tail(), status)
        how = f"was ended by signal {status - 128}" if status > 128 else f"ended with status {status}"
        return Broke(how, self._tail(), status)

    def _nonsense(self, what: str) -> StepFailed:
        return StepFailed(f"{self._launch.place}: it {what}. {self._launch.remedy}")

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(4096):
            self._said += chunk
            # Read always, so that a talkative judge never blocks on a full pipe; only the end is kept.
            del self._said[:-stderr_kept]

    def _tail(self) -> str:
        return self._said.decode(errors="replace").strip()

    def _let_go(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
