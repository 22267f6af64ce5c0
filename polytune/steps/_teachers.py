"""The teacher of a step: its creation, the part of its spec that identifies its answers, and their cost."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

import msgspec

from polytune.engine.answers import Ask
from polytune.engine.artifacts import Facts
from polytune.engine.former import former_request
from polytune.engine.step import Estimate, Requirement, Scope
from polytune.errors import Obstacle
from polytune.files import digest_of
from polytune.fingerprint import Json, fingerprint
from polytune.platforms.interface import TeacherRequirement
from polytune.spec.model import MemberSpec
from polytune.spec.resolved import decisions, secret_references, spec_json
from polytune.teachers.interface import (
    TEACHERS,
    BatchTeacher,
    Request,
    Teacher,
    TeacherSpec,
    characters_per_token,
)

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


def no_stand_in(kind: str) -> Obstacle:
    """Return why a rehearsal does not ask a teacher."""
    cause = f"a rehearsal calls no paid service, and {kind} has no stand-in"
    return Obstacle(cause, "Use composer or replay", "teacher.kind")


class AnswerIdentities:
    """Says under which identity the answers of one teacher are stored.

    The identity is the request as the teacher sends it, its endpoint, and the draw. It holds nothing of the
    spec class: an option that nobody sets, a price or a rotated key asks for nothing again. For a teacher
    without a server, what its spec decides and the files that it names stand for the endpoint.
    """

    def __init__(self, teacher: Teacher, stated: MemberSpec, files: Mapping[str, Path], scope: Scope) -> None:
        self.teacher = teacher
        self.stated = stated
        self.files = {
            name.removeprefix("teacher."): path for name, path in files.items() if name.startswith("teacher.")
        }
        self.former_too = scope.former_answers

    def ask(self, request: Request, draw: int) -> Ask:
        """Return the identity of one draw of a request."""
        return Ask(self.digest(request), draw, self.formerly(request, draw))

    def digest(self, request: Request) -> str:
        """Return the identity that all draws of a request share."""
        sent = self.teacher.sent(request)
        if sent is None:
            sent = {**self._own, "request": msgspec.to_builtins(request)}
        return fingerprint("polytune.answer.v2", sent)

    @cached_property
    def _own(self) -> dict[str, Json]:
        spec = self._without_secrets(decisions(self.stated).spec)
        version: dict[str, Json] = {} if self.teacher.version == 1 else {"version": self.teacher.version}
        return {"teacher": {**spec, **self._contents}, **version}

    def _without_secrets(self, spec: Mapping[str, Json]) -> dict[str, Json]:
        secrets = secret_references(self.stated).keys()
        return {name: value for name, value in spec.items() if name not in secrets}

    @cached_property
    def _contents(self) -> dict[str, Json]:
        return {name: digest_of(path) if path.is_file() else "" for name, path in self.files.items()}

    def formerly(self, request: Request, draw: int) -> tuple[str, int] | None:
        """Return the identity of a draw in the first key format; None where no such answers are stored."""
        if not self.former_too:
            return None
        whole = self._without_secrets({**cast("Facts", spec_json(self.stated)), **self._contents})
        return former_request(self.stated.kind, whole, msgspec.to_builtins(request)), draw


class Draws:
    """Numbers the draws of each request in the order of a plan."""

    def __init__(self, identities: AnswerIdentities) -> None:
        self.identities = identities
        self._asked: dict[int, int] = {}

    def next(self, request: Request, former_draw: int | None = None) -> Ask:
        """Return the request's next draw; `former_draw` is its number in the first key format, if another."""
        digest = self.identities.digest(request)
        # 64 bits of the digest, to save memory; a collision would only skip a draw number.
        short = int(digest[:16], 16)
        draw = self._asked.get(short, 0)
        self._asked[short] = draw + 1
        former = self.identities.formerly(request, draw if former_draw is None else former_draw)
        return Ask(digest, draw, former)


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
        unpriced=price.source if asked and unknown else "",
    )
