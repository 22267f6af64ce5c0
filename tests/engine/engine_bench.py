"""A workspace for the engine's tests: experiments of test kinds, planned and run here or as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from polytune.engine.compiled import Compiled
from polytune.engine.manifest import Manifest, StepStatus
from polytune.engine.plan import Plan, StepState
from polytune.engine.selection import Selection, select
from polytune.engine.session import Session
from polytune.wiring import OpenWorkspace
from tests.engine import engine_kinds
from tests.engine.engine_kinds import asked_name, children_name, effects_name

kinds = ("source", "join", "trim", "flaky", "gate", "stubborn", "placer", "asker", "far", "guided")
repository = Path(__file__).parents[2]
patience_seconds = 60.0

Steps = Mapping[str, Any]
"""Step id -> what YAML states for it."""


def install_kinds(folder: Path) -> Path:
    """A folder that, on the module search path, is an installed package with the test kinds as plugins."""
    place = folder / "plug"
    metadata = place / "engine_kinds-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: engine-kinds\nVersion: 1.0\n")
    points = "".join(f"{kind} = {engine_kinds.__name__}:{kind.title()}\n" for kind in kinds)
    (metadata / "entry_points.txt").write_text(f"[polytune.steps]\n{points}")
    return place


class Bench:
    """A workspace and what may be done in it."""

    def __init__(self, root: Path, plug: Path) -> None:
        self.root = root
        self.plug = plug
        self._programs: list[subprocess.Popen[str]] = []

    @classmethod
    def made(cls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """An empty workspace below `folder`; the test kinds are installed until the test ends."""
        plug = install_kinds(folder)
        monkeypatch.syspath_prepend(str(plug))
        return cls.at(folder / "space", plug)

    @classmethod
    def at(cls, root: Path, plug: Path) -> Bench:
        """An empty workspace, with jobs looked at often."""
        (root / "runs").mkdir(parents=True)
        (root / ".env").write_text("POLYTUNE_POLL_SECONDS=0.02\n")
        return cls(root, plug)

    # files

    def write(self, name: str, text: str) -> Path:
        """The file holds the text."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def experiment(self, name: str, steps: Steps, **top: object) -> Path:
        """An experiment file; each step's label is its id unless it states one."""
        labelled = {key: {"label": key, **step} for key, step in steps.items()}
        document = {"name": name, "steps": labelled, **top}
        return self.write(f"{name}.yaml", yaml.safe_dump(document, sort_keys=False))

    def lines(self, name: str) -> list[str]:
        """The lines of a file of the workspace, none if there is no such file."""
        path = self.root / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def begun(self) -> list[str]:
        """The label of every start of a step so far."""
        return [line.removeprefix("begin ") for line in self.lines(effects_name) if line.startswith("begin ")]

    def asked(self) -> list[str]:
        """Every answer asked for so far."""
        return self.lines(asked_name)

    def children(self) -> list[str]:
        """Every job that was started so far, as `pid token`."""
        return self.lines(children_name)

    # in this process

    def opened(self) -> OpenWorkspace:
        """The open workspace."""
        return OpenWorkspace.open(self.root / "x.yaml", self.root, creating=True)

    def plan(self, path: Path, **flags: str | Sequence[str]) -> Plan:
        """The plan of the only variant."""
        opened = self.opened()
        (compiled,) = opened.compile(path, ())
        plan = opened.planner(compiled, _selection(compiled, flags)).plan(compiled)
        opened.ledger.close()
        return plan

    def run(self, path: Path, **flags: str | Sequence[str]) -> Manifest:
        """A finished run of the only variant."""
        opened = self.opened()
        (compiled,) = opened.compile(path, ())
        planner = opened.planner(compiled, _selection(compiled, flags))
        session = Session(opened.workspace, planner, opened.step_factory(compiled).fresh, opened.settings, [])
        manifest = session.start(planner.plan(compiled), {})
        opened.ledger.close()
        return manifest

    # as the program

    def start(self, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
        """The program at work, in a process group of its own; its output comes through pipes."""
        return self._started([sys.executable, "-m", "polytune", *map(str, words)], environment)

    def script(self, path: Path, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
        """A Python script at work, likewise."""
        return self._started([sys.executable, str(path), *map(str, words)], environment)

    def _started(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            command,
            cwd=self.root,
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # The tests themselves may run under nohup, which would have the program ignore it too.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
        self._programs.append(program)
        return program

    def close(self) -> None:
        """Programs and jobs that were started here and still go on, as after a failed test, are ended."""
        for program in self._programs:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.communicate()
        for line in self.children():
            if is_alive(pid := int(line.split()[0])):
                os.kill(pid, signal.SIGKILL)

    def call(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """The program, finished."""
        with self.start(*words, **environment) as process:
            out, err = process.communicate(timeout=patience_seconds)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        paths = os.pathsep.join([str(self.plug), str(repository)])
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **more}


def _selection(compiled: Compiled, flags: Mapping[str, str | Sequence[str]]) -> Selection:
    return select(compiled, **flags)  # type: ignore[arg-type]


def states(plan: Plan) -> dict[str, str]:
    """Each step's planned state."""
    return {planned.step.id: str(planned.state) for planned in plan.steps}


def statuses(manifest: Manifest) -> dict[str, str]:
    """Each step's status in a run."""
    return {name: str(report.status) for name, report in manifest.steps.items()}


def outputs(manifest: Manifest) -> dict[str, str]:
    """The digest of each step's output."""
    return {name: report.output_digest for name, report in manifest.steps.items()}


truthful: Mapping[StepState, frozenset[StepStatus]] = {
    StepState.HIT: frozenset({StepStatus.CACHED}),
    StepState.RESTORE: frozenset({StepStatus.CACHED}),
    StepState.RUN: frozenset({StepStatus.DONE}),
    StepState.MAYBE: frozenset({StepStatus.DONE, StepStatus.CACHED}),
    StepState.ATTACH: frozenset({StepStatus.DONE}),
    StepState.SKIP: frozenset({StepStatus.SKIPPED}),
}
"""What a run may make of each planned state; a blocked plan is not run."""


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Waits until it holds. Raises AssertionError, saying what was waited for, when it never does."""
    deadline = time.monotonic() + patience_seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def read_until(process: subprocess.Popen[str], word: str) -> list[str]:
    """The lines of the program's standard error up to the first that contains the word."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if word in line:
            return seen
    raise AssertionError(f"the program ended without saying '{word}': {''.join(seen)}")


def all_in(words: Iterable[str], text: str) -> bool:
    """Whether a text contains each word."""
    return all(word in text for word in words)
