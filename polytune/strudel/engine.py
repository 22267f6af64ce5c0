"""Strudel's own engine in a bare V8 isolate, and the child process that judges with it.

    python -m polytune.strudel.engine BUNDLE [--cycles 4] [--timeout 2] [--memory 256] [--sound NAME ...]

It reads cases and prints verdicts, one JSON object per line. It prints `{"ready": true}` once the engine has
judged a canary program correctly. It exits at the end of its input, or when a program cannot be stopped after
all limits have expired.

The isolate has no host functions: no files, no network, no timers. After a program that loops, exhausts the
memory or changes built-ins, the isolate is replaced. Every new isolate must judge the canary correctly first.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import IO

import msgspec
from py_mini_racer import JSEvalException, JSFunction, JSOOMException, JSTimeoutException, MiniRacer

from polytune.strudel.vocabulary import Sounds, editor_names, sounds

# Programs may leave traces in an isolate that no check finds, so it is replaced regularly.
runs_per_isolate = 1000
starting_seconds = 30.0
# Strudel's packages read this clock when they load; a bare isolate has none.
prelude = "globalThis.performance = {now: () => 0};"
canary = 's("bd sd")'


class EngineBroken(Exception):
    """A new isolate does not judge the canary correctly."""


@dataclass(frozen=True)
class EngineLimits:
    """Limits for one program."""

    cycles: int = 4
    timeout_seconds: float = 2.0
    memory_mb: int = 256


class EngineOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one program."""

    passed: bool
    stage: str
    """Where it ended: parse, evaluate, type, query, sound, silent, logged, tampering, time, memory, done."""
    reason: str = ""
    onsets: int = 0
    """Events that start within the evaluated cycles."""
    sounds: int = 0
    """Distinct sounds among them."""
    dirty: bool = False
    """Whether the isolate cannot be restored and must be replaced."""


class Engine:
    """Judges programs one at a time, in an isolate that is replaced when a program has damaged it."""

    def __init__(self, bundle: Path, limits: EngineLimits, known: Sounds) -> None:
        self._limits = limits
        self._source = bundle.read_text(encoding="utf-8")
        self._judge = files(__package__).joinpath("javascript", "judge.js").read_text(encoding="utf-8")
        self._known = _as_json(known)
        self._isolate: MiniRacer | None = None
        self._call: JSFunction | None = None
        self._runs = 0

    def judge(self, code: str) -> EngineOutcome:
        """The engine's result for one program."""
        call = self._ready()
        self._runs += 1
        outcome = self._limited(call, code)
        if outcome.dirty or self._runs >= runs_per_isolate:
            self.close()
        return outcome

    def start(self) -> None:
        """An isolate is loaded and has judged the canary correctly. Raises EngineBroken otherwise."""
        self._ready()

    def close(self) -> None:
        """The isolate is closed and its memory freed."""
        if self._isolate is not None:
            self._isolate.close()
        self._isolate = self._call = None

    def _ready(self) -> JSFunction:
        if self._call is None:
            try:
                self._call = self._opened()
            except BaseException:
                self.close()
                raise
            self._runs = 0
        return self._call

    def _opened(self) -> JSFunction:
        isolate = self._isolate = MiniRacer()
        isolate.eval(f"{prelude}\n{self._source};0")
        call = isolate.eval(f"{self._judge}(strudelPackages, {self._known}, {self._limits.cycles})")
        if not isinstance(call, JSFunction):
            raise EngineBroken(f"the bundle gave {type(call).__name__} instead of a judge")
        isolate.set_hard_memory_limit(self._limits.memory_mb << 20)
        outcome = self._limited(call, canary, seconds=starting_seconds)
        if not outcome.passed or outcome.onsets != 2 * self._limits.cycles:
            raise EngineBroken(f"the engine judges {canary} wrongly: {outcome.reason or outcome.onsets}")
        return call

    def _limited(self, call: JSFunction, code: str, seconds: float | None = None) -> EngineOutcome:
        allowed = seconds or self._limits.timeout_seconds
        deadline = monotonic() + allowed
        try:
            # Two calls, so that promises of the program can settle in between; they share one deadline.
            call("begin", code, timeout_sec=allowed)
            answer = call("finish", timeout_sec=max(0.01, deadline - monotonic()))
            return msgspec.json.decode(str(answer), type=EngineOutcome)
        except JSTimeoutException:
            return _spoilt("time", f"takes longer than {self._limits.timeout_seconds:g} s")
        except JSOOMException:
            return _spoilt("memory", f"needs more than {self._limits.memory_mb} MB")
        except (JSEvalException, msgspec.DecodeError) as error:
            # A program may catch the out-of-memory error, and then fail in another way.
            if self._isolate is not None and self._isolate.was_hard_memory_limit_reached():
                return _spoilt("memory", f"needs more than {self._limits.memory_mb} MB")
            return _spoilt("evaluate", _first_line(str(error)))


def limit_process(memory_mb: int) -> None:
    """Limits this process to the isolate's memory, buffers outside of it, and little else. No core dumps."""
    # V8's limit covers its own heap only: array buffers are allocated outside of it.
    held = (memory_mb * 3 + 1024) << 20
    _lower(resource.RLIMIT_DATA, held)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, hard))


def _spoilt(stage: str, reason: str) -> EngineOutcome:
    return EngineOutcome(passed=False, stage=stage, reason=reason, dirty=True)


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["unknown error"])[0][:300]


def _as_json(known: Sounds) -> str:
    functions_added, methods_added = editor_names()
    return json.dumps(
        {
            "sounds": sorted(known.names),
            "drums": sorted(known.drums),
            "banks": sorted(known.banks),
            "editorFunctions": sorted(functions_added),
            "editorMethods": sorted(methods_added),
        }
    )


# V8 stops a program at its next check, and replies take time: wait this long beyond the limit.
grace_seconds = 1.5
exit_broken = 3


class CaseLine(msgspec.Struct):
    """The part of a case that the engine needs."""

    id: int
    answer: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges every line of the input, then exits the process."""
    options = _parsed(arguments)
    limits = EngineLimits(options.cycles, options.timeout, options.memory)
    replies = _own_output()
    # Callbacks of mini-racer for a closed isolate raise errors that nothing can handle; do not print them.
    sys.unraisablehook = lambda _: None
    limit_process(limits.memory_mb)
    engine = Engine(options.bundle, limits, sounds().and_also(options.sound))
    code = _serve(engine, limits, replies)
    # A normal exit would wait for an isolate that is still running something.
    os._exit(code)


def _serve(engine: Engine, limits: EngineLimits, replies: IO[bytes]) -> int:
    try:
        engine.start()
        _say(replies, {"ready": True})
        for text in sys.stdin.buffer:
            line = msgspec.json.decode(text, type=CaseLine)
            # Replace a discarded isolate before the clock of this case starts.
            engine.start()
            with _given_up(replies, line.id, limits):
                outcome = engine.judge(line.answer)
            _say(replies, _verdict(line.id, outcome))
    except EngineBroken as error:
        sys.stderr.write(f"{error}\n")
        return exit_broken
    return 0


@contextmanager
def _given_up(replies: IO[bytes], case: int, limits: EngineLimits) -> Iterator[None]:
    """Fails the case and exits the process if the engine cannot be stopped: an endless chain of promises."""

    def give_up() -> None:
        reason = f"takes longer than {limits.timeout_seconds:g} s"
        outcome = EngineOutcome(passed=False, stage="time", reason=reason)
        _say(replies, {**_verdict(case, outcome), "last": True})
        os._exit(0)

    watchdog = Timer(limits.timeout_seconds + grace_seconds, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _verdict(case: int, outcome: EngineOutcome) -> dict[str, object]:
    details = {"stage": outcome.stage, "onsets": outcome.onsets, "sounds": outcome.sounds}
    return {
        "id": case,
        "passed": outcome.passed,
        "score": float(outcome.passed),
        "reason": " ".join(outcome.reason.split()),
        "details": details,
    }


def _say(replies: IO[bytes], message: dict[str, object]) -> None:
    replies.write(msgspec.json.encode(message) + b"\n")
    replies.flush()


def _own_output() -> IO[bytes]:
    """The stream for replies. Any other output goes to stderr, so that it is never taken for a verdict."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="polytune.strudel.engine")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cycles", type=int, default=EngineLimits.cycles)
    parser.add_argument("--timeout", type=float, default=EngineLimits.timeout_seconds)
    parser.add_argument("--memory", type=int, default=EngineLimits.memory_mb)
    parser.add_argument("--sound", action="append", default=[])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
