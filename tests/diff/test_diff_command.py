"""`polytune diff` as a user calls it, on real runs of the composer: names, pages, exit codes, start-up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from polytune.engine.execute import largest_kept_input_bytes
from polytune.files import digest_of
from polytune.report.shape import Difference
from tests.diff.made import Bench, anonymous, base, open_bench, prompts
from tests.messages import message

golden = Path(__file__).parent / "golden"
heavy = ("pydantic", "jinja2", "yaml", "boto3", "aiohttp", "torch", "rich", "structlog", "asyncio")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A workspace in which `base` and `grown` have run, with four variations of `base`."""
    made = open_bench(tmp_path_factory.mktemp("diff"))
    made.ran("base")
    made.ran("grown")
    made.write("experiments/plain.yaml", "extends: base.yaml\nname: plain\nsteps: {format: {system: none}}\n")
    made.ran("plain")
    split = "{train: 0.25, validation: 0.5, test: 0.25}"
    made.write(
        "experiments/split.yaml", f"extends: base.yaml\nname: split\nsteps: {{format: {{split: {split}}}}}\n"
    )
    made.ran("split")
    return made


def difference(bench: Bench, *words: str) -> Difference:
    """What `diff --json` prints, read back with the published shape."""
    said = bench.program("diff", *words, "--json")
    assert said.code == 1, said.err
    return msgspec.json.decode(said.out, type=Difference)


@pytest.mark.parametrize(("name", "flags"), [("growth.txt", ["--rows", "1"]), ("growth.md", ["--markdown"])])
def test_a_larger_count_is_told_like_this(name: str, flags: list[str], bench: Bench) -> None:
    """The page of a run with more samples is the golden one, to the byte."""
    said = bench.program("diff", "base", "grown", *flags)

    assert said.code == 1
    assert anonymous(said.out) == (golden / name).read_text(encoding="utf-8")


def test_json_has_this_shape(bench: Bench) -> None:
    """`--json` prints the golden value, field by field."""
    said = bench.program("diff", "base", "grown", "--json", "--rows", "1")

    assert json.loads(anonymous(said.out)) == json.loads((golden / "growth.json").read_text())


def test_the_second_page_equals_the_first(bench: Bench) -> None:
    """The same two runs give the same bytes twice."""
    pages = [bench.program("diff", "plain", "split", "--markdown").out for _ in range(2)]

    assert pages[0] == pages[1] != ""


def test_a_run_does_not_differ_from_itself(bench: Bench) -> None:
    """An experiment's latest run, its folder, its manifest, its file and its id are the same thing."""
    (folder,) = (bench.root / "runs" / "base").iterdir()
    names = [str(folder), str(folder / "manifest.json"), folder.name, folder.name[:-2]]

    for name in names:
        said = bench.program("diff", "base", name)
        assert (said.code, said.out) == (
            0,
            message("diff/no-difference-steps-with-same-keys-and-outputs", steps=2) + "\n",
        )
    said = bench.program("diff", "base", "experiments/base.yaml")

    assert (said.code, said.out) == (0, message("diff/no-difference-steps-with-same-keys", steps=2) + "\n")


def test_equal_sides_still_have_the_published_shape(bench: Bench) -> None:
    """`--json` of two equal runs is a whole comparison that says `same`."""
    said = bench.program("diff", "base", "base", "--json")

    assert said.code == 0
    assert msgspec.json.decode(said.out, type=Difference).same
    assert bench.program("diff", "base", "base", "--markdown").out.startswith("**No difference**")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("bass", message("diff/no-run-or-experiment-here", experiment="bass", suggestion="base")),
        (
            "experiments/bass.yaml",
            "experiments/bass.yaml: " + message("general/no-such-experiment-file", suggestion="base.yaml"),
        ),
        ("gone/manifest.json", "gone/manifest.json: " + message("general/no-such-manifest")),
        ("prompts/small.yaml", "unknown key 'system'"),
        ("experiments/base.yaml@epochs=2", message("diff/no-variant", name="epochs=2")),
    ],
)
def test_a_side_that_does_not_exist_is_an_error(name: str, what: str, bench: Bench) -> None:
    """A wrong name ends with 2 and says which name was probably meant."""
    said = bench.program("diff", "base", name)

    assert (said.code, said.out) == (2, "")
    assert what in said.err


def test_an_ambiguous_beginning_is_an_error(bench: Bench) -> None:
    """The beginning of several run ids stands for none of them."""
    (folder,) = (bench.root / "runs" / "base").iterdir()

    said = bench.program("diff", "base", folder.name[:4])

    assert said.code == 2
    assert message("diff/runs-begin-with", name=folder.name[:4]) in said.err


def test_files_are_compared_without_any_run(tmp_path: Path) -> None:
    """Two files that never ran are compared by spec and keys, and no ledger is made."""
    bench = open_bench(tmp_path)

    said = bench.program("diff", "experiments/base.yaml", "experiments/grown.yaml")

    assert said.code == 1
    assert said.out == (golden / "files.txt").read_text(encoding="utf-8")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_variant_is_chosen_by_name(bench: Bench) -> None:
    """Of a file with a matrix one variant must be named, and then is compared alone."""
    text = "extends: base.yaml\nname: many\nmatrix: {steps.generate.count: [12, 16]}\n"
    file = str(bench.write("experiments/many.yaml", text).relative_to(bench.root))

    unsaid = bench.program("diff", "base", file)
    said = bench.program("diff", "base", f"{file}@count=16")

    assert "has 2 variants; name one" in unsaid.err
    assert said.out.startswith("first difference: generate, count 12 -> 16   ")


def test_a_file_is_compared_with_a_run(bench: Bench) -> None:
    """A run against a changed file says which steps would differ, and counts nothing."""
    bench.write("experiments/next.yaml", "extends: base.yaml\nname: next\nsteps: {format: {system: none}}\n")

    found = difference(bench, "base", "experiments/next.yaml")

    assert [str(step.relation) for step in found.structure.steps] == ["same", "changed"]
    assert (found.datasets, found.answers, found.spending) == ((), (), None)


def test_rows_with_another_system_prompt_are_changed(bench: Bench) -> None:
    """Every row keeps its sample and its split, and its text is another."""
    (dataset,) = difference(bench, "base", "plain", "--rows", "2").datasets

    assert sum(split.changed for split in dataset.splits) == 12
    assert (dataset.same, dataset.aligned_by_prompt) == (0, 0)
    assert [(pair.old.sample, pair.old.answer) for pair in dataset.changed] == [
        (pair.new.sample, pair.new.answer) for pair in dataset.changed
    ]
    assert {(pair.old.system, pair.new.system) for pair in dataset.changed} == {("You write Strudel.", "")}


def test_rows_in_another_split_are_moved(bench: Bench) -> None:
    """With other shares rows move between splits, and nothing is added, removed or changed."""
    (dataset,) = difference(bench, "base", "split").datasets
    moved = sum(split.moved_in for split in dataset.splits)

    assert moved == sum(split.moved_out for split in dataset.splits) > 0
    assert moved + dataset.same == 12
    assert all(pair.old.split != pair.new.split for pair in dataset.moved)
    assert all(pair.old.prompt == pair.new.prompt for pair in dataset.moved)


def test_no_rows_are_shown_when_none_are_asked_for(bench: Bench) -> None:
    """`--rows 0` leaves the counts and no row."""
    (dataset,) = difference(bench, "base", "grown", "--rows", "0").datasets

    assert sum(split.added for split in dataset.splits) == 8
    assert dataset.added == ()


def test_a_lost_dataset_is_counted_only(tmp_path: Path) -> None:
    """When the rows of a run are gone, its splits are counted from the manifest and the page says so."""
    bench = open_bench(tmp_path)
    first = bench.ran("base")
    bench.ran("grown")
    shutil.rmtree(tmp_path / "runs" / "base" / first / "format")
    shutil.rmtree(tmp_path / "runs" / "objects")

    (dataset,) = difference(bench, "base", "grown").datasets

    assert dataset.note == message("diff/rows-not-aligned", first=first)
    assert [(split.old, split.new) for split in dataset.splits] == [(3, 5), (6, 10), (3, 5)]


def test_an_edited_prompt_file_is_shown_as_it_was(tmp_path: Path) -> None:
    """The prompts of an earlier run are compared line by line although their file has changed since."""
    bench = open_bench(tmp_path)
    first = bench.ran("base")
    bench.write("prompts/small.yaml", prompts.replace("nothing else.", "nothing but code."))
    bench.ran("base")

    said = bench.program("diff", first, "base", "--rows", "0")
    bench.write("prompts/small.yaml", "templates: [gone]\n")
    again = bench.program("diff", first, "base", "--rows", "0")

    assert said.out.startswith("first difference: generate, prompts/small.yaml changed   ")
    assert "-  Reply with code and nothing else." + "\n" in said.out
    assert "+  Reply with code and nothing but code." + "\n" in said.out
    assert again.out == said.out


def test_a_run_that_ended_early_differs_where_it_ended(tmp_path: Path) -> None:
    """The first difference of a run that left a step out is that step; what both did is the same."""
    bench = open_bench(tmp_path)
    short = bench.ran("grown", "--until", "format")
    bench.ran("grown")

    said = bench.program("diff", short, "grown")

    assert said.out.startswith("first difference: validate, skipped -> done\n")
    assert "format     same" in said.out


def replaying(bench: Bench, answers: str) -> None:
    """`base` asks six questions and takes the answers from a file."""
    bench.write("prompts/small.yaml", "templates: ['Question {{ n }}']\nslots: {n: [1, 2, 3, 4, 5, 6]}\n")
    text = base.replace("{kind: composer}", "{kind: replay, path: ../answers.jsonl}")
    text = text.replace("count: 12", "count: 6").replace("system: short", "system: none")
    lines = text.splitlines(keepends=True)
    bench.write("experiments/base.yaml", "".join(line for line in lines if "matrix" not in line))
    bench.write("answers.jsonl", answers)


def recorded_answers() -> str:
    """Six recorded answers, one to each question."""
    rows = [{"prompt": f"Question {n}", "answer": f"s('bd*{n}')"} for n in range(1, 7)]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def test_large_input_files_are_not_copied(tmp_path: Path) -> None:
    """An input too large to read by eye is not stored, and a difference in it is told without hunks."""
    bench = open_bench(tmp_path)
    replaying(bench, recorded_answers() + "\n" * largest_kept_input_bytes)
    first = bench.ran("base")
    digest = digest_of(tmp_path / "answers.jsonl")
    replaying(bench, recorded_answers())
    bench.ran("base")

    (change,) = difference(bench, first, "base").structure.files

    assert (change.field, change.old_digest) == ("teacher.path", digest)
    assert change.text.note == message("diff/old-text-is-not-kept-here")


def test_a_redrawn_answer_is_the_only_row_that_differs(tmp_path: Path) -> None:
    """When one recorded answer is edited, rows are aligned by prompt and exactly one has changed."""
    bench = open_bench(tmp_path)
    replaying(bench, recorded_answers())
    first = bench.ran("base")
    replaying(bench, recorded_answers().replace("bd*4", "hh*4"))
    bench.ran("base")

    (dataset,) = difference(bench, first, "base").datasets

    assert (dataset.aligned_by_prompt, dataset.same) == (6, 5)
    assert [(pair.old.answer, pair.new.answer) for pair in dataset.changed] == [("s('bd*4')", "s('hh*4')")]


def test_comparing_equal_runs_imports_nothing_heavy(bench: Bench) -> None:
    """The program that finds no difference never imports what reads YAML, validates, waits or draws."""
    program = (
        "import sys\n"
        "from polytune.cli.main import main\n"
        "try:\n    main(['diff', 'base', 'base'])\n"
        "except SystemExit as ended:\n    assert ended.code == 0\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=bench.root, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
