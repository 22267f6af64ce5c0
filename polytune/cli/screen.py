"""Events on a terminal: finished steps as lines, running steps as live bars with rate and remaining time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from polytune.cli.lines import line_of, progress_text

marks = {
    "step_finished": ("✓", "green"),
    "step_cached": ("=", "cyan"),
    "step_restored": ("↺", "yellow"),
    "step_failed": ("✗", "red"),
    "step_skipped": ("-", "dim"),
    "step_replanned": ("~", "yellow"),
    "step_waiting": ("…", "yellow"),
    "run_detached": ("→", "yellow"),
}


class Rate(ProgressColumn):
    """Units per second, once it is known."""

    def render(self, task: Task) -> Text:
        """The rate as `6.1/s`; empty until it is known, and for steps that count no units."""
        return Text(f"{task.speed:.1f}/s" if task.speed and task.fields["unit"] else "")


class Screen:
    """A listener that shows one live bar per running step."""

    def __init__(self, console: Console) -> None:
        self.console = console
        # Transient: a finished step leaves its line, not its bar.
        self.progress = Progress(
            TextColumn("  {task.description:<10}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}"),
            Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self.bars: dict[str, TaskID] = {}
        self.progress.start()

    def __call__(self, event: Mapping[str, Any]) -> None:
        name, step = event["event"], str(event.get("step", ""))
        if name == "step_started":
            self.bars[step] = self.progress.add_task(
                step, total=None, told="; ".join(event["because"]), unit=""
            )
        elif name == "step_progress":
            self._advance(step, event)
        else:
            self._line(step, event)

    def _advance(self, step: str, event: Mapping[str, Any]) -> None:
        if step in self.bars:
            self.progress.update(
                self.bars[step],
                completed=event["done"],
                total=event["total"],
                told=progress_text(event),
                unit=event["unit"],
            )

    def _line(self, step: str, event: Mapping[str, Any]) -> None:
        mark, style = marks.get(event["event"], ("", ""))
        line = line_of(event)
        if not line:
            return
        if event["event"] != "step_waiting" and step in self.bars:
            self.progress.remove_task(self.bars.pop(step))
        # A `Text`, not a string: rich would read square brackets in messages as markup.
        self.console.print(Text(f"{mark}{line[1:]}", style=style), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the bars from the screen."""
        self.progress.stop()


def open_screen() -> Screen:
    """Open a screen on standard error, because stdout is for results; rich honours NO_COLOR."""
    return Screen(Console(stderr=True))
