"""The compiled form of an experiment: everything that planning needs, and no plugin.

The compiler writes it once and the ledger remembers it, so that a command which finds nothing to do
parses no YAML and imports no step.
"""

from __future__ import annotations

import msgspec

from polytune.engine.artifacts import Facts
from polytune.engine.budget import BudgetLimits


class CompiledStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step, resolved: what its key needs besides its inputs' digests."""

    id: str
    kind: str
    version: int
    spec: Facts
    files: dict[str, str]
    """Path of each file the spec names, by the field that names it; relative to the workspace if inside."""
    secrets: dict[str, str]
    """The `${secret:}` reference in each field that holds one; never hashed."""
    facts: Facts
    inputs: dict[str, str]
    """The step that feeds each port."""
    needs: tuple[str, ...]
    """Steps that must come first although nothing flows from them."""
    produces: str
    """The artifact type."""
    origins: dict[str, str]
    """Where each value of the spec was written: `file:line`, `--set`, `env:NAME`; else a default."""

    @property
    def after(self) -> tuple[str, ...]:
        """Every step that must be finished before this one starts, each once."""
        return tuple(dict.fromkeys((*self.inputs.values(), *self.needs)))


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment (one variant of a matrix), ready to plan."""

    name: str
    path: str
    """Absolute path of the experiment file."""
    project: str
    description: str
    tags: dict[str, str]
    seed: int
    budget: BudgetLimits
    platform: str
    steps: tuple[CompiledStep, ...]
    """In an order in which they can run."""
    spec: Facts
    """The whole resolved experiment, secrets as references; paths are relative to a run's folder."""
    origins: dict[str, str]
    """Where each value of the whole file was written."""

    def step(self, step_id: str) -> CompiledStep:
        """The step of that id, which must exist."""
        return next(step for step in self.steps if step.id == step_id)


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a compilation read; while all of it is unchanged, the result is reused."""

    tool: str
    """Fingerprint of polytune's own source files."""
    files: dict[str, str]
    """Digest of every file read, by absolute path; '' for a file that was looked for and absent."""
    environment: dict[str, str]
    """Fingerprint of every environment variable read; '' for unset."""


class Compilation(msgspec.Struct, frozen=True, kw_only=True):
    """Every variant of one experiment file, and what the result depends on."""

    variants: tuple[Compiled, ...]
    watched: Watched
