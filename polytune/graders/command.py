"""Judges with a program written by the user, in any language that reads and prints lines of JSON.

    graders:
      - kind: command
        command: [python, graders/judge.py]

`_child.py` describes the protocol. The program runs in the experiment file's folder; `python` is the
interpreter that runs polytune. It sees PATH, HOME, the locale, and the variables that `environment` names.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import TracebackType

from pydantic import Field

from polytune.errors import StepFailed
from polytune.files import digest_of
from polytune.graders._child import Judge, Launch
from polytune.graders.interface import Case, Grader, GraderSpec, Identity, Verdict
from polytune.settings import Settings
from polytune.spec.model import FieldProblem, Items

# An allowlist: API keys and cloud credentials must not reach the program unless the user names them.
always_seen = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "VIRTUAL_ENV")
remedy = (
    "Run it by hand with one case on stdin; it must print one JSON object a line with 'id' and 'passed' "
    "on stdout, and anything else on stderr."
)


class CommandSpec(GraderSpec):
    """A program that reads cases and prints verdicts."""

    command: Items[str]
    """The program and its arguments, one word each. Words that are files of the experiment are hashed."""
    timeout_seconds: float = Field(default=10.0, gt=0)
    """Time limit for one verdict, in seconds. When it expires, the program is killed and the answer fails."""
    startup_seconds: float = Field(default=30.0, ge=0)
    """Extra time, in seconds, for the first verdict of a newly started program."""
    environment: Items[str] = ()
    """Names of environment variables to pass to the program."""

    def problems(self) -> list[FieldProblem]:
        """The problem of an empty command, or one with empty words."""
        if self.command and all(self.command):
            return []
        return [FieldProblem("command", "needs at least one word, and no empty one")]


class CommandGrader(Grader):
    """Gets each verdict from a long-running child process."""

    Spec = CommandSpec

    def __init__(self, spec: GraderSpec, folder: Path, settings: Settings) -> None:
        assert isinstance(spec, CommandSpec)
        self._judge = Judge(_launch(spec, folder, settings))

    @classmethod
    def identity(cls, spec: GraderSpec, folder: Path, settings: Settings) -> Identity:
        """The digests of all words that are files, so that editing a script invalidates its verdicts."""
        assert isinstance(spec, CommandSpec)
        found = {word: folder / word for word in spec.command if _is_beside(word, folder)}
        return Identity(
            name=f"command {' '.join(spec.command)}",
            facts={"files": {word: digest_of(path) for word, path in found.items()}},
            watched=tuple(found.values()),
        )

    async def judge(self, case: Case) -> Verdict:
        """The program's verdict."""
        return await self._judge.judge(case)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._judge.close()


def _is_beside(word: str, folder: Path) -> bool:
    """Whether a word names a file of the experiment, not a program of the machine."""
    # Programs of the machine are not hashed: a system update would invalidate every verdict.
    try:
        return not Path(word).is_absolute() and (folder / word).is_file()
    except (OSError, ValueError):
        return False


def _launch(spec: CommandSpec, folder: Path, settings: Settings) -> Launch:
    place = f"grader command `{' '.join(spec.command)}`"
    environment = _environment(spec, settings, place)
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
    given = {**os.environ, **settings.environment}
    missing = [name for name in spec.environment if name not in given]
    if missing:
        raise StepFailed(f"{place}: {', '.join(missing)} is not set. Set it in the environment or in `.env`.")
    seen = {name: given[name] for name in (*always_seen, *spec.environment) if name in given}
    # The folder of polytune's own interpreter comes first, so that `python` means that one.
    path = os.pathsep.join((str(Path(sys.executable).parent), given.get("PATH", os.defpath)))
    return {"PATH": path, "PYTHONUNBUFFERED": "1", **seen}


def _program(word: str, folder: Path, path: str, place: str) -> str:
    # As in a shell, a word with a slash is a path, here relative to the experiment; others are looked up.
    beside = str(folder / word) if os.sep in word else word
    found = shutil.which(beside, path=path)
    if found is None:
        missing = f"'{word}' is no program in {folder} or on PATH"
        raise StepFailed(f"{place}: {missing}. Check its name and its execute permission.")
    return found
