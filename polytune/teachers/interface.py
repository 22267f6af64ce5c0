"""What a teacher is: something that answers a request, and says what the answer cost.

Add one by writing one file here with one subclass of `Teacher`; its name in YAML is the file's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.fingerprint import Json, fingerprint
from polytune.openable import Openable
from polytune.registry import Family
from polytune.settings import Settings
from polytune.spec.model import MemberSpec


class TeacherSpec(MemberSpec):
    """Who answers the prompts."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered question: everything that may change the answer."""

    system: str
    """The system prompt that the teacher sees."""
    prompt: str
    """The user's turn."""
    variables: dict[str, str | int | float]
    """The matrix cell and the slot values behind the prompt, for teachers that take fields."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = True
    """False when the teacher itself reported the figures."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One draw from a teacher, as billed."""

    text: str
    usage: Usage = Usage()
    price_usd: float | None = 0.0
    """What it cost; None when no price is known."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a teacher charges, for estimates; None where no sourced figure is known."""

    input_usd_per_million_tokens: float | None
    output_usd_per_million_tokens: float | None
    source: str
    """Where and when the figures were read."""


FREE = Price(
    input_usd_per_million_tokens=0.0, output_usd_per_million_tokens=0.0, source="runs on this machine"
)


class Teacher(Openable, ABC):
    """Answers requests; an async context manager around whatever connection it needs."""

    Spec: ClassVar[type[TeacherSpec]]
    label: ClassVar[str]
    """What every table calls it: 'composed offline from a grammar, no language model'."""

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        """`files` holds the absolute path of each `InputFile` field, by field name."""
        self.files = files
        self.settings = settings

    def price(self) -> Price:
        """What an answer costs, before any is asked."""
        return FREE

    def missing(self) -> str:
        """What keeps this teacher from answering here, and the remedy; '' when nothing does."""
        return ""

    @abstractmethod
    async def answer(self, request: Request, draw: int) -> Answer:
        """A fresh answer; `draw` counts identical requests from 0, so each draw may differ."""


def request_digest(teacher: Json, request: Request) -> str:
    """The identity of a question: the teacher's whole spec and the rendered request, nothing else."""
    return fingerprint("polytune.request.v1", {"teacher": teacher, "request": msgspec.to_builtins(request)})


TEACHERS = Family("teachers", "teacher", Teacher)
