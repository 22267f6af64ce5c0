"""Every deliberate failure, as a tree; each class determines the program's exit code.

PolytuneError            1   something went wrong during the work
├── UsageError           2   the command line names something that does not exist
├── SpecError            2   the experiment file is wrong; carries every problem found in it
├── Blocked              3   work would certainly be stopped, so none was started
├── Unavailable          3   a part is missing on this machine or in this release
├── DataError            1   records break the rules of their format or base model
├── StepFailed           1   a step could not produce its artifact
├── BudgetExceeded       1   continuing would cost more than allowed
├── Paused              75   work waits for something outside, such as fresh credentials; `resume` continues
├── Detached             0   a remote job is recorded and still running; `resume` collects it
├── Busy                 1   another process holds what is needed
└── LedgerError          1   the workspace's records are unreadable or newer than the program
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum


class ExitCode(IntEnum):
    """Every exit code of the program. No other code is used, and none has a second meaning."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> ExitCode:
        """Return the code with what it means, as `--help` and the documentation print it."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "done"
    FAILED = 1, "failed; or a check found a problem, or a comparison a difference"
    WRONG_INPUT = 2, "wrong input: the command line or a file it names"
    BLOCKED = 3, "blocked: something that the work needs is missing, and nothing was started"
    GATE = 4, "a gate did not pass"
    TO_DO = 10, "something to do (`plan --exit-code`)"
    # EX_TEMPFAIL of sysexits.h: "try again later", which schedulers and mail systems understand.
    PAUSED = 75, "paused; `resume` continues later"
    INTERRUPTED = 130, "interrupted; `resume` continues"


class PolytuneError(Exception):
    """A failure the user can act on. The message says where it occurred, what it is, and what to do next."""

    exit_code = ExitCode.FAILED

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later without any action."""
        return False


class UsageError(PolytuneError):
    """The command names a run, step or file that does not exist."""

    exit_code = ExitCode.WRONG_INPUT


@dataclass(frozen=True, order=True)
class Problem:
    """One problem in an experiment file, with its place (line and column count from 1)."""

    file: str
    line: int
    column: int
    where: str
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.where}: {self.what}" if self.where else f"{place}: {self.what}"


class SpecError(PolytuneError):
    """All problems of an experiment file, in file order."""

    exit_code = ExitCode.WRONG_INPUT

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class DataError(PolytuneError):
    """Records break the rules of their format or base model."""


class StepFailed(PolytuneError):
    """A step could not produce its artifact; what it finished is kept."""


@dataclass(frozen=True)
class Obstacle:
    """What would certainly stop a step, found before the step works."""

    cause: str
    """What is missing or wrong, without a full stop."""
    remedy: str = ""
    """What to do about it; '' only when the cause is a message that says so itself."""
    field: str = ""
    """The field of the step's spec that states what is missing, by its dotted path; '' for none."""

    def __str__(self) -> str:
        return f"{self.cause}. {self.remedy}" if self.remedy else self.cause


class Blocked(PolytuneError):
    """Work would certainly be stopped by something that is missing, so none was started."""

    exit_code = ExitCode.BLOCKED


class Unavailable(PolytuneError):
    """A part is missing on this machine or in this release."""

    exit_code = ExitCode.BLOCKED


class BudgetExceeded(PolytuneError):
    """Continuing would cost more than the experiment or the command line allows."""


class Paused(PolytuneError):
    """Nothing failed and nothing is lost, but continuing needs something from outside; `resume` continues."""

    exit_code = ExitCode.PAUSED


class Detached(PolytuneError):
    """A job is recorded and still running, and this run was told not to wait for it."""

    exit_code = ExitCode.DONE


class Busy(PolytuneError):
    """Another process holds what is needed."""


class LedgerError(PolytuneError):
    """The workspace's records are unreadable, or written by a newer polytune."""


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, or a list of all."""
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{near[0]}'?"
    return f" Known: {', '.join(sorted(known))}." if known else ""
