"""The interface of graders, which judge one answer at a time.

To add a grader, write one file here with one subclass of `Grader`. Its name in YAML is the file's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.errors import Unavailable
from polytune.evaluation.results import Verdict as Verdict
from polytune.fingerprint import Json
from polytune.registry import Family, Openable
from polytune.settings import Settings
from polytune.spec.model import MemberSpec


class GraderSpec(MemberSpec):
    """Settings of a grader."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to judge, with its prompt and the expected answer."""

    prompt: str
    answer: str
    reference: str | None = None
    """The answer in the dataset; None if there is none."""
    variables: dict[str, str | int | float] = {}
    """The matrix cell and slot values from which the prompt was made."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Everything besides the spec that decides verdicts. It is part of the cache key."""

    name: str
    """The judge's name, shown in every table: 'strudel engine 1.2.6', 'python checker (no engine)'."""
    facts: Json = None
    """Versions and digests that affect verdicts."""
    watched: tuple[Path, ...] = ()
    """Files, and patterns of files, whose creation or change may change this identity."""
    environment: tuple[str, ...] = ()
    """Environment variables whose values may change this identity."""
    note: str = ""
    """What a reader of the plan should know, such as inputs that cannot be observed. Not part of the key."""


class Grader(Openable, ABC):
    """Judges answers. An async context manager that owns the process or engine it needs."""

    version: ClassVar[int] = 1
    """Raise it when the same spec would give a different verdict: it is in the keys of steps that use it."""
    Spec: ClassVar[type[GraderSpec]]
    needs_building: ClassVar[bool] = False
    """Whether `polytune grader build` builds something for it."""

    def __init__(self, spec: GraderSpec, folder: Path, settings: Settings) -> None:
        """`folder` is that of the YAML file that states the grader. Commands and paths are relative to it."""
        self.folder = folder
        self.settings = settings

    @classmethod
    @abstractmethod
    def identity(cls, spec: GraderSpec, folder: Path, settings: Settings) -> Identity:
        """The identity of the judge with this spec on this machine. Starts no process, imports no engine."""

    @classmethod
    def built(cls, cache_folder: Path) -> Path | None:
        """What `build` produced in the cache folder; None if it is absent, damaged or out of date."""
        return None

    @classmethod
    def build(cls, cache_folder: Path) -> Path:
        """A fresh build of what the grader needs is in the cache folder. Returns its path.

        Raises Unavailable if a required tool is missing, StepFailed if the build fails.
        """
        raise Unavailable(f"grader {cls.__name__} needs no building")

    def warnings(self) -> tuple[str, ...]:
        """What was noticed while judging and fails nothing. Complete once the grader is closed."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """What to keep in the manifest and show nobody at work. Complete once the grader is closed."""
        return ()

    @abstractmethod
    async def judge(self, case: Case) -> Verdict:
        """The verdict on one answer. An answer that breaks the judge fails with a reason and never raises.

        Raises StepFailed if the grader itself does not work (command not found, protocol violated).
        """


GRADERS = Family("graders", "grader", Grader)
