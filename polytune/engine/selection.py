"""Which steps a command may run: `--until`, `--only`, `--from`, `--force`, `--accept`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from polytune.engine.compiled import Compiled
from polytune.errors import UsageError, did_you_mean


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The selecting flags of a command, as given; a run records them so that `resume` keeps to them."""

    until: str | None = None
    only: str | None = None
    since: str | None = None
    """`--from`."""
    force: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """The steps that may run, the ones they need, and the ones whose memory is set aside."""

    allowed: frozenset[str] | None = None
    """None allows all."""
    wanted: frozenset[str] = frozenset()
    """The allowed steps and everything before them; read only when `allowed` is set."""
    force: frozenset[str] = field(default_factory=frozenset)
    """Run even if the output is known."""
    accept: frozenset[str] = field(default_factory=frozenset)
    """Take the nearest earlier output as valid for what the spec says now."""

    def may_run(self, step: str) -> bool:
        """Whether the step is selected."""
        return self.allowed is None or step in self.allowed

    def needed(self, step: str) -> bool:
        """Whether a selected step depends on this one."""
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
    """The selection that the flags describe. Raises UsageError for a step that does not exist."""
    forced, accepted = frozenset(force), frozenset(accept)
    ids = [step.id for step in compiled.steps]
    for name in (until, only, since, *forced, *accepted):
        if name is not None and name not in ids:
            raise UsageError(f"{compiled.name}: no step '{name}'.{did_you_mean(name, ids)}")
    allowed = set(ids)
    if until:
        allowed &= before(compiled, until)
    if since:
        allowed &= {step for step in ids if since in before(compiled, step)}
    if only:
        allowed &= {only}
    if allowed == set(ids):
        return Selection(force=forced, accept=accepted)
    wanted = frozenset(earlier for step in allowed for earlier in before(compiled, step))
    return Selection(frozenset(allowed), wanted, forced, accepted)


def before(compiled: Compiled, step: str) -> set[str]:
    """The step and every step it depends on."""
    found = {step}
    for earlier in compiled.step(step).after:
        found |= before(compiled, earlier)
    return found
