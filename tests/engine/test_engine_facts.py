"""Facts are taken again under a step's lock and after its work: what a step read is what its key says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polytune.engine.manifest import Manifest
from tests.engine.engine_bench import Bench, eventually, statuses
from tests.messages import message

steps = {"g": {"uses": "gate"}, "f": {"uses": "guided", "guide": "guide.txt", "needs": ["g"]}}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A workspace with the guide A and nothing in the way."""
    found = Bench.made(tmp_path, monkeypatch)
    found.write("guide.txt", "A")
    found.write("open", "")
    yield found
    found.close()


def text_of(bench: Bench, manifest: Manifest) -> str:
    """What the guided step wrote, wherever the run took it from."""
    output = manifest.steps["f"].output
    assert output is not None
    return (bench.root / output.files["out.txt"].path).read_text(encoding="utf-8")


@contextmanager
def meanwhile(bench: Bench, begun: list[str], *then: tuple[str, str | None]) -> Iterator[None]:
    """Once these steps have begun, each named file is written with its text, or removed for None."""

    def change() -> None:
        eventually(lambda: bench.begun() == begun, f"{begun} to begin")
        for name, text in then:
            if text is None:
                (bench.root / name).unlink()
            else:
                bench.write(name, text)

    changing = threading.Thread(target=change)
    changing.start()
    yield
    changing.join()


def test_an_edit_between_the_plan_and_the_lock_gives_another_key(bench: Bench) -> None:
    """The step was planned with guide A and works with B: its output is B's, under B's key."""
    (bench.root / "open").unlink()
    path = bench.experiment("x", steps)

    with meanwhile(bench, ["g"], ("guide.txt", "B"), ("open", "")):
        edited = bench.run(path)
    bench.write("guide.txt", "A")
    reverted = bench.run(path)
    bench.write("guide.txt", "B")

    assert (text_of(bench, edited), text_of(bench, reverted)) == ("BB", "AA")
    assert statuses(reverted) == {"g": "cached", "f": "done"}
    assert text_of(bench, bench.run(path)) == "BB"


def test_an_edit_during_the_work_discards_the_output(bench: Bench) -> None:
    """Half A, half B is stored under no key; the message names what changed."""
    path = bench.experiment("x", steps)
    bench.write("shut", "")

    with meanwhile(bench, ["g", "f"], ("guide.txt", "B"), ("shut", None)):
        spoilt = bench.run(path)
    bench.write("guide.txt", "A")
    reverted = bench.run(path)

    assert spoilt.steps["f"].output is None
    assert message("engine/guide-changed-while-running") in spoilt.steps["f"].message
    assert (statuses(reverted)["f"], text_of(bench, reverted)) == ("done", "AA")


def test_an_edit_before_resume_is_planned_again_and_said(bench: Bench) -> None:
    """The resumed step works with guide B under B's key, says so, and a revert finds nothing of it."""
    path = bench.experiment("x", steps)
    bench.write("broken", "")
    failed = bench.run(path)
    bench.write("guide.txt", "B")
    (bench.root / "broken").unlink()

    resumed = bench.call("resume")
    bench.write("guide.txt", "A")
    reverted = bench.run(path)
    bench.write("guide.txt", "B")

    assert statuses(failed)["f"] == "failed"
    assert resumed.returncode == 0, resumed.stderr
    assert message("engine/edited-since-the-plan") in resumed.stderr
    assert (statuses(reverted)["f"], text_of(bench, reverted)) == ("done", "AA")
    assert text_of(bench, bench.run(path)) == "BB"
