"""A run's events: one JSON object per line in `events.jsonl`; listeners (the screen) get the same events.

    run_started     experiment, run_id, steps
    step_waiting    step, holder                another run is working on the same step
    step_started    step, kind, because
    step_replanned  step, because                what was edited since the plan, or since the run was stopped
    step_progress   step, done, total, unit, note, usd        (all to the screen, one per second to the file)
    step_restored   step, files, because
    step_cached     step, from_run
    step_finished   step, seconds, digest, metrics?, usage?
    step_warning    step, message                something was noticed that fails nothing
    step_failed     step, message
    step_crashed    step, error, exception       a bug; the traceback, never its local variables
    step_skipped    step, message
    step_paused     step, message                it needs something from outside; `resume` continues it
    step_left       step, message                its job is still running and this run does not wait for it
    run_finished    status, seconds
    run_detached    step, stop                   a job was left running; `stop` is the command that ends it

Every event has `timestamp` (UTC) and `event`. Secrets are redacted by value and by name.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import structlog

from polytune.engine.execute import Log

Event = Mapping[str, Any]
Listener = Callable[[Event], None]

secret_names = re.compile(r"(?i)(secret|token|password|passwd|api_?key|credential|authorization)")
# Counts of tokens match "token" in the pattern above, and are wanted in the log.
not_secret = frozenset({"input_tokens", "output_tokens", "max_tokens", "tokens"})
shortest_secret = 6
"""Shorter values are not redacted: replacing every occurrence would damage unrelated text."""
progress_seconds = 1.0
hidden = "[redacted]"


class Redactor:
    """Replaces secret values wherever they occur, and any value under a secret name."""

    def __init__(self, values: Iterable[str]) -> None:
        # Longest first: a secret that contains another one must not be cut in two.
        self.values = sorted({v for v in values if len(v) >= shortest_secret}, key=len, reverse=True)

    def __call__(self, value: Any, name: str = "") -> Any:
        """Return the same JSON value without secrets; other objects become text."""
        if isinstance(value, Mapping):
            # Below a secret name every value is secret, however its own key is called.
            inside = {str(key): name if _is_secret(name) else str(key) for key in value}
            return {self.text(str(key)): self(item, inside[str(key)]) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item, name) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return hidden if _is_secret(name) else self.text(str(value))

    def text(self, value: str) -> str:
        """Return the text without secret values."""
        for secret in self.values:
            value = value.replace(secret, hidden)
        return value


def _is_secret(name: str) -> bool:
    return name not in not_secret and secret_names.search(name) is not None


def secret_values(environment: Mapping[str, str], references: Iterable[str] = ()) -> list[str]:
    """Return the values of variables named by `${secret:NAME}` references or by a secret-looking name."""
    named = {reference.removeprefix("${secret:").removesuffix("}") for reference in references}
    return [value for name, value in environment.items() if name in named or secret_names.search(name)]


class EventFile:
    """Writes events as JSON lines and passes each to the listeners."""

    def __init__(self, file: BinaryIO, redact: Redactor, listeners: Iterable[Listener]) -> None:
        self.file = file
        self.redact = redact
        self.listeners = tuple(listeners)
        self._last_progress: dict[str, float] = {}

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        """Write the event, unless it is progress too soon after the last. Last structlog processor."""
        clean = self.redact(event)
        for listener in self.listeners:
            listener(clean)
        if not self._too_soon(clean):
            self.file.write(msgspec.json.encode(clean) + b"\n")
            # Flushed, not fsynced: the log survives a crash of the process. Only the ledger and the
            # manifest must survive a power failure.
            self.file.flush()
        # The event is written here; structlog's own output must not print it again.
        raise structlog.DropEvent

    def _too_soon(self, event: Event) -> bool:
        if event["event"] != "step_progress":
            return False
        now, step = time.monotonic(), str(event["step"])
        if now - self._last_progress.get(step, -progress_seconds) < progress_seconds:
            return True
        self._last_progress[step] = now
        return False


@contextmanager
def open_log(path: Path, redact: Redactor, listeners: Iterable[Listener]) -> Iterator[Log]:
    """Yield a structlog logger that appends to `path`. A resumed run continues the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        logger: Log = structlog.wrap_logger(
            structlog.PrintLogger(),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                EventFile(file, redact, listeners),
            ],
            wrapper_class=structlog.BoundLogger,
        )
        yield logger
