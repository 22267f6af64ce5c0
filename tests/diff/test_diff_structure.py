"""Which step differs first, and why: hand-made runs, one change at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.engine.artifacts import Artifact
from polytune.engine.difference import Relation, Structure, merged_order, structural_difference
from polytune.engine.manifest import StepReport, StepStatus
from polytune.report.differences import compare_figures
from polytune.report.markdown import markdown_lines
from polytune.report.shape import nothing
from polytune.report.text import text_lines
from tests.diff.made import Shelf, report
from tests.messages import message

Steps = dict[str, StepReport]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A workspace for hand-made runs."""
    made = Shelf(tmp_path)
    yield made
    made.ledger.close()


Compare = Callable[[Steps, Steps], Structure]


@pytest.fixture
def compared(shelf: Shelf) -> Compare:
    """Compares two hand-made runs."""
    return lambda old, new: structural_difference(shelf.side("1", old), shelf.side("2", new))


def relations(found: Structure) -> dict[str, str]:
    """Every step with how it stands."""
    return {step.id: str(step.relation) for step in found.steps}


def chain(count: int, *, seed: int = 1, status: StepStatus = StepStatus.DONE) -> Steps:
    """Three steps in a row: make, mix, master."""
    make = report("make", {"count": count})
    mix = report("mix", {"seed": seed}, after=[make])
    return {"make": make, "mix": mix, "master": report("master", after=[mix], status=status)}


def test_equal_runs_have_no_first_difference(compared: Compare) -> None:
    """Two runs with the same keys and outputs do not differ in anything."""
    found = compared(chain(1), chain(1))

    assert found.first is None
    assert set(relations(found).values()) == {Relation.SAME}


def test_the_first_step_to_differ_is_named_with_its_cause(compared: Compare) -> None:
    """A changed value is the first difference, and what comes after it follows."""
    found = compared(chain(1), chain(2))

    assert found.first is not None
    assert (found.first.step, found.first.cause) == ("make", "count 1 -> 2")
    assert relations(found) == {"make": "changed", "mix": "follows", "master": "follows"}
    assert found.steps[2].follows == ("mix",)


def test_a_step_with_the_same_output_stops_the_difference(compared: Compare) -> None:
    """What follows a changed step that made the same output is the same."""
    output = Artifact(type="Make", files={}, facts={})
    old, new = (report("make", {"count": n}, output=output) for n in (1, 2))

    found = compared(
        {"make": old, "mix": report("mix", after=[old])}, {"make": new, "mix": report("mix", after=[new])}
    )

    assert relations(found) == {"make": "changed", "mix": "same"}
    assert found.steps[0].same_output


def test_another_output_under_the_same_key_is_told(compared: Compare) -> None:
    """A step that is not deterministic is unstable, not the same."""
    old, new = (
        report("make", output=Artifact(type="Make", files={}, facts={"draw": draw})) for draw in (1, 2)
    )

    found = compared({"make": old}, {"make": new})

    assert found.first is not None
    assert found.first.cause == message("diff/same-key")


def test_a_step_that_only_one_run_finished_is_told(compared: Compare) -> None:
    """A failed step differs from a finished one even though nothing was changed."""
    found = compared(chain(1, status=StepStatus.FAILED), chain(1))

    assert found.first is not None
    assert (found.first.step, found.first.cause) == ("master", "failed -> done")


def test_a_step_that_neither_run_finished_is_the_same(compared: Compare) -> None:
    """Nothing can be said to differ where both runs failed at the same thing."""
    found = compared(chain(1, status=StepStatus.FAILED), chain(1, status=StepStatus.FAILED))

    assert found.first is None


def test_steps_of_one_side_only_are_added_and_removed(compared: Compare) -> None:
    """A step that only one side has is told in its place in the running order."""
    make, drums, bass = report("make"), report("drums"), report("bass")

    found = compared({"make": make, "drums": drums}, {"make": make, "bass": bass})

    assert relations(found) == {"make": "same", "drums": "removed", "bass": "added"}
    assert found.first is not None
    assert found.first.cause == message("diff/only-in")


def test_a_new_version_of_a_step_kind_is_a_cause(compared: Compare) -> None:
    """A step whose kind works otherwise now has changed."""
    found = compared({"make": report("make", version=1)}, {"make": report("make", version=2)})

    assert found.first is not None
    assert found.first.cause == "step version 1 -> 2"


def test_another_source_of_an_input_is_a_cause(compared: Compare) -> None:
    """A step that reads another step's output has changed, though all before it are the same."""
    first, second = report("make", {"take": 1}), report("make", {"take": 2})
    takes = {"first": first, "second": second}

    found = compared(
        {**takes, "mix": report("mix", after=[first])}, {**takes, "mix": report("mix", after=[second])}
    )

    assert found.first is not None
    assert (found.first.step, found.first.cause) == ("mix", "make comes from first -> second")


def test_facts_that_repeat_the_spec_are_told_once(compared: Compare, shelf: Shelf) -> None:
    """A hyperparameter in force is left out where the spec's own value says the same."""
    old, new = (report("train", {"epochs": epochs}) for epochs in (2, 3))
    for each, epochs in ((old, 2), (new, 3)):
        assert each.record is not None
        each.record.facts.update({"hyperparameters": {"epochs": epochs}, "training_id": f"m{epochs}"})

    found = compared({"train": old}, {"train": new})

    assert [change.path for change in found.steps[0].changes] == ["spec.epochs", "facts.training_id"]


def test_a_value_that_no_step_depends_on_is_the_last_resort(shelf: Shelf) -> None:
    """Where only a budget differs, it is the first difference, and names and tags never are."""
    sides = [
        shelf.side(run, {"make": report("make")}, {"name": run, "tags": {"run": run}, "budget": {"usd": usd}})
        for run, usd in (("1", 5.0), ("2", 9.0))
    ]

    found = structural_difference(*sides)

    assert found.first is not None
    assert (found.first.step, found.first.cause) == ("", "budget.usd 5.0 -> 9.0")
    assert [value.path for value in found.values] == ["budget.usd"]


def test_lists_are_told_by_what_came_and_went(compared: Compare) -> None:
    """A changed list says which items it won and lost."""
    old, new = (report("make", {"style": styles}) for styles in (["jazz", "house"], ["jazz", "lofi"]))

    found = compared({"make": old}, {"make": new})

    assert found.first is not None
    assert found.first.cause == "style +lofi -house"


def test_nothing_to_tell_is_one_line(compared: Compare, shelf: Shelf) -> None:
    """The page of two equal runs says so and nothing else."""
    side = shelf.side("1", chain(1))

    lines = text_lines(nothing(side, side, compared(chain(1), chain(1))))

    assert lines == [message("diff/no-difference-steps-with-same-keys-and-outputs", steps=3)]


def page_of_values(shelf: Shelf, old: str, new: str) -> tuple[list[str], list[str]]:
    """The text and Markdown pages of two runs in which one value of the spec differs."""
    before, after = (
        shelf.side(run, {"make": report("make", {"system": text})}) for run, text in (("1", old), ("2", new))
    )
    found = compare_figures(before, after, structural_difference(before, after), 0)
    return text_lines(found), markdown_lines(found)


def test_a_value_of_several_lines_is_told_by_its_hunks(shelf: Shelf) -> None:
    """A text in the spec is compared line by line on both pages, in a fence that its backticks cannot end."""
    text, markdown = page_of_values(shelf, "Write code.\n```\nBe brief.", "Write code.\n```\nBe long.")

    assert f"{'':<13}-Be brief." in text
    assert f"{'':<13}+Be long." in text
    start = markdown.index("````diff")
    assert markdown[start + 1 :][: markdown[start:].index("````") - 1] == [
        "@@ -1,3 +1,3 @@",
        " Write code.",
        " ```",
        "-Be brief.",
        "+Be long.",
    ]


def test_markdown_cannot_be_broken_by_a_value(shelf: Shelf) -> None:
    """A value with marks of Markdown stays one cell of its table and means nothing."""
    _, markdown = page_of_values(shelf, "a|b", "*c* <d> `e`")

    assert "| `steps.make.system` | a\\|b -> \\*c\\* \\<d> \\`e\\` | default |" in markdown


names = st.lists(st.sampled_from("abcdef"), unique=True)


@given(names, names)
def test_the_merged_order_keeps_the_second_one(old: list[str], new: list[str]) -> None:
    """Every step is in the merged order once, and the second side's steps keep their order."""
    merged = merged_order(old, new)

    assert sorted(merged) == sorted({*old, *new})
    assert [name for name in merged if name in new] == new
