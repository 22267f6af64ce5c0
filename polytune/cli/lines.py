"""Events as plain or JSON lines, for pipes, logs and simple terminals."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

import msgspec

seconds_between_lines = 5.0
"""Progress lines per step are this far apart, so that a log of hours stays readable."""


def line_of(event: Mapping[str, Any]) -> str:
    """One line for an event; '' for events that are not meant for people."""
    step = f"  {event.get('step', ''):<10} "
    match event["event"]:
        case "step_waiting":
            return f"{step}waiting  for {event['holder']}"
        case "step_started":
            return f"{step}started  {'; '.join(event['because'])}".rstrip()
        case "step_replanned":
            return f"{step}edited   since the plan: {'; '.join(event['because'])}"
        case "step_progress":
            return step + progress_text(event)
        case "step_restored":
            return f"{step}restored {'; '.join(event['because'])}: {', '.join(event['files'])}"
        case "step_cached":
            return f"{step}cached   from {event['from_run']}"
        case "step_finished":
            return f"{step}done     {event['seconds']:.1f} s{usage_text(event)}"
        case "step_warning":
            return f"{step}warning  {event['message']}"
        case "step_failed":
            return f"{step}FAILED   {event['message']}"
        case "step_skipped":
            return f"{step}skipped  {event['message']}"
        case "step_paused":
            return f"{step}paused   {event['message']}"
        case "step_left":
            return f"{step}waiting  {event['message']}"
        case "run_detached":
            return f"{step}detached The job keeps running without polytune. To stop it: {event['stop']}"
        case _:
            return ""


def progress_text(event: Mapping[str, Any]) -> str:
    """The progress as `312/400 answers  limited by ...  $2.41`."""
    done, total = event["done"], event["total"]
    count = (
        f"{done:.0f}/{total:.0f} {event['unit']}" if event["unit"] else f"{100 * done / (total or 1):.0f}%"
    )
    money = f"  ${event['usd']:.2f}" if event.get("usd") else ""
    return f"{count}  {event['note']}{money}".rstrip()


def usage_text(event: Mapping[str, Any]) -> str:
    """The usage as `, 400 answers asked, 600 reused`; '' when there is none."""
    usage = event.get("usage") or {}
    if not usage:
        return ""
    return f"   {usage['requests']:,} answers asked, {usage['reused']:,} reused"


class Display(Protocol):
    """Shows the events of a run as they happen."""

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Show the event, if this display shows its kind."""

    def close(self) -> None:
        """Restore the terminal."""


class PlainLines:
    """A listener that prints one line per event, and progress at most every few seconds."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self._last: dict[str, float] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "step_progress" and self._recent(str(event["step"])):
            return
        line = line_of(event)
        if line:
            print(line, file=self.out, flush=True)

    def _recent(self, step: str) -> bool:
        # The first progress event is held back too: short steps then print only their start and end.
        now = time.monotonic()
        first = self._last.setdefault(step, now)
        if now - first < seconds_between_lines:
            return True
        self._last[step] = now
        return False

    def close(self) -> None:
        """Do nothing: plain lines need no cleanup."""


class JsonLines:
    """A listener that prints every event as one JSON object per line, for programs."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def __call__(self, event: Mapping[str, Any]) -> None:
        # `enc_hook`: paths and other values without a JSON form become strings.
        print(msgspec.json.encode(event, enc_hook=str).decode(), file=self.out, flush=True)

    def close(self) -> None:
        """Do nothing: JSON lines need no cleanup."""
