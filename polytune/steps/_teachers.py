"""The teacher of a step: its creation, the part of its spec that identifies its answers, and their cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from polytune.engine.step import Estimate, Requirement, Scope
from polytune.files import digest_of
from polytune.fingerprint import Json
from polytune.platforms.interface import TeacherRequirement
from polytune.spec.model import MemberSpec
from polytune.spec.resolved import secret_references, spec_json
from polytune.teachers.interface import TEACHERS, BatchTeacher, Teacher, TeacherSpec, characters_per_token

assumed_output_tokens = (150, 600)
"""Range for estimates before any answer of this teacher is known; the original toolkit assumed 500."""


def teacher_of(stated: MemberSpec, files: Mapping[str, Path], scope: Scope) -> Teacher:
    """Return the teacher that a step's field `teacher` states."""
    assert isinstance(stated, TeacherSpec)
    own = {name.removeprefix("teacher."): path for name, path in files.items() if name.startswith("teacher.")}
    return TEACHERS.load(stated.kind)(stated, own, scope.settings)


def teacher_requirements(teacher: Teacher) -> list[Requirement]:
    """Return what a teacher needs from the platform on which it answers."""
    if not teacher.platform:
        return []
    return [TeacherRequirement(platform=teacher.platform, batches=isinstance(teacher, BatchTeacher))]


def identity_of(stated: MemberSpec, files: Mapping[str, Path], not_asked: frozenset[str]) -> Json:
    """Return the part of a teacher's spec that may change an answer; files by content, without secrets."""
    found: dict[str, Json] = dict(cast("dict[str, Json]", spec_json(stated)))
    for name, path in files.items():
        if name.startswith("teacher."):
            found[name.removeprefix("teacher.")] = digest_of(path) if path.is_file() else ""
    # A rotated key, or an option that is never sent, changes no answer and must not discard paid ones.
    left_out = secret_references(stated).keys() | not_asked
    return {name: value for name, value in found.items() if name not in left_out}


def usd_for(teacher: Teacher, read: float, written: float, answers: int = 1) -> float | None:
    """Return the price of these tokens in US dollars; None when it is unknown."""
    price = teacher.price_for(answers)
    if price.input_usd_per_million_tokens is None or price.output_usd_per_million_tokens is None:
        return None
    paid = read * price.input_usd_per_million_tokens + written * price.output_usd_per_million_tokens
    return round(paid / 1e6, 4)


def estimate_of(teacher: Teacher, *, asked: int, reused: int, characters: int) -> Estimate:
    """Return the estimate for `asked` answers to requests of `characters` in total."""
    read = characters / characters_per_token
    low, high = (asked * tokens for tokens in assumed_output_tokens)
    price = teacher.price_for(asked)
    unknown = price.input_usd_per_million_tokens is None
    note = f"price unknown: {price.source}" if unknown else teacher.note(asked)
    return Estimate(
        requests=asked,
        reused=reused,
        tokens=round(read + (low + high) / 2),
        usd_low=usd_for(teacher, read, low, asked),
        usd_high=usd_for(teacher, read, high, asked),
        note=note if asked else "",
    )
