"""`polytune gc`: lists data that no kept run needs, and deletes it with `--yes`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from polytune.cli import options
from polytune.engine.garbage import Garbage, Removal, RemovalKind, find_garbage, remove
from polytune.wiring import OpenWorkspace

titles = {
    RemovalKind.RUN: "runs and their results",
    RemovalKind.OBJECT: "stored contents",
    RemovalKind.STORAGE: "local storage",
    RemovalKind.JOB: "folders of ended jobs",
    RemovalKind.PARTIAL: "half-written outputs",
    RemovalKind.LOCK: "free locks",
}
units = ("bytes", "kB", "MB", "GB", "TB")


@click.command("gc")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    metavar="N",
    help="Keep each experiment's latest N runs, and what they reuse from older runs.",
)
@click.option("--yes", is_flag=True, help="Delete; without it, only list what would be deleted.")
@options.workspace
@options.as_json
def command(keep: int, yes: bool, workspace: Path | None, as_json: bool) -> None:
    """Delete data that no kept run needs; answers are never deleted."""
    opened = OpenWorkspace.open(None, workspace, writing=yes)
    found = find_garbage(opened.workspace, opened.ledger, keep)
    # Removal checks each item again under its lock: a run may have started since the list was made.
    gone = remove(found, opened.workspace, opened.ledger) if yes else ()
    if as_json:
        click.echo(msgspec.json.encode(_as_json(found, gone, opened, applied=yes)))
        return
    click.echo("\n".join(_lines(found, opened)))
    click.echo(_verdict(found, gone, applied=yes))
    if found.live:
        click.echo(f"in use, so kept with everything it may need: {', '.join(found.live)}", err=True)


def _lines(found: Garbage, opened: OpenWorkspace) -> Iterator[str]:
    for kind, title in titles.items():
        group = [removal for removal in found.removals if removal.kind is kind]
        if group:
            yield f"{title:<24}{len(group):>7,}   {size(sum(removal.bytes for removal in group))}"
        # Runs are what a user recognizes; stored contents are only counted.
        if kind is RemovalKind.RUN:
            yield from (f"  {opened.workspace.relative(r.path)}   {size(r.bytes)}" for r in group)
    yield f"{'kept':<24}{found.kept_runs:>7,}   runs"


def _verdict(found: Garbage, gone: Sequence[Removal], *, applied: bool) -> str:
    if not found.removals:
        return "nothing to delete"
    if not applied:
        return f"{size(found.bytes)} would be freed; nothing was deleted. To delete, run `polytune gc --yes`"
    left = len(found.removals) - len(gone)
    rest = f"; {left} now in use, kept" if left else ""
    return f"{size(sum(removal.bytes for removal in gone))} freed{rest}"


def _as_json(
    found: Garbage, gone: Sequence[Removal], opened: OpenWorkspace, *, applied: bool
) -> dict[str, object]:
    return {
        "applied": applied,
        "kept_runs": found.kept_runs,
        "live": found.live,
        "bytes": sum(removal.bytes for removal in gone) if applied else found.bytes,
        "removals": [
            {"kind": removal.kind, "path": opened.workspace.relative(removal.path), "bytes": removal.bytes}
            for removal in (gone if applied else found.removals)
        ],
    }


def size(count: int) -> str:
    """The size as `12.4 MB`, with decimal units (1 kB is 1,000 bytes)."""
    amount, unit = float(count), 0
    while amount >= 1000 and unit < len(units) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {units[unit]}" if unit else f"{count} bytes"
