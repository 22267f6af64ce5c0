"""The experiment file: its top level, and each step split into its wiring and its spec.

    steps:
      train: {from: upload, epochs: 2}     wiring: kind `train`, input from `upload`     spec: {epochs: 2}

`uses` names the step's kind and defaults to its id, which leaves `kind` free for a step's own use.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from polytune.errors import PolytuneError, Problem, did_you_mean
from polytune.spec.fields import fields_of
from polytune.spec.located import Node, Origin, children, dotted, identity, problem
from polytune.spec.model import FieldProblem, Inherited, Items, JsonObject, Member, MemberSpec, Spec
from polytune.spec.validate import MemberSpecs, validated
from polytune.spec.wording import shown

step_ids = re.compile(r"[a-z][a-z0-9_-]{0,62}")
wiring_keys = ("uses", "from", "needs")
only_input = ""
"""The port that stands for a bare `from: step`: the step's only input, whatever its name."""


class BudgetSpec(Spec):
    """The budget of one experiment over all its runs. A run stops before it would exceed it."""

    usd: Annotated[float, Field(ge=0)] | None = None
    """Maximum cost of all paid work, in US dollars."""
    requests: Annotated[int, Field(ge=0)] | None = None
    """Maximum number of requests to teachers and judges."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """Maximum number of billed tokens of teachers and judges, input and output together."""


reserved_names = ("objects", *(f"ledger.sqlite3{end}" for end in ("", "-wal", "-shm", "-journal")))
"""What else is in `runs/`, beside the folders of experiments and hidden names."""


class Experiment(Spec):
    """One experiment: what to produce, from what, within which budget."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*(@[A-Za-z0-9._+=,-]+)?$", max_length=200)]
    """Name of the experiment: lowercase letters, digits, dots, dashes and underscores. After an `@`, the
    values that distinguish one variant of a matrix from the others."""
    description: str = ""
    """Purpose of the experiment, in a sentence or two."""
    licence: str = ""
    """Licence of the data that the experiment produces, as free text; printed by `polytune data card`."""
    project: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=63)] | None = None
    """Project of the experiment. Its prompts are read from `prompts/<project>.yaml` unless stated."""
    extends: Annotated[str, Field(min_length=1)] | None = None
    """Experiment file that this one extends, relative to this file. Mappings merge; lists and single values
    replace, and so does a member that names a different `kind`."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Seed of all randomness; a step may state its own."""
    budget: BudgetSpec = BudgetSpec()
    """Limits on what the experiment may spend."""
    platform: Annotated[MemberSpec | None, Member("platforms")] = None
    """Where data is stored and models are trained, deployed and invoked."""
    steps: JsonObject
    """Step id -> the step. The id names the step's kind unless `uses` does."""
    tags: dict[str, str] = {}
    """Free labels, recorded in the manifest and set as tags on remote resources."""
    matrix: dict[str, Items[Any]] | None = None
    """Axis -> values; one variant per combination. An axis is a dotted path such as `steps.train.epochs`."""

    def problems(self) -> list[FieldProblem]:
        """Report an experiment without steps, and a name that `runs/` uses for something else."""
        found = [] if self.steps else [FieldProblem("steps", "must hold at least one step")]
        if self.name in reserved_names:
            found.append(
                FieldProblem("name", f"'{self.name}' is reserved: runs/{self.name} is polytune's own")
            )
        return found


@dataclass(frozen=True)
class StepEntry:
    """One step as the file states it."""

    id: str
    kind: str
    """Name of its step kind: `uses`, or the id."""
    inputs: Mapping[str, str]
    """Port -> id of the step that feeds it, from `from`; a bare `from: id` is stored under `only_input`."""
    needs: tuple[str, ...]
    """Ids of steps that must finish first although this one reads nothing from them."""
    node: Node
    """The step's own spec: the mapping without `uses`, `from` and `needs`."""
    origin: Origin
    """Where the step's id is written."""
    kind_origin: Origin
    """Where its kind is stated: at `uses`, else at the id."""

    @property
    def where(self) -> str:
        """The dotted path of the step in the file."""
        return dotted("steps", self.id)


@dataclass(frozen=True)
class ResolvedStep:
    """A step with its validated spec."""

    entry: StepEntry
    spec: Spec
    node: Node
    """What the spec was made from: the step's own node with inherited values added."""


@dataclass(frozen=True)
class Resolved:
    """A whole validated experiment; incomplete where problems were found."""

    experiment: Experiment | None
    entries: tuple[StepEntry, ...]
    """Every step that could be read, in file order, including those with an invalid spec."""
    steps: tuple[ResolvedStep, ...]


KnownSteps = dict[Hashable, ResolvedStep | None]
"""Steps that were validated before, with their wiring and places; None for one with problems."""


def resolve(
    root: Node, problems: list[Problem], member: MemberSpecs, known: KnownSteps | None = None
) -> Resolved:
    """Validate the experiment and its steps; append every problem to `problems`.

    Step kinds are members of the family `steps`. A step that is `known` from another variant is the same
    object here, and its problems are not appended again.
    """
    known = {} if known is None else known
    # The top level and the steps are validated separately, so that one report has the problems of both.
    experiment = validated(Experiment, root, "", problems, member)
    entries = step_entries(root, problems)
    steps = [step for entry in entries if (step := resolved_step(entry, root, problems, member, known))]
    return Resolved(experiment, entries, tuple(steps))


def resolved_step(
    entry: StepEntry, root: Node, problems: list[Problem], member: MemberSpecs, known: KnownSteps
) -> ResolvedStep | None:
    """Return the step with its validated spec; None, with its problems appended, when it is invalid."""
    try:
        cls = member("steps", entry.kind)
    except PolytuneError as error:
        # A parent file could not be read, and may have stated `uses`. Report the parent only.
        if not (entry.node.incomplete and entry.kind == entry.id):
            problems.append(problem(entry.kind_origin, entry.where, str(error)))
        return None
    node = inherited(cls, entry.node, root)
    place = (entry.id, entry.kind, tuple(entry.inputs.items()), entry.needs, entry.origin, identity(node))
    if place not in known:
        spec = validated(cls, node, entry.where, problems, member)
        known[place] = None if spec is None else ResolvedStep(entry, spec, node)
    return known[place]


def inherited(cls: type[Spec], node: Node, root: Node) -> Node:
    """Return the step's node with the top-level value of every `Inherited` field that it does not state.

    Such a value keeps its origin, and problems in it are reported under its top-level path.
    """
    if not (isinstance(node.value, Mapping) and isinstance(root.value, Mapping)):
        return node
    keys = [key for key, shape in fields_of(cls).items() if shape.marker(Inherited)]
    taken = {
        key: replace(root.value[key], stated=key)
        for key in keys
        if key in root.value and key not in node.value
    }
    if not taken:
        return node
    places = {key: root.keys.get(key, root.origin) for key in taken}
    return replace(node, value={**node.value, **taken}, keys={**node.keys, **places})


def step_entries(root: Node, problems: list[Problem]) -> tuple[StepEntry, ...]:
    """Return the steps of a file in its order; one that cannot be read is reported and left out."""
    steps = children(root).get("steps")
    if steps is None or not isinstance(steps.value, Mapping):
        return ()
    ids = list(steps.value)
    found = [_StepReader(steps, id, ids, problems).entry() for id in ids]
    return tuple(entry for entry in found if entry is not None)


class _StepReader:
    """Reads one step: its wiring and its own spec."""

    def __init__(self, steps: Node, id: str, ids: Sequence[str], problems: list[Problem]) -> None:
        self._node = children(steps)[id]
        self._id = id
        self._ids = ids
        self._origin = steps.keys.get(id, self._node.origin)
        self._problems = problems
        self._others_unread = steps.incomplete

    def entry(self) -> StepEntry | None:
        """Return the step; None when it is unusable, with the problem appended."""
        if not step_ids.fullmatch(self._id):
            what = (
                "a step id must start with a lowercase letter and contain only lowercase letters, digits,"
                " - and _ (at most 63 characters)"
            )
            self._add(self._origin, "", what)
            return None
        node = self._node
        if node.broken:
            return None
        # `train:` with nothing behind it is YAML's null; it means a step with defaults only.
        if node.value is None:
            node = replace(node, value={}, text=None)
        if not isinstance(node.value, Mapping):
            self._add(node.origin, "", f"must be a mapping, not {shown(node)}")
            return None
        uses = node.value.get("uses")
        kind = self._kind(uses)
        if kind is None:
            return None
        return StepEntry(
            id=self._id,
            kind=kind,
            inputs=self._inputs(node.value.get("from")),
            needs=self._needs(node.value.get("needs")),
            node=replace(node, value={k: v for k, v in node.value.items() if k not in wiring_keys}),
            origin=self._origin,
            kind_origin=self._origin if uses is None else uses.origin,
        )

    def _kind(self, uses: Node | None) -> str | None:
        if uses is None:
            return self._id
        if uses.broken:
            return None
        if not isinstance(uses.value, str):
            self._add(uses.origin, "uses", f"must be the name of a step kind, not {shown(uses)}")
            return None
        return uses.value

    def _inputs(self, stated: Node | None) -> dict[str, str]:
        if stated is None or stated.broken:
            return {}
        if isinstance(stated.value, str):
            return {only_input: stated.value} if self._is_step(stated, "from") else {}
        if not isinstance(stated.value, Mapping):
            self._add(stated.origin, "from", f"must be a step id, or a mapping of them, not {shown(stated)}")
            return {}
        return {
            port: str(source.value)
            for port, source in stated.value.items()
            if self._is_step(source, f"from.{port}")
        }

    def _needs(self, stated: Node | None) -> tuple[str, ...]:
        if stated is None or stated.broken:
            return ()
        if not isinstance(stated.value, tuple):
            hint = f"; write [{stated.text}]" if isinstance(stated.value, str) else ""
            self._add(stated.origin, "needs", f"must be a list of step ids, not {shown(stated)}{hint}")
            return ()
        kept = [item for i, item in enumerate(stated.value) if self._is_step(item, f"needs.{i}")]
        return tuple(dict.fromkeys(str(item.value) for item in kept))

    def _is_step(self, node: Node, field: str) -> bool:
        if node.broken:
            return False
        if node.value == self._id:
            self._add(node.origin, field, "a step cannot depend on itself")
        elif not isinstance(node.value, str):
            self._add(node.origin, field, f"must be a step id, not {shown(node)}")
        # The step may be in a parent file that could not be read, which is already reported.
        elif node.value not in self._ids and self._others_unread:
            return True
        elif node.value not in self._ids:
            others = [id for id in self._ids if id != self._id]
            self._add(node.origin, field, f"no step '{node.value}'.{did_you_mean(node.value, others)}")
        else:
            return True
        return False

    def _add(self, origin: Origin, field: str, what: str) -> None:
        self._problems.append(problem(origin, dotted("steps", self._id, field), what))
