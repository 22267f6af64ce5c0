"""The plan is never wrong: over hundreds of generated edits, a run does what the plan said it would.

Each round edits an experiment, its files, its outputs or the store, plans with some flags, runs, and
compares. Meanwhile every output is checked against what it should be by plain arithmetic on texts, and now
and then against a run of the same sources in an empty workspace. POLYTUNE_TEST_EDITS sets how many edits are
tried (default 300; `make test-slow` tries 1,500).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from polytune.cli.run import refuse_blocked
from polytune.engine.manifest import Manifest
from polytune.engine.plan import Plan, StepState
from polytune.errors import Blocked
from polytune.files import digest_of
from tests.engine.engine_bench import Bench, outputs, states, statuses, truthful
from tests.messages import matching

seeds = range(5)
rounds = max(1, int(os.environ.get("POLYTUNE_TEST_EDITS", "300")) // len(seeds))
oracle_rounds = 30
"""Every so many rounds the sources are run in an empty workspace too."""
texts = ("alpha\n", "alps\n", "beta\n")
Flags = Mapping[str, str | Sequence[str]]


class World:
    """An experiment that is being edited: a -> t -> j -> u, with f feeding j as well, and g beside them.

    Only a fact about g's guide is in its key, as with a grader's program.
    """

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.random = random.Random(seed)
        self.values: dict[str, object] = {"upper": False, "t": 2, "between": "", "u": 3}
        self.text = texts[0]
        self.file = "a.txt"
        self.guide = "A"
        self.bench.write(self.file, self.text)
        self.bench.write("guide.txt", self.guide)
        self.latest: Manifest | None = None
        self.has_accepted = False

    @property
    def steps(self) -> dict[str, Mapping[str, object]]:
        """The steps as they are stated now."""
        return {
            "a": {"uses": "source", "path": self.file, "upper": self.values["upper"]},
            "f": {"uses": "flaky", "needs": ["a"]},
            "g": {"uses": "guided", "guide": "guide.txt"},
            "t": {"uses": "trim", "from": "a", "keep": self.values["t"]},
            "j": {"uses": "join", "from": {"left": "t", "right": "f"}, "between": self.values["between"]},
            "u": {"uses": "trim", "from": "j", "keep": self.values["u"]},
        }

    @property
    def expected(self) -> dict[str, str]:
        """What each output must be now."""
        a = self.text.upper() if self.values["upper"] else self.text
        t = a[: int(str(self.values["t"]))]
        j = f"{t}{self.values['between']}f\n"
        u = j[: int(str(self.values["u"]))]
        return {"a": a, "f": "f\n", "g": 2 * self.guide, "t": t, "j": j, "u": u}

    # edits

    def edit(self) -> str:
        """One thing is different now; what it is, is returned."""
        if (self.bench.root / "unplugged").exists() and self.random.random() < 0.7:
            return self._unplug()
        edits: list[Callable[[], str]] = [
            self._value, self._value, self._value, self._content, self._content, self._touch,
            self._remove_output, self._tamper_output, self._spoil_object, self._lose, self._unplug,
            self._rename, self._new_guide, self._new_guide, self._folder_for_output,
        ]  # fmt: skip
        return self.random.choice(edits)()

    def _value(self) -> str:
        new = self.random.randrange(5, 99)
        name, choices = self.random.choice(
            [("upper", (True, False)), ("t", (1, 2, 4, new)), ("between", ("", "-")), ("u", (1, 2, 9, new))]
        )
        self.values[name] = self.random.choice(choices)
        return f"{name} = {self.values[name]!r}"

    def _content(self) -> str:
        self.text = self.random.choice(texts)
        self.bench.write(self.file, self.text)
        return f"{self.file} = {self.text!r}"

    def _touch(self) -> str:
        os.utime(self.bench.root / self.file)
        return f"touched {self.file}"

    def _rename(self) -> str:
        """The same bytes under another name; the experiment says so."""
        new = self.random.choice(("a.txt", "b.txt", "folder/c.txt"))
        (self.bench.root / new).parent.mkdir(exist_ok=True)
        (self.bench.root / self.file).rename(self.bench.root / new)
        old, self.file = self.file, new
        return f"renamed {old} to {new}"

    def _new_guide(self) -> str:
        self.guide = self.random.choice("ABC")
        self.bench.write("guide.txt", self.guide)
        return f"guide.txt = {self.guide}"

    def _folder_for_output(self) -> str:
        path = self._output()
        if path.is_file():
            path.unlink()
            path.mkdir()
            (path / "inside").write_text("a folder in the place of an output\n")
        return f"a folder in the place of {path}"

    def _remove_output(self) -> str:
        path = self._output()
        if not path.is_dir():
            path.unlink(missing_ok=True)
        return f"removed {path}"

    def _tamper_output(self) -> str:
        path = self._output()
        if path.is_file():
            path.write_text("tampered\n")
        return f"tampered with {path}"

    def _spoil_object(self) -> str:
        objects = [each for each in (self.bench.root / "runs" / "objects").rglob("*") if each.is_file()]
        if not objects:
            return "no object to spoil"
        path = self.random.choice(sorted(objects))
        if self.random.random() < 0.5:
            path.unlink()
        else:
            path.write_text("spoilt\n")
        return f"spoilt {path}"

    def _lose(self) -> str:
        """An output and every object at once: nothing of it is left."""
        told = self._remove_output()
        for each in (self.bench.root / "runs" / "objects").rglob("*"):
            if each.is_file():
                each.unlink()
        return f"{told} and every object"

    def _unplug(self) -> str:
        path = self.bench.root / "unplugged"
        if path.exists():
            path.unlink()
            return "plugged in"
        path.touch()
        return "unplugged"

    def _output(self) -> Path:
        """The place of some output that the latest run used."""
        reports = self.latest.steps.values() if self.latest else []
        entries = [entry for report in reports if report.output for entry in report.output.files.values()]
        return self.bench.root / (self.random.choice(entries).path if entries else "nowhere")

    def flags(self, *, accepting: bool) -> Flags:
        """Sometimes some flags."""
        step = self.random.choice("aftjug")
        options: list[Flags] = [{}] * 6
        options += [{"force": [step]}, {"only": step}, {"until": step}, {"since": step}]
        options += [{"until": step, "force": [step]}, {"since": step, "force": [step]}]
        if accepting:
            options += [{"accept": [step]}, {"accept": ["j", "u"]}, {"accept": ["t", "u"]}] * 4
        return self.random.choice(options)

    # checks

    def anew(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
        """The run of the same sources in a workspace that has never seen another."""
        folder.mkdir()
        bench = Bench.made(folder, monkeypatch)
        for name, text in ((self.file, self.text), ("guide.txt", self.guide)):
            (bench.root / name).parent.mkdir(exist_ok=True)
            bench.write(name, text)
        return bench.run(bench.experiment("x", self.steps))

    def compare(self, plan: Plan, manifest: Manifest, begun: Sequence[str], said: str) -> None:
        """The run did what the plan said, did nothing else, and every output is right and in place."""
        for planned in plan.steps:
            report = manifest.steps[planned.step.id]
            assert report.status in truthful[planned.state], f"{planned.step.id} {planned.state} {said}"
        done = [name for name, status in statuses(manifest).items() if status == "done"]
        assert sorted(begun) == sorted(done), said
        for name, report in manifest.steps.items():
            if report.output is None:
                continue
            for entry in report.output.files.values():
                path = self.bench.root / entry.path
                assert digest_of(path) == entry.digest, f"{name} {said}"
                assert self.has_accepted or path.read_text() == self.expected[name], f"{name} {said}"


@pytest.mark.parametrize("seed", seeds)
def test_a_run_does_what_the_plan_said(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hit and restore are cached, run is done, maybe is either, blocked is refused; then nothing is to do."""
    world = World(Bench.made(tmp_path, monkeypatch), seed)
    bench, met, told = world.bench, set[str](), []
    for number in range(rounds):
        told += [world.edit() for _ in range(world.random.choice((1, 1, 2, 3)))]
        path = bench.experiment("x", world.steps)
        flags = world.flags(accepting=seed == seeds[-1])
        said = f"(seed {seed}, round {number}: {'; '.join(told[-4:])}; {dict(flags)})"

        plan = bench.plan(path, **flags)
        met |= set(states(plan).values())
        if any(planned.state is StepState.BLOCKED for planned in plan.steps):
            with pytest.raises(Blocked, match=matching("engine/sentence-nothing-was-run")):
                refuse_blocked(plan)
            continue
        before = len(bench.begun())
        world.has_accepted |= "accept" in flags
        world.latest = bench.run(path, **flags)

        world.compare(plan, world.latest, bench.begun()[before:], said)
        again = bench.plan(path, **{name: value for name, value in flags.items() if name != "force"})
        assert again.idle, f"{states(again)} {said}"
        if number % oracle_rounds == 0 and not flags and not world.has_accepted:
            assert outputs(world.latest) == outputs(world.anew(tmp_path / f"anew{number}", monkeypatch)), said
    assert rounds < 60 or met >= {"hit", "run", "maybe", "restore", "skip", "blocked"}
