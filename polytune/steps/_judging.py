"""The graders of a step by name, and what they give besides verdicts: facts for the key, notes, warnings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from polytune.engine.artifacts import KeyRecord
from polytune.engine.step import KeyFacts, Scope
from polytune.errors import Obstacle, PolytuneError, StepFailed
from polytune.fingerprint import canonical
from polytune.globs import stamp_of
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


def missing_for(graders: Iterable[NamedGrader]) -> Obstacle | None:
    """Return what keeps a grader from judging on this machine, such as a missing program."""
    for grader in graders:
        try:
            grader.create()
        except PolytuneError as error:
            return Obstacle(str(error), field=f"graders.{grader.number}")
    return None


@asynccontextmanager
async def judging(graders: Sequence[NamedGrader], record: KeyRecord | None) -> AsyncIterator[list[Grader]]:
    """Yield the opened graders, which are those of the record from their first to their last verdict.

    Raises StepFailed if an input of one was edited since its facts were taken, also if the edit was reverted.
    """
    if not graders:
        yield []
        return
    before = _identities(graders)
    stamps = _stamps(before)
    # In this order: what has the digest of the key now, and these stamps at the end, was never another file.
    if record is not None and _differ(judge_facts(_identities(graders)), record):
        raise StepFailed("an input of a grader has just changed. Run again")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(grader.create()) for grader in graders]
    changed = [str(path) for path, stamp in _stamps(before).items() if stamp != stamps[path]]
    if changed:
        raise StepFailed(f"{', '.join(changed)} changed while a grader that depends on it judged. Run again")


def _identities(graders: Sequence[NamedGrader]) -> dict[str, Identity]:
    return {grader.name: grader.identity() for grader in graders}


def _differ(found: KeyFacts, record: KeyRecord) -> bool:
    return canonical(found.facts["judges"]) != canonical(record.facts.get("judges"))


def _stamps(identities: Mapping[str, Identity]) -> dict[Path, object]:
    """Return for each watched path a value that changes whenever the path does."""
    return {path: stamp_of(path) for each in identities.values() for path in each.watched}


def warnings_of(graders: Iterable[Grader]) -> tuple[str, ...]:
    """Return what closed graders noticed, each text once."""
    return tuple(dict.fromkeys(text for grader in graders for text in grader.warnings()))


def notes_of(graders: Iterable[Grader]) -> tuple[str, ...]:
    """Return what closed graders have for the manifest, each text once."""
    return tuple(dict.fromkeys(text for grader in graders for text in grader.notes()))
