"""The compiled form of an experiment: everything that planning needs, without loading any plugin.

The compiler produces it once and the ledger remembers it, so a command that finds nothing to do parses no
YAML and imports no step.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from polytune.engine.artifacts import Facts, record_format
from polytune.engine.budget import BudgetLimits
from polytune.engine.former import decided, effective_fields


class CompiledStep(msgspec.Struct, frozen=True, kw_only=True):
    """One resolved step: what its key needs besides the digests of its inputs."""

    id: str
    kind: str
    version: int
    spec: Facts
    """What the spec decides: its fields that differ from their default."""
    defaults: Facts = {}
    """The fields at their default, by dotted path."""
    effective: Facts = {}
    """The stated fields, by dotted path, whose effective values are among the facts."""
    versions: dict[str, int] = {}
    """Version of each member that the step uses, except for a version of 1."""
    files: dict[str, str]
    """Path of each file the spec names, by field name; relative to the workspace if inside it."""
    folders: dict[str, str] = {}
    """Folder of the YAML file that states a member, or a field whose text names paths, where that is not the
    experiment's; relative to the workspace if inside it. Never hashed."""
    rooted: tuple[str, ...] = ()
    """Dotted path of each text in `spec` in which a mark stands for the workspace's folder."""
    secrets: dict[str, str]
    """The `${secret:}` reference in each field that holds one; never hashed."""
    facts: Facts
    """What `Step.key_facts` returned when the file was compiled."""
    watched: dict[str, str] = {}
    """Digest of every file and folder behind the facts, by path; '' for one that did not exist. Paths are
    relative to the workspace if inside it."""
    environment: dict[str, str] = {}
    """Fingerprint of every environment variable behind the facts; '' if unset."""
    inputs: dict[str, str]
    """The step that feeds each port."""
    needs: tuple[str, ...]
    """Steps that must finish first although this one reads nothing from them."""
    produces: str
    """The artifact type."""
    notes: tuple[str, ...] = ()
    """What a reader of the plan should know; in no digest."""
    origins: dict[str, str]
    """Where each value of the spec was set: `file:line`, `--set` or `env:NAME`. Others are defaults."""

    @property
    def after(self) -> tuple[str, ...]:
        """Every step that must finish before this one starts, without duplicates."""
        return tuple(dict.fromkeys((*self.inputs.values(), *self.needs)))


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment (one variant of a matrix), ready to plan."""

    name: str
    path: str
    """The experiment file, relative to the workspace if inside it, so that a workspace can be moved."""
    project: str
    description: str
    tags: dict[str, str]
    seed: int
    budget: BudgetLimits
    platform: str
    steps: tuple[CompiledStep, ...]
    """In an order in which they can run."""
    spec: Facts
    """The whole resolved experiment. Secrets are references; paths are relative to a run's folder."""
    origins: dict[str, str]
    """Where each value of the whole file was set."""
    format: int = 1
    """The key format of the program that compiled it."""

    def step(self, step_id: str) -> CompiledStep:
        """Return the step with that id, which must exist."""
        return next(step for step in self.steps if step.id == step_id)


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a compilation read. It is reused as long as all of this is unchanged."""

    tool: str
    """Fingerprint of polytune's own source files."""
    files: dict[str, str]
    """Digest of every file read, by absolute path; '' for a file that was looked up and did not exist."""
    environment: dict[str, str]
    """Fingerprint of every environment variable read; '' if unset."""


class Compilation(msgspec.Struct, frozen=True, kw_only=True):
    """The variants of one experiment file, or the one that was wanted, and what the result depends on."""

    variants: tuple[Compiled, ...]
    names: tuple[str, ...]
    """Of all variants of the file."""
    watched: Watched


def read_compiled(path: Path) -> Compiled:
    """Return the experiment that a run recorded; one of an earlier key format is brought into today's.

    Raises OSError, and msgspec.DecodeError when the file is not a compiled experiment.
    """
    compiled = msgspec.json.decode(path.read_bytes(), type=Compiled)
    if compiled.format == record_format:
        return compiled
    return msgspec.structs.replace(compiled, steps=tuple(_current(step) for step in compiled.steps))


def _current(step: CompiledStep) -> CompiledStep:
    spec, defaults = decided(step.kind, step.spec)
    effective = {
        name: step.spec[name] for name in effective_fields(step.kind) if step.spec.get(name) is not None
    }
    return msgspec.structs.replace(step, spec=spec, defaults=defaults, effective=effective)
