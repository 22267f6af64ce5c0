"""The graders of a step by name, and what they give besides verdicts: facts for the key, notes, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytune.engine.step import KeyFacts, Scope
from polytune.graders.interface import GRADERS, Grader, GraderSpec, Identity
from polytune.spec.model import MemberSpec


@dataclass(frozen=True)
class NamedGrader:
    """A grader that a step states, and its name in the step."""

    name: str
    spec: GraderSpec
    scope: Scope
    number: int
    """Its position in `graders:`, from 0."""

    @property
    def folder(self) -> Path:
        """The folder of the YAML file that states it."""
        return self.scope.folder_of(f"graders.{self.number}")

    def identity(self) -> Identity:
        """Return who judges, on this machine."""
        return GRADERS.load(self.spec.kind).identity(self.spec, self.folder, self.scope.settings)

    def create(self) -> Grader:
        """Return the grader; nothing is started."""
        return GRADERS.load(self.spec.kind)(self.spec, self.folder, self.scope.settings)


def named_graders(specs: Sequence[MemberSpec], scope: Scope) -> list[NamedGrader]:
    """Return the graders of a step. A name is the kind, numbered if that is taken."""
    found: list[NamedGrader] = []
    for number, spec in enumerate(specs):
        assert isinstance(spec, GraderSpec)
        is_taken = any(each.name == spec.kind for each in found)
        name = f"{spec.kind}-{number + 1}" if is_taken else spec.kind
        found.append(NamedGrader(name, spec, scope, number))
    return found


def judge_facts(identities: Mapping[str, Identity]) -> KeyFacts:
    """Return the graders and their versions, by their names in the step, with all that may change them."""
    found = identities.values()
    return KeyFacts(
        {"judges": {name: {"name": each.name, "facts": each.facts} for name, each in identities.items()}},
        watched=tuple(path for each in found for path in each.watched),
        environment=tuple(dict.fromkeys(name for each in found for name in each.environment)),
        notes=tuple(dict.fromkeys(each.note for each in found if each.note)),
    )


def warnings_of(graders: Iterable[Grader]) -> tuple[str, ...]:
    """Return what closed graders noticed, each text once."""
    return tuple(dict.fromkeys(text for grader in graders for text in grader.warnings()))


def notes_of(graders: Iterable[Grader]) -> tuple[str, ...]:
    """Return what closed graders have for the manifest, each text once."""
    return tuple(dict.fromkeys(text for grader in graders for text in grader.notes()))
