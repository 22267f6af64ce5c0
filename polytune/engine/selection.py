"""Selects the steps that a command may run: `--until`, `--only`, `--from`, `--force`, `--accept`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from polytune.engine.compiled import Compiled
from polytune.errors import UsageError, did_you_mean


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The selection flags of a command, as given. A run records them so that `resume` uses the same ones."""

    until: str | None = None
    only: str | None = None
    since: str | None = None
    """`--from`, which is a keyword in Python."""
    force: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """The steps that may run, the steps they need, and those whose known output is ignored or accepted."""

    allowed: frozenset[str] | None = None
    """None allows all steps."""
    wanted: frozenset[str] = frozenset()
    """The allowed steps and all steps before them. Used only when `allowed` is set."""
    force: frozenset[str] = field(default_factory=frozenset)
    """Run these even if their output is known."""
    accept: frozenset[str] = field(default_factory=frozenset)
    """Treat the nearest earlier output as valid for the current spec."""

    def may_run(self, step: str) -> bool:
        """Whether the step is selected."""
        return self.allowed is None or step in self.allowed

    def needed(self, step: str) -> bool:
        """Whether the step is selected, or a selected step depends on it."""
        return self.allowed is None or step in self.wanted


def select(
    compiled: Compiled,
    *,
    until: str | None = None,
    only: str | None = None,
    since: str | None = None,
    force: Iterable[str] = (),
    accept: Iterable[str] = (),
) -> Selection:
    """Return the selection that the flags describe. Raises UsageError for an unknown step."""
    forced, accepted = frozenset(force), frozenset(accept)
    ids = [step.id for step in compiled.steps]
    for name in (until, only, since, *forced, *accepted):
        if name is not None and name not in ids:
            raise UsageError(f"{compiled.name}: no step '{name}'.{did_you_mean(name, ids)}")
    allowed = set(ids)
    if until:
        # The flags intersect: `--from train --until deploy` is the part between.
        allowed &= before(compiled, until)
    if since:
        allowed &= _after(compiled, since)
    if only:
        allowed &= {only}
    for flag, named in (("--force", forced), ("--accept", accepted)):
        # Ignoring it would look as if the step had been run again.
        if outside := sorted(named - allowed):
            what = "the step is left out by --until, --from or --only"
            raise UsageError(f"{flag} {outside[0]}: {what}. Select it too, or drop {flag}")
    # Nothing is left out, so None: a plan need not mark steps as unselected.
    if allowed == set(ids):
        return Selection(force=forced, accept=accepted)
    wanted = frozenset(_reached(allowed, {each.id: each.after for each in compiled.steps}))
    return Selection(frozenset(allowed), wanted, forced, accepted)


def before(compiled: Compiled, step: str) -> set[str]:
    """Return the step and every step that it depends on."""
    return _reached({step}, {each.id: each.after for each in compiled.steps})


def _after(compiled: Compiled, step: str) -> set[str]:
    """Return the step and every step that depends on it."""
    later: dict[str, list[str]] = {each.id: [] for each in compiled.steps}
    for each in compiled.steps:
        for earlier in each.after:
            later[earlier].append(each.id)
    return _reached({step}, later)


def _reached(starts: set[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Return what can be reached from some steps. Each is visited once, however many paths lead to it."""
    found, waiting = set(starts), list(starts)
    while waiting:
        fresh = set(edges[waiting.pop()]) - found
        found |= fresh
        waiting += fresh
    return found
