"""The child process that judges Strudel: cases in, verdicts out, one JSON object a line.

    python -m polytune.strudel.host BUNDLE [--cycles 4] [--timeout 2] [--memory 256] [--sound NAME ...]

It prints `{"ready": true}` once the engine has judged a canary rightly, ends when its input ends, and
ends itself when a program holds the engine past every limit.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO

import msgspec

from polytune.strudel.engine import Engine, EngineBroken, Limits, Outcome, limit_process
from polytune.strudel.vocabulary import sounds

grace_seconds = 1.5
exit_broken = 3


class Line(msgspec.Struct):
    """The part of a case that the engine needs."""

    id: int
    answer: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges every line of the input, then ends the process."""
    options = _parsed(arguments)
    limits = Limits(options.cycles, options.timeout, options.memory)
    replies = _own_output()
    # What mini-racer's callbacks say about an isolate that was just discarded is no news to anybody.
    sys.unraisablehook = lambda _: None
    limit_process(limits.memory_mb)
    engine = Engine(options.bundle, limits, sounds().and_also(options.sound))
    code = _serve(engine, limits, replies)
    # An isolate that still runs something would keep a normal exit waiting for it.
    os._exit(code)


def _serve(engine: Engine, limits: Limits, replies: IO[bytes]) -> int:
    try:
        engine.start()
        _say(replies, {"ready": True})
        for text in sys.stdin.buffer:
            line = msgspec.json.decode(text, type=Line)
            engine.start()
            with _given_up(replies, line.id, limits):
                outcome = engine.judge(line.answer)
            _say(replies, _verdict(line.id, outcome))
    except EngineBroken as error:
        sys.stderr.write(f"{error}\n")
        return exit_broken
    return 0


@contextmanager
def _given_up(replies: IO[bytes], case: int, limits: Limits) -> Iterator[None]:
    """Fails the case and ends the process when the engine cannot be stopped: promises that loop."""

    def give_up() -> None:
        reason = f"takes longer than {limits.timeout_seconds:g} s"
        outcome = Outcome(passed=False, stage="time", reason=reason)
        _say(replies, {**_verdict(case, outcome), "last": True})
        os._exit(0)

    watchdog = Timer(limits.timeout_seconds + grace_seconds, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _verdict(case: int, outcome: Outcome) -> dict[str, object]:
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
    """The replies' stream; whatever else prints goes to stderr, so that it cannot pose as a verdict."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="polytune.strudel.host")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cycles", type=int, default=Limits.cycles)
    parser.add_argument("--timeout", type=float, default=Limits.timeout_seconds)
    parser.add_argument("--memory", type=int, default=Limits.memory_mb)
    parser.add_argument("--sound", action="append", default=[])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
