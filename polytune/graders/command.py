"""Judges with a program written by the user, in any language that reads and prints lines of JSON.

    graders:
      - kind: command
        command: [python, graders/judge.py, --rubric=rubric.md]
        files: [data/**/*.json]
        environment: [JUDGE_LIMIT, "${secret:JUDGE_API_KEY}"]

`_child.py` describes the protocol. The program runs in the folder of the file that states it; `python` is the
interpreter that runs polytune. It sees PATH, HOME, the locale, and the variables that `environment` names.

Verdicts are remembered by what decides them: every file and folder in the command, what a Python script
imports from the workspace, the files that `files` declares, and the values of the variables, but for secrets.
A Python program that reads anything else of the workspace fails the step, with its name and the line to add.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Annotated

from pydantic import Field

from polytune.engine.remembered import value_fingerprint
from polytune.errors import StepFailed
from polytune.graders._child import Judge, Launch
from polytune.graders.interface import Case, Grader, GraderSpec, Identity, Verdict
from polytune.programs.inputs import CommandInputs, ProgramInputs
from polytune.programs.python_words import is_python, python_calls, shebang_words
from polytune.programs.reads import ReadObserver, undeclared_text
from polytune.settings import Settings
from polytune.spec.interpolate import secret_name
from polytune.spec.model import FieldProblem, Items, MaybeSecret, NamesPaths
from polytune.spec.rooted import unrooted

# An allowlist: API keys and cloud credentials must not reach the program unless the user names them.
always_seen = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "VIRTUAL_ENV")
remedy = (
    "Run it by hand with one case on stdin; it must print one JSON object a line with 'id' and 'passed' "
    "on stdout, and anything else on stderr."
)


longest_shown = 80
"""Characters of the command in messages: a shell's word may hold a whole program."""


class CommandSpec(GraderSpec):
    """A program that reads cases and prints verdicts."""

    command: Annotated[Items[str], NamesPaths()]
    """The program and its arguments, one word each. The content of every file and folder of the workspace
    that a word names is hashed, and so are the modules of the workspace that a Python script imports. Paths
    are relative to this file."""
    files: Annotated[Items[str], NamesPaths()] = ()
    """Further files that the program reads: paths or patterns such as `data/**/*.json`, relative to this
    file. Their content is hashed."""
    timeout_seconds: float = Field(default=10.0, gt=0)
    """Time limit for one verdict, in seconds. When it expires, the program is killed and the answer fails."""
    startup_seconds: float = Field(default=30.0, ge=0)
    """Extra time, in seconds, for the first verdict of a newly started program."""
    environment: Items[MaybeSecret] = ()
    """Names of environment variables to pass to the program; their values are hashed. The variable of a
    `${secret:NAME}` is passed and not hashed, so that a new key judges nothing again."""

    def problems(self) -> list[FieldProblem]:
        """The problem of an empty command, or one with empty words."""
        if self.command and all(self.command):
            return []
        return [FieldProblem("command", "needs at least one word, and no empty one")]


unobserved = "the files that it reads are not observed, so `files:` must name all that decides its verdicts"


class CommandGrader(Grader):
    """Gets each verdict from a long-running child process."""

    Spec = CommandSpec

    def __init__(self, spec: GraderSpec, folder: Path, settings: Settings) -> None:
        assert isinstance(spec, CommandSpec)
        super().__init__(spec, folder, settings)
        self._spec = spec
        self._launch = _launch(spec, folder, settings)
        self._judge: Judge | None = None
        self._observing: asyncio.Task[ReadObserver] | None = None
        self._warnings: tuple[str, ...] = ()
        self._notes: tuple[str, ...] = ()

    @classmethod
    def identity(cls, spec: GraderSpec, folder: Path, settings: Settings) -> Identity:
        """The digests of all inputs that are known without running the program, and of the variables' values.

        Raises StepFailed for a pattern in `files` that leads out of the workspace or matches nothing.
        """
        assert isinstance(spec, CommandSpec)
        variables = _variables(settings)
        names = tuple(name for name in spec.environment if not secret_name(name))
        inputs = _inputs(spec, folder, settings)
        values = {name: value_fingerprint(variables.get(name)) for name in names}
        return Identity(
            # The name is in keys and outputs, where the workspace's place must not be.
            name=unrooted(f"command {' '.join(spec.command)}", settings.workspace or folder, "."),
            facts={**inputs.facts(), **({"environment": values} if values else {})},
            watched=inputs.watched,
            environment=names,
            note="" if _is_observable(spec, folder, settings) else f"{_place(spec)}: {unobserved}",
        )

    async def judge(self, case: Case) -> Verdict:
        """The program's verdict. Raises StepFailed if it has read what is not part of its key."""
        if self._observing is None:
            # Here, and not when the grader is made: facts are taken from graders that never judge. In a
            # thread, because it looks through the workspace.
            self._observing = asyncio.ensure_future(asyncio.to_thread(self._observer))
        # Shielded: what one case starts is for all of them, and is closed with the grader.
        observer = await asyncio.shield(self._observing)
        if self._judge is None:
            environment = observer.environment(self._launch.environment)
            self._judge = Judge(replace(self._launch, environment=environment))
        verdict = await self._judge.judge(case)
        self._check(observer)
        return verdict

    def warnings(self) -> tuple[str, ...]:
        """What the program read and should not, if that only warns; and whether it could be observed."""
        return self._warnings

    def notes(self) -> tuple[str, ...]:
        """The programs that it started and that could not be observed."""
        return self._notes

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._observing is None:
            return
        with await self._observing as observer:
            if self._judge is not None:
                await self._judge.close()
            # What a program reads at its end counts too. An error that is on its way already says more.
            if error is None:
                self._check(observer)
            if not observer.has_started and _is_observable(self._spec, self.folder, self.settings):
                self._warnings += (f"{self._launch.place}: {unobserved}",)
            if names := ", ".join(observer.unobserved):
                self._notes = (f"{self._launch.place}: it started {names}, whose reads are not observed",)

    def _observer(self) -> ReadObserver:
        return ReadObserver(_inputs(self._spec, self.folder, self.settings))

    def _check(self, observer: ReadObserver) -> None:
        paths = observer.undeclared()
        if not paths:
            return
        text = undeclared_text(self._launch.place, paths, self.folder, self._spec.files)
        if self.settings.undeclared_inputs == "fail":
            raise StepFailed(text)
        self._warnings = (text,)


def _inputs(spec: CommandSpec, folder: Path, settings: Settings) -> ProgramInputs:
    python_path = _variables(settings).get("PYTHONPATH", "") if "PYTHONPATH" in spec.environment else ""
    program = _found(spec.command[0], folder, _search_path(spec, settings))
    finder = CommandInputs((program or "", *spec.command), folder, settings.workspace or folder, python_path)
    try:
        return finder.inputs(spec.files)
    except StepFailed as wrong:
        raise StepFailed(f"{_place(spec)}: {wrong}") from wrong


def _is_observable(spec: CommandSpec, folder: Path, settings: Settings) -> bool:
    """Whether the program is a Python that can be observed, as far as its command tells."""
    if is_python(spec.command[0]):
        return python_calls(spec.command)[0].is_observable
    found = _found(spec.command[0], folder, _search_path(spec, settings))
    script = shebang_words(Path(found)) if found else None
    return script is not None and script.is_observable


def _place(spec: CommandSpec) -> str:
    shown = " ".join(" ".join(spec.command).split())
    return f"grader command `{shown if len(shown) <= longest_shown else shown[: longest_shown - 1] + '…'}`"


def _launch(spec: CommandSpec, folder: Path, settings: Settings) -> Launch:
    place = _place(spec)
    environment = _environment(spec, settings, place)
    _check_script(spec, folder, place)
    return Launch(
        command=(_program(spec.command[0], folder, environment["PATH"], place), *spec.command[1:]),
        folder=folder,
        environment=environment,
        timeout_seconds=spec.timeout_seconds,
        startup_seconds=spec.startup_seconds,
        place=place,
        remedy=remedy,
    )


def _environment(spec: CommandSpec, settings: Settings, place: str) -> dict[str, str]:
    given = _variables(settings)
    names = [secret_name(item) or item for item in spec.environment]
    missing = [name for name in names if name not in given]
    if missing:
        raise StepFailed(f"{place}: {', '.join(missing)} is not set. Set it in the environment or in `.env`.")
    seen = {name: given[name] for name in (*always_seen, *names) if name in given}
    return {"PYTHONUNBUFFERED": "1", **seen, "PATH": _search_path(spec, settings)}


def _variables(settings: Settings) -> Mapping[str, str]:
    return {**os.environ, **settings.environment}


def _search_path(spec: CommandSpec, settings: Settings) -> str:
    path = _variables(settings).get("PATH", os.defpath)
    # The folder of polytune's own interpreter comes first, so that `python` means that one, unless the user
    # decides on the whole path.
    return path if "PATH" in spec.environment else os.pathsep.join((str(Path(sys.executable).parent), path))


def _program(word: str, folder: Path, path: str, place: str) -> str:
    found = _found(word, folder, path)
    if found is None:
        missing = f"'{word}' is no program in {folder} or on PATH"
        raise StepFailed(f"{place}: {missing}. Check its name and its execute permission.")
    return found


def _check_script(spec: CommandSpec, folder: Path, place: str) -> None:
    """Raise StepFailed for a script that is not there, before Python is started and says so."""
    script = python_calls(spec.command)[0].script if is_python(spec.command[0]) else ""
    if script and not (folder / script).exists():
        raise StepFailed(f"{place}: there is no '{script}' in {folder}. Check its name.")


def _found(word: str, folder: Path, path: str) -> str | None:
    # As in a shell, a word with a slash is a path, here relative to the experiment; others are looked up.
    return shutil.which(str(folder / word) if os.sep in word else word, path=path)
