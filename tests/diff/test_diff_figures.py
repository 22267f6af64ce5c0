"""Figures of two runs: pass rates with intervals and pairing, losses with their caveats, money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from polytune.engine.artifacts import Facts
from polytune.engine.comparand import Comparand
from polytune.engine.difference import structural_difference
from polytune.engine.ledger import Usage
from polytune.engine.manifest import StepReport
from polytune.report.differences import compare_figures
from polytune.report.evaluations import unpaired_interval
from polytune.report.shape import Difference, PassCount
from polytune.report.text import text_lines
from tests.diff.made import Shelf, answers, report, scores
from tests.messages import message

Verdicts = Mapping[str, bool]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A workspace for hand-made runs."""
    made = Shelf(tmp_path)
    yield made
    made.ledger.close()


def figures(old: Comparand, new: Comparand) -> Difference:
    """The whole comparison, with no rows."""
    return compare_figures(old, new, structural_difference(old, new), 0)


def evaluated(shelf: Shelf, run: str, verdicts: Verdicts, judge: str = "checker 1") -> Comparand:
    """A run that evaluated, with prompts in cells by their first letter."""
    cells = {prompt: {"j": "jazz", "t": "techno"}[prompt[0]] for prompt in verdicts}
    output = shelf.artifact(
        run, "evaluate", {"answers.jsonl": answers(verdicts, cells)}, "Evaluation", {"run": run}
    )
    step = report("evaluate", {"run": run}, output=output, metrics=scores(verdicts, judge))
    return shelf.side(run, {"evaluate": step})


def passed(jazz: int, techno: int, of: int = 20) -> dict[str, bool]:
    """`of` prompts of each style; the first so many of each pass."""
    found = {f"jazz {n}": n < jazz for n in range(of)}
    return found | {f"techno {n}": n < techno for n in range(of)}


def section(found: Difference, label: str) -> list[str]:
    """The lines of the page under one label, without it."""
    lines = text_lines(found)
    start = next(place for place, line in enumerate(lines) if line.startswith(f"  {label} "))
    rest = lines[start + 1 :]
    end = next((place for place, line in enumerate(rest) if not line.startswith(" " * 13)), len(rest))
    return [line[13:] for line in [lines[start], *rest[:end]]]


def test_the_same_prompts_are_compared_in_pairs(shelf: Shelf) -> None:
    """Rates on the same prompts come with a paired interval and p, and cells in words."""
    found = figures(evaluated(shelf, "1", passed(8, 12)), evaluated(shelf, "2", passed(18, 11)))

    assert section(found, "evaluate") == [
        "strudel, judged by checker 1",
        "custom   20/40 -> 29/40   +22 points, 95% interval +6 to +37, paired p = 0.012: better",
        "         better in jazz +10/20; worse in techno -1/20",
    ]


def test_a_small_change_is_called_not_distinguishable(shelf: Shelf) -> None:
    """An interval that holds zero is not sold as a gain."""
    found = figures(evaluated(shelf, "1", passed(8, 12)), evaluated(shelf, "2", passed(9, 12)))

    assert found.evaluations[0].direction == "not distinguishable"
    assert section(found, "evaluate")[1] == (
        "custom   20/40 -> 21/40   +2 points, 95% interval -6 to +10, paired p = 1: not distinguishable"
    )


def test_a_longer_test_split_is_compared_on_what_both_have(shelf: Shelf) -> None:
    """When the second test split contains the first, the pairing is over the shared prompts."""
    longer = {**passed(18, 11), **{f"techno {n}": True for n in range(20, 30)}}

    found = figures(evaluated(shelf, "1", passed(8, 12)), evaluated(shelf, "2", longer))

    assert found.evaluations[0].pairing == "shared"
    assert section(found, "evaluate")[1] == (
        message(
            "diff/custom-on-prompts-in-common",
            path="20/40",
            path2="39/50",
            prompts=40,
            path3="29/40",
            name="+22",
            name2="+6",
            name3="+37",
            number="0.012",
        )
    )


def test_other_prompts_are_compared_unpaired(shelf: Shelf) -> None:
    """Without prompts in common the interval is the wider, unpaired one, and the page says so."""
    other = {f"jazz other {n}": n < 30 for n in range(40)}

    found = figures(evaluated(shelf, "1", passed(8, 12)), evaluated(shelf, "2", other))

    assert found.evaluations[0].p is None
    assert section(found, "evaluate")[1:] == [
        message("diff/custom-points", path="20/40", path2="30/40", name="+25", name2="+4", name3="+44"),
        "         better in jazz 8/20 -> 30/40",
    ]


def test_too_few_prompts_in_common_are_not_paired(shelf: Shelf) -> None:
    """Pairing over a handful of prompts would waste the others, so it is not done."""
    other = {"jazz 0": True, **{f"jazz other {n}": n < 30 for n in range(39)}}

    found = figures(evaluated(shelf, "1", passed(8, 12)), evaluated(shelf, "2", other))

    assert message("diff/only-test-prompts-in-common", number=1) in section(found, "evaluate")[1]


def test_another_judge_is_a_warning(shelf: Shelf) -> None:
    """Figures of different judges are shown with the word that they do not compare."""
    verdicts = passed(8, 12)

    found = figures(
        evaluated(shelf, "1", verdicts, "python checker"), evaluated(shelf, "2", verdicts, "engine 1.2")
    )

    assert section(found, "evaluate")[0] == (message("diff/judged-by-python-checker-engine", number="1.2"))


def test_lost_answers_leave_the_totals(shelf: Shelf) -> None:
    """When the answers are gone the rates of the manifests are compared, unpaired."""
    old, new = evaluated(shelf, "1", passed(8, 12)), evaluated(shelf, "2", passed(18, 11))
    entry = old.entries("evaluate")["answers.jsonl"]
    (shelf.workspace.root / entry.path).unlink()
    shelf.store.object_path(entry.digest).unlink()

    found = figures(old, new)

    assert (found.evaluations[0].old, found.evaluations[0].pairing) == (PassCount(passed=20, n=40), "none")


@pytest.mark.parametrize(
    ("old", "new", "low", "high"),
    [((0, 10), (0, 10), -0.22115, 0.22115), ((20, 40), (30, 40), 0.036733, 0.439457)],
)
def test_unpaired_intervals_are_agresti_and_caffos(
    old: tuple[int, int], new: tuple[int, int], low: float, high: float
) -> None:
    """The interval is the normal one after a success and a failure were added to each side."""
    found = unpaired_interval(PassCount(passed=old[0], n=old[1]), PassCount(passed=new[0], n=new[1]))

    assert found == pytest.approx((low, high), abs=1e-6)


def trained(shelf: Shelf, run: str, rows: str, metrics: Facts, usd: float | None) -> Comparand:
    """A run that formatted and trained."""
    files = {"train.jsonl": "{}\n", "validation.jsonl": rows}
    dataset = shelf.artifact(run, "format", files, "CheckedDataset", {})
    checked = report("format", {"rows": rows}, output=dataset)
    train = report(
        "train", {"run": run}, after=[checked], metrics=metrics, usage=Usage(requests=4, reused=2), usd=usd
    )
    return shelf.side(run, {"format": checked, "train": train})


def losses(training: float, validation: float) -> Facts:
    """A training's metrics."""
    return {"training_loss": training, "validation_loss": validation, "steps": 10}


def test_losses_on_the_same_rows_are_better_or_worse(shelf: Shelf) -> None:
    """A loss that fell on the same rows is better, one that rose is worse."""
    old = trained(shelf, "1", "{}\n", losses(0.231, 0.262), 11.9)
    new = trained(shelf, "2", "{}\n", losses(0.187, 0.3), 9.35)

    found = figures(old, new)

    assert section(found, "train") == [
        "training_loss 0.231 -> 0.187 (-0.044, better)",
        "validation_loss 0.262 -> 0.3 (+0.038, worse)",
    ]
    assert section(found, "cost") == [
        "$11.90 -> $9.35   answers: A asked 4 and reused 2; B asked 4 and reused 2"
    ]


def test_losses_on_other_rows_are_not_judged(shelf: Shelf) -> None:
    """A validation loss over another validation split says so instead of better or worse."""
    old = trained(shelf, "1", "{}\n", losses(0.2, 0.262), None)
    new = trained(shelf, "2", "{}\n{}\n", losses(0.2, 0.25), 1.0)

    found = figures(old, new)

    assert section(found, "train") == ["validation_loss 0.262 -> 0.25 (-0.012, other validation rows)"]
    assert section(found, "cost")[0].startswith("unknown -> $1.00")


def test_steps_that_are_the_same_have_no_figures(shelf: Shelf) -> None:
    """Nothing is said of an evaluation that both runs share."""
    side = evaluated(shelf, "1", passed(8, 12))
    step: StepReport | None = side.steps["evaluate"].report
    assert step is not None

    found = figures(shelf.side("1", {"evaluate": step}), shelf.side("2", {"evaluate": step}))

    assert (found.evaluations, found.metrics, found.same) == ((), (), True)
