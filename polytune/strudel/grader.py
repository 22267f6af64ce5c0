"""Judges Strudel code: it must parse, run, produce sound within some cycles, and use only existing sounds.

If the engine's bundle is built (`polytune grader build strudel`), Strudel itself judges, in a child process
with limits on time and memory. Otherwise a checker written in Python finds what can be found without running
the code. Every table says which of the two judged.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Literal

from pydantic import Field

import polytune
from polytune.errors import Unavailable
from polytune.extras import install_command
from polytune.graders._child import Judge, Launch
from polytune.graders.interface import Case, Grader, GraderSpec, Identity, Verdict
from polytune.settings import Settings
from polytune.spec.model import Items
from polytune.strudel.bundle import Bundle, build_bundle, bundle_in, bundle_path, description_path
from polytune.strudel.checker import Checked, check, checker_version
from polytune.strudel.vocabulary import sounds

judge_version = 1
"""Increase it when javascript/judge.js or the word lists change verdicts: it is part of the cache key."""

# Loading takes under a second on an idle machine. This is for busy ones.
startup_seconds = 60.0
# The engine enforces its own time limit. This much later the process itself counts as stuck and is killed.
beyond_seconds = 10.0
build_command = "polytune grader build strudel"
fenced = re.compile(r"\s*```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)


class StrudelSpec(GraderSpec):
    """Passes an answer if it is a Strudel pattern that produces sound."""

    cycles: int = Field(default=4, ge=1, le=64)
    """The number of cycles to evaluate. A pattern that is silent in all of them fails."""
    timeout_seconds: float = Field(default=2.0, gt=0, le=600)
    """The engine's time limit for one answer, in seconds."""
    memory_mb: int = Field(default=256, ge=64, le=16384)
    """The engine's memory limit for one answer, in MiB."""
    sounds: Items[str] = ()
    """Names of sounds that exist in addition to those that Strudel loads by default."""
    engine: Literal["auto", "engine", "checker"] = "auto"
    """Which one judges: `auto` uses the engine if it is built, otherwise the checker."""
    unfence: bool = False
    """Remove a Markdown fence around the whole answer before judging, instead of failing the answer."""


class StrudelGrader(Grader):
    """Judges with Strudel's engine, or with the Python checker."""

    Spec = StrudelSpec
    needs_building = True

    def __init__(self, spec: GraderSpec, folder: Path, settings: Settings) -> None:
        assert isinstance(spec, StrudelSpec)
        self._spec = spec
        self._known = sounds().and_also(spec.sounds)
        bundle = _engine(spec, settings)
        self._judge = Judge(_launch(spec, bundle, folder)) if bundle else None

    @classmethod
    def identity(cls, spec: GraderSpec, folder: Path, settings: Settings) -> Identity:
        """The engine with its bundle's digest, or the checker with its version.

        Raises Unavailable if the spec requires an engine that is not built.
        """
        assert isinstance(spec, StrudelSpec)
        # Watched even if absent: building the engine changes who judges, and so invalidates a cached plan.
        bundle = _engine(spec, settings)
        paths = (bundle_path(settings.cache_folder), description_path(settings.cache_folder))
        watched = () if spec.engine == "checker" else paths
        if bundle is None:
            facts = {"checker": checker_version}
            return Identity(name="python checker (no strudel engine)", facts=facts, watched=watched)
        return Identity(
            name=f"strudel engine {bundle.versions['@strudel/core']}",
            facts={"bundle": bundle.digest, "versions": bundle.versions, "judge": judge_version},
            watched=watched,
        )

    @classmethod
    def built(cls, cache_folder: Path) -> Path | None:
        """The engine's bundle; None if it is missing or incomplete."""
        bundle = bundle_in(cache_folder)
        return bundle.path if bundle else None

    @classmethod
    def build(cls, cache_folder: Path) -> Path:
        """Builds the engine's bundle. Takes about ten seconds."""
        return build_bundle(cache_folder)

    async def judge(self, case: Case) -> Verdict:
        """Whether the answer is a pattern that produces sound. The reason says at which stage it failed."""
        code = _unfenced(case.answer) if self._spec.unfence else case.answer
        # JavaScript reads ``` as two template strings, so the engine's own error would be hard to understand.
        if code.lstrip().startswith("```"):
            return _refused("a Markdown fence is around the code", "parse")
        if self._judge is None:
            return _verdict(check(code, self._known))
        # Strudel's verdict depends on the code alone, so the child does not get the prompt.
        return await self._judge.judge(Case(prompt="", answer=code))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._judge is not None:
            await self._judge.close()


def _engine(spec: StrudelSpec, settings: Settings) -> Bundle | None:
    """The bundle to judge with; None if the checker judges."""
    if spec.engine == "checker":
        return None
    # `find_spec` does not import: mini-racer loads 80 MB of V8.
    runs = find_spec("py_mini_racer") is not None
    bundle = bundle_in(settings.cache_folder) if runs else None
    if bundle is None and spec.engine == "engine":
        missing = (
            f"is not built in {settings.cache_folder}. Run `{build_command}`"
            if runs
            else f"needs the package mini-racer. Run `{install_command('local', 'mini-racer')}`"
        )
        raise Unavailable(f"strudel engine: it {missing}, or write `engine: auto` to let the checker judge.")
    return bundle


def _launch(spec: StrudelSpec, bundle: Bundle, folder: Path) -> Launch:
    options = ("--cycles", spec.cycles, "--timeout", spec.timeout_seconds, "--memory", spec.memory_mb)
    known = (f"--sound={name}" for name in spec.sounds)
    words = (sys.executable, "-m", "polytune.strudel.engine", bundle.path, *options, *known)
    return Launch(
        command=tuple(map(str, words)),
        folder=folder,
        # Generated code runs in there: it gets no secrets to find.
        environment={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": _search_path()},
        timeout_seconds=spec.timeout_seconds + beyond_seconds,
        startup_seconds=startup_seconds,
        place="strudel engine",
        remedy=f"Build it again with `{build_command}`, or write `engine: checker` for the grader.",
        announces=True,
    )


def _search_path() -> str:
    """The folder from which the child imports this polytune, whether it is installed or not."""
    return str(Path(polytune.__path__[0]).parent)


def _unfenced(answer: str) -> str:
    inside = fenced.fullmatch(answer)
    return inside.group(1) if inside else answer


def _verdict(checked: Checked) -> Verdict:
    if checked.reason:
        return _refused(checked.reason, checked.stage)
    return Verdict(passed=True, score=1.0, details={"stage": "done"})


def _refused(reason: str, stage: str) -> Verdict:
    return Verdict(passed=False, score=0.0, reason=reason, details={"stage": stage})
