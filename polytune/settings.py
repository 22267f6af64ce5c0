"""How to run, never what to produce: from flags, the environment and `.env`. Nothing here is hashed.

A flag overrides the environment, the environment overrides `.env`. `.env.example` documents every variable.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polytune.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """How to run. Two runs with different settings produce the same artifacts."""

    concurrency: int = 16
    """Requests in flight at once. POLYTUNE_CONCURRENCY."""
    threads: int = 0
    """Compute threads of a local trainer; 0 uses all cores available to this process. POLYTUNE_THREADS."""
    poll_seconds: float = 0.0
    """Seconds between two polls of a running job; 0 leaves it to the platform. POLYTUNE_POLL_SECONDS."""
    stall_seconds: float = 0.0
    """How long a remote job may stay in one stage before it is stopped; 0 waits forever, with a message.
    POLYTUNE_STALL_HOURS."""
    clock_url: str = ""
    """The emulator whose clock waiting moves forward, in rehearsals; '' is real time. POLYTUNE_CLOCK_URL."""
    log_format: str = "auto"
    """`auto` (console on a terminal, plain lines otherwise), `plain` or `json`. POLYTUNE_LOG_FORMAT."""
    cache_folder: Path = field(default_factory=lambda: Path.home() / ".cache" / "polytune")
    """Folder for converted base models and grader bundles, shared by workspaces. POLYTUNE_CACHE."""
    rehearsal: bool = False
    """Whether emulators replace everything that would cost money; set by `--rehearse`."""
    undeclared_inputs: str = "fail"
    """What happens when a grader reads a file that is not part of its key: `fail` or `warn`.
    POLYTUNE_UNDECLARED_INPUTS."""
    shared: bool = False
    """Whether the group of `runs/` may read and write what is in it. POLYTUNE_SHARED: `no` or `group`."""
    workspace: Path | None = None
    """The workspace's folder."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment and `.env` combined: where `${env:}` and `${secret:}` look up names."""


def load_settings(folder: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings for a workspace folder, from the environment and `folder/.env`.

    Raises UsageError when a variable is not a valid number or a known word.
    """
    given = os.environ if environment is None else environment
    merged = {**read_dotenv(folder / ".env"), **given}
    # From the merged variables, so that the given environment decides everything.
    home = Path(merged.get("HOME", "~")).expanduser()
    cache = merged.get("POLYTUNE_CACHE") or Path(merged.get("XDG_CACHE_HOME") or home / ".cache") / "polytune"
    return Settings(
        concurrency=max(1, int(_number(merged, "POLYTUNE_CONCURRENCY", 16))),
        threads=int(_number(merged, "POLYTUNE_THREADS", 0)),
        poll_seconds=_number(merged, "POLYTUNE_POLL_SECONDS", 0.0),
        stall_seconds=3600 * _number(merged, "POLYTUNE_STALL_HOURS", 0.0),
        clock_url=merged.get("POLYTUNE_CLOCK_URL", ""),
        log_format=_word(merged, "POLYTUNE_LOG_FORMAT", ("auto", "plain", "json")),
        cache_folder=Path(cache).expanduser(),
        undeclared_inputs=_word(merged, "POLYTUNE_UNDECLARED_INPUTS", ("fail", "warn")),
        shared=_word(merged, "POLYTUNE_SHARED", ("no", "group")) == "group",
        workspace=folder,
        environment=merged,
    )


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the NAME=value lines of a `.env` file; comments and blank lines are skipped, quotes removed."""
    if not path.is_file():
        return {}
    pairs = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            pairs[name.strip()] = _unquoted(value.strip())
    return pairs


def _unquoted(value: str) -> str:
    # Inside quotes `#` belongs to the value; without them ` #` starts a comment, as in a shell.
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value.split(" #", 1)[0].rstrip()


def _number(values: Mapping[str, str], name: str, default: float) -> float:
    text = values.get(name, "")
    try:
        number = float(text) if text else default
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise UsageError(f"{name}: '{text}' is not a number from 0 upwards")
    return number


def number_above_zero(environment: Mapping[str, str], name: str) -> float | None:
    """Return the number in a variable; None when it is not set. Raises UsageError unless it is above 0."""
    text = environment.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UsageError(f"{name}: '{text}' is not a number above 0")
    return number


def _word(values: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    text = values.get(name) or known[0]
    if text not in known:
        raise UsageError(f"{name}: '{text}' is not one of {', '.join(known)}")
    return text
