"""Creates steps from their compiled form, and lists the families whose members a spec chooses.

It loads every family's interface, so it is imported only to compile, estimate or run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from polytune.base_models.interface import BASE_MODELS
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Facts, below, ordered_paths
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.ledger import Ledger
from polytune.engine.plan import Plan, PlannedStep
from polytune.engine.step import STEPS, Estimate, Scope, Step
from polytune.errors import Obstacle, PolytuneError, StepFailed
from polytune.exporters.interface import EXPORTERS
from polytune.formats.interface import FORMATS
from polytune.graders.interface import GRADERS
from polytune.platforms.interface import PLATFORMS
from polytune.registry import Family
from polytune.settings import Settings
from polytune.sources.interface import SOURCES
from polytune.spec.located import Node, Origin
from polytune.spec.model import Spec
from polytune.spec.rooted import mark
from polytune.spec.validate import validated
from polytune.teachers.interface import TEACHERS

T = TypeVar("T")

spec_families: Mapping[str, Family[Any]] = {
    family.name: family for family in (STEPS, TEACHERS, SOURCES, GRADERS, PLATFORMS)
}
"""Families whose members a spec chooses by `kind`."""


def member_spec(family: str, kind: str) -> type[Spec]:
    """Return the spec class of a member. Raises UnknownMember, with the nearest name, when there is none."""
    spec: type[Spec] = spec_families[family].load(kind).Spec
    return spec


def member_version(family: str, name: str) -> int:
    """Return the version of what a member does; 1 for entries of catalogues, which are facts."""
    families = {**spec_families, FORMATS.name: FORMATS, EXPORTERS.name: EXPORTERS}
    if family not in families:
        return 1
    version: int = families[family].load(name).version
    return version


def catalogues() -> dict[str, list[str]]:
    """Return the names in each catalogue, for editors."""
    return {"base_models": BASE_MODELS.names(), "formats": FORMATS.names(), "exporters": EXPORTERS.names()}


class StepFindings:
    """What was found out about steps, so that variants with equal steps find it out once.

    A finding holds until something is written to the ledger, such as an answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._known: dict[object, object] = {}
        self._state: object = None

    def about(self, question: object, find: Callable[[], T]) -> T:
        """Return what is known, or what `find` returns. The question names all that the answer depends on."""
        state = self.ledger.state()
        if state != self._state:
            self._known.clear()
            self._state = state
        if question not in self._known:
            self._known[question] = find()
        return cast("T", self._known[question])


class StepFactory:
    """Creates the steps of one compiled experiment."""

    def __init__(self, compiled: Compiled, root: Path, settings: Settings, findings: StepFindings) -> None:
        self.compiled = compiled
        self.root = root
        self.findings = findings
        self.scope = Scope(
            root=root,
            folder=(root / compiled.path).parent,
            experiment=compiled.name,
            project=compiled.project,
            settings=settings,
            former_answers=findings.ledger.holds_former_answers,
        )
        self._made: dict[str, Step] = {}

    def step(self, compiled: CompiledStep) -> Step:
        """Return the step; it is created once."""
        if compiled.id not in self._made:
            self._made[compiled.id] = self.fresh(compiled)
        return self._made[compiled.id]

    def fresh(self, compiled: CompiledStep) -> Step:
        """Return the step, created anew: it has read none of its files yet."""
        cls = STEPS.load(compiled.kind)
        files = {field: self.root / path for field, path in compiled.files.items()}
        folders = {field: self.root / path for field, path in compiled.folders.items()}
        scope = replace(self.scope, folders=folders, connected=frozenset(compiled.inputs))
        return cls(_spec(cls, compiled, self.root), files, scope)

    def facts(self, compiled: CompiledStep) -> Facts:
        """Return the step's key facts as they are now. Raises StepFailed when they cannot be taken."""
        try:
            return self.fresh(compiled).key_facts().facts
        except StepFailed:
            raise
        except PolytuneError as error:
            raise StepFailed(str(error)) from error

    def missing(self, compiled: CompiledStep) -> Obstacle | None:
        """Return what prevents the step from running on this machine."""
        return self.findings.about(("missing", self._same(compiled)), lambda: self.step(compiled).missing())

    def job_ended(self, compiled: CompiledStep, token: str) -> bool:
        """Whether the step's job has ended, as far as this machine can see."""
        return self.step(compiled).has_ended(token)

    def exists(self, compiled: CompiledStep, uri: str) -> bool:
        """Whether a remote resource of the step's output still exists."""
        return self.step(compiled).exists(uri)

    def unready(self, compiled: CompiledStep) -> Obstacle | None:
        """Return what is missing outside for the step."""
        return self.step(compiled).unready()

    def estimates(self, plan: Plan) -> dict[str, Estimate]:
        """Return an estimate for each step that may have to run."""
        return {each.step.id: self._estimate(each) for each in plan.steps if each.state.works}

    def _estimate(self, planned: PlannedStep) -> Estimate:
        answers = AnswerMemory(self.findings.ledger, self.compiled.name)

        def find() -> Estimate:
            try:
                return self.step(planned.step).estimate(planned.inputs, answers)
            except PolytuneError as error:
                # An estimate must not fail a plan: the reason is shown in its place.
                return Estimate(note=str(error))

        inputs = msgspec.json.encode(planned.inputs)
        return self.findings.about(("estimate", self._same(planned.step), inputs), find)

    def _same(self, step: CompiledStep) -> bytes:
        """Return what equal steps of several variants have in common: all but where it is stated."""
        shared = msgspec.structs.replace(step, origins={})
        return msgspec.json.encode((self.compiled.project, self.compiled.path, shared))


def _spec(cls: type[Step], compiled: CompiledStep, root: Path) -> Spec:
    """Return the step's spec from its compiled JSON."""
    # Compiled specs are JSON; validating again restores the types, member specs included.
    # With a slash, so that a folder in the workspace's own folder is not taken for a name.
    paths = {name: path if "/" in path else f"./{path}" for name, path in compiled.files.items()}
    stated = _with_fields(compiled.spec, {**compiled.effective, **paths, **compiled.secrets})
    for *parents, last in ordered_paths(compiled.rooted):
        parent = below(stated, parents)
        place = int(last) if isinstance(parent, list) else last
        parent[place] = parent[place].replace(mark, str(root))
    problems: list[Any] = []
    spec = validated(cls.Spec, _node(stated), f"steps.{compiled.id}", problems, member_spec)
    if spec is None:
        raise PolytuneError("\n".join(map(str, problems)))
    return spec


def _with_fields(spec: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec with what compilation set aside (file paths, references to secrets) put back."""
    whole = deepcopy(spec)
    for path in ordered_paths(fields):
        parent, last, value = _made_below(whole, path[:-1]), path[-1], fields[".".join(path)]
        if isinstance(parent, list):
            parent.insert(int(last), value)
        else:
            parent[last] = value
    return whole


def _made_below(spec: Any, path: Sequence[str]) -> Any:
    """Return the value at a path; objects that are absent, as all in them is at its default, are created."""
    for part in path:
        spec = spec[int(part)] if isinstance(spec, list) else spec.setdefault(part, {})
    return spec


record = Origin(Path("the recorded experiment"), 0, 0)


def _node(value: Any) -> Node:
    if isinstance(value, dict):
        return Node({key: _node(item) for key, item in value.items()}, record)
    if isinstance(value, list):
        return Node(tuple(_node(item) for item in value), record)
    return Node(value, record)
