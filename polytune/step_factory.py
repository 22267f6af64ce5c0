"""Steps, made from their compiled form; and the families whose members a spec chooses.

Imported only when something must be compiled, estimated or run: it loads every family's interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from polytune.base_models.interface import BASE_MODELS
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import below
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.engine.ledger import Ledger
from polytune.engine.plan import Plan
from polytune.engine.step import STEPS, Estimate, Scope, Step
from polytune.errors import PolytuneError
from polytune.exporters.interface import EXPORTERS
from polytune.formats.interface import FORMATS
from polytune.graders.interface import GRADERS
from polytune.platforms.interface import PLATFORMS
from polytune.registry import Family
from polytune.settings import Settings
from polytune.sources.interface import SOURCES
from polytune.spec.located import Node, Origin
from polytune.spec.model import Spec
from polytune.spec.validate import validated
from polytune.teachers.interface import TEACHERS

spec_families: Mapping[str, Family[Any]] = {
    family.name: family for family in (STEPS, TEACHERS, SOURCES, GRADERS, PLATFORMS)
}
"""Families whose members a spec chooses by `kind`."""


def member_spec(family: str, kind: str) -> type[Spec]:
    """The spec class of a member. Raises UnknownMember, with the nearest name, when there is none."""
    spec: type[Spec] = spec_families[family].load(kind).Spec
    return spec


def catalogues() -> dict[str, list[str]]:
    """The names that closed fields may take, for editors."""
    return {"base_models": BASE_MODELS.names(), "formats": FORMATS.names(), "exporters": EXPORTERS.names()}


class StepFactory:
    """Makes the steps of one compiled experiment."""

    def __init__(self, compiled: Compiled, root: Path, settings: Settings) -> None:
        self.compiled = compiled
        self.root = root
        self.scope = Scope(
            root=root,
            folder=Path(compiled.path).parent,
            experiment=compiled.name,
            project=compiled.project,
            settings=settings,
        )
        self._made: dict[str, Step] = {}

    def step(self, compiled: CompiledStep) -> Step:
        """The step, ready to be asked or run."""
        if compiled.id not in self._made:
            cls = STEPS.load(compiled.kind)
            files = {field: self.root / path for field, path in compiled.files.items()}
            self._made[compiled.id] = cls(_spec(cls, compiled), files, self.scope)
        return self._made[compiled.id]

    def missing(self, compiled: CompiledStep) -> str:
        """What keeps the step from running on this machine; '' when nothing does."""
        return self.step(compiled).missing()

    def exists(self, compiled: CompiledStep, uri: str) -> bool:
        """Whether something remote that the step's output stands for is still there."""
        return self.step(compiled).exists(uri)

    def unready(self, compiled: CompiledStep) -> str:
        """What the outside world lacks for the step; '' for nothing."""
        return self.step(compiled).unready()

    def estimates(self, plan: Plan, ledger: Ledger) -> dict[str, Estimate]:
        """What each step that may have to run would take."""
        answers = AnswerMemory(ledger, plan.compiled.name)
        found = {}
        for planned in plan.steps:
            if planned.state.works:
                try:
                    found[planned.step.id] = self.step(planned.step).estimate(planned.inputs, answers)
                except PolytuneError as error:
                    found[planned.step.id] = Estimate(note=str(error))
        return found


def _spec(cls: type[Step], compiled: CompiledStep) -> Spec:
    """The step's spec, from the JSON it was compiled to."""
    # Compiled specs are JSON; validating again restores the types, member specs included.
    stated = _with_fields(compiled.spec, {**compiled.files, **compiled.secrets})
    problems: list[Any] = []
    spec = validated(cls.Spec, _node(stated), f"steps.{compiled.id}", problems, member_spec)
    if spec is None:
        raise PolytuneError("\n".join(map(str, problems)))
    return spec


def _with_fields(spec: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """The spec with what compilation sets aside (paths of files, references to secrets) back in place."""
    whole = deepcopy(spec)
    for field, value in fields.items():
        *path, last = field.split(".")
        below(whole, path)[last] = value
    return whole


record = Origin(Path("the recorded experiment"), 0, 0)


def _node(value: Any) -> Node:
    if isinstance(value, dict):
        return Node({key: _node(item) for key, item in value.items()}, record)
    if isinstance(value, list):
        return Node(tuple(_node(item) for item in value), record)
    return Node(value, record)
