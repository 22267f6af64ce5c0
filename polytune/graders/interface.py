"""What a grader is: something that judges one answer.

Add one by writing one file here with one subclass of `Grader`; its name in YAML is the file's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.evaluation.results import Verdict as Verdict
from polytune.fingerprint import Json
from polytune.registry import Family, Openable
from polytune.settings import Settings
from polytune.spec.model import MemberSpec


class GraderSpec(MemberSpec):
    """How one answer is judged."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to judge, with what was asked and what a good answer looked like."""

    prompt: str
    answer: str
    reference: str | None = None
    """The answer in the dataset; None when there is none."""
    variables: dict[str, str | int | float] = {}
    """The matrix cell and slot values behind the prompt."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What decides verdicts besides the spec: it enters the cache key."""

    name: str
    """Who judges, as every table says it: 'strudel engine 1.2.6', 'python checker (no engine)'."""
    facts: Json = None
    """Versions and digests that change verdicts."""
    watched: tuple[Path, ...] = ()
    """Files whose appearance or change may change this identity."""


class Grader(Openable, ABC):
    """Judges answers; an async context manager around the process or engine it needs."""

    Spec: ClassVar[type[GraderSpec]]
    needs_building: ClassVar[bool] = False
    """Whether `polytune grader build` makes something that it can judge with."""

    def __init__(self, spec: GraderSpec, folder: Path, settings: Settings) -> None:
        """`folder` is the experiment file's folder, against which commands and paths resolve."""
        self.folder = folder
        self.settings = settings

    @classmethod
    @abstractmethod
    def identity(cls, spec: GraderSpec, folder: Path, settings: Settings) -> Identity:
        """Who will judge with this spec on this machine now; starts nothing, imports no engine."""

    @classmethod
    def built(cls, cache_folder: Path) -> Path | None:
        """What `build` made in the cache folder; None when it is absent, damaged or out of date."""
        return None

    @classmethod
    def build(cls, cache_folder: Path) -> Path:
        """What the grader judges with is in the cache folder, made anew; its path.

        Raises Unavailable when a tool for it is missing, StepFailed when making it fails.
        """
        raise NotImplementedError

    @abstractmethod
    async def judge(self, case: Case) -> Verdict:
        """The verdict on one answer. An answer that breaks the judge fails with a reason, never raises.

        Raises StepFailed when the grader itself cannot work (command not found, protocol broken).
        """


GRADERS = Family("graders", "grader", Grader)
