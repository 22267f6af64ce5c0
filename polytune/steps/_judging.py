"""What a step with graders takes from them besides verdicts: facts for its key, notes and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from polytune.engine.step import KeyFacts
from polytune.graders.interface import Grader, Identity


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
