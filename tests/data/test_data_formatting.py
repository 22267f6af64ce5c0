"""Samples become rows: grouped, stratified, without duplicates, stable as the samples grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytune.data.format.format import FormatOptions, FormatReport, format_samples
from polytune.data.samples import Sample, encode_sample
from polytune.errors import DataError
from polytune.formats.interface import FORMATS
from polytune.registry import UnknownMember
from tests.data.data_samples import LAYOUT, balanced, lines, prompts, sample, write
from tests.messages import matching


def formatted(folder: Path, samples: list[Sample], options: FormatOptions | None = None) -> FormatReport:
    """What `format` makes of the samples, in `folder`."""
    return format_samples(write(folder / "samples.jsonl", samples), folder, options or FormatOptions())


def test_three_hundred_samples_are_240_30_30(tmp_path: Path) -> None:
    """The shares are met exactly, and every one of the 18 cells is in the training split."""
    report = formatted(tmp_path, list(balanced(300)))

    assert report.rows == {"train": 240, "validation": 30, "test": 30}
    assert (report.samples, report.duplicates, report.prompts, report.cells) == (300, 0, 300, 18)
    assert {split: len(found) for split, found in lines(tmp_path).items()} == report.rows


@pytest.mark.parametrize("count", [1, 2, 7, 10, 33, 100])
def test_any_number_of_samples_is_divided_to_within_one_prompt(tmp_path: Path, count: int) -> None:
    """No split is a whole prompt away from its share."""
    report = formatted(tmp_path, list(balanced(count)))

    assert abs(report.rows["train"] - 0.8 * count) < 1
    assert abs(report.rows["validation"] - 0.1 * count) < 1
    assert abs(report.rows["test"] - 0.1 * count) < 1


def test_each_cell_is_spread_over_the_splits(tmp_path: Path) -> None:
    """Of 100 prompts of a cell about 80 are for training, whatever the cell."""
    formatted(tmp_path, list(balanced(1800)))
    provenance = [json.loads(line) for line in (tmp_path / "provenance.jsonl").read_text().splitlines()]

    counts = Counter((tuple(row["cell"].values()), row["split"]) for row in provenance)

    assert {abs(rows - 80) <= 3 for (_, split), rows in counts.items() if split == "train"} == {True}
    assert {abs(rows - 10) <= 3 for (_, split), rows in counts.items() if split != "train"} == {True}
    assert len(counts) == 54


def test_all_draws_of_a_prompt_are_in_one_split(tmp_path: Path) -> None:
    """Three answers to each prompt go together: no prompt is in two splits."""
    report = formatted(tmp_path, list(balanced(300, draws=3)))
    found = prompts(tmp_path)

    assert report.prompts == 100
    assert report.rows == {"train": 240, "validation": 30, "test": 30}
    assert not set(found["train"]) & set(found["test"])
    assert not set(found["train"]) & set(found["validation"])
    assert not set(found["validation"]) & set(found["test"])


def test_one_prompt_under_two_cells_is_still_one_prompt(tmp_path: Path) -> None:
    """A template that ignores an axis renders the same prompt for two cells; both go to the same split."""
    samples = [sample(n, prompt=f"take {n // 2}", style=("techno", "house")[n % 2]) for n in range(200)]
    formatted(tmp_path, samples)
    found = prompts(tmp_path)

    assert sum(len(set(each)) for each in found.values()) == 100


@pytest.mark.parametrize(("small", "large"), [(300, 600), (600, 1000), (17, 18), (1, 500)])
def test_growth_moves_nothing(tmp_path: Path, small: int, large: int) -> None:
    """A longer file that starts with a shorter one keeps every row where it was, and in order."""
    formatted(tmp_path / "small", list(balanced(small)))
    formatted(tmp_path / "large", list(balanced(large)))
    before, after = lines(tmp_path / "small"), lines(tmp_path / "large")

    assert sum(map(len, after.values())) == large
    assert {split: after[split][: len(found)] for split, found in before.items()} == before


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), max_size=60),
    st.integers(0, 60),
    st.integers(),
)
def test_growth_and_grouping_hold_for_any_samples(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, str]], cut: int, seed: int
) -> None:
    """Whatever repeats and in whatever order: prompts stay together, and a prefix keeps its placements."""
    folder = tmp_path_factory.mktemp("splits")
    samples = [sample(n, prompt=f"p{p}", answer=a) for n, (p, a) in enumerate(drawn)]
    options = FormatOptions(seed=seed)

    whole = formatted(folder / "whole", samples, options)
    formatted(folder / "prefix", samples[:cut], options)

    found, before = prompts(folder / "whole"), lines(folder / "prefix")
    assert sum(len(set(each)) for each in found.values()) == whole.prompts == len({p for p, _ in drawn})
    assert sum(whole.rows.values()) == len(set(drawn)) == whole.samples - whole.duplicates
    assert {split: lines(folder / "whole")[split][: len(rows)] for split, rows in before.items()} == before


def test_the_seed_decides_and_nothing_else_does(tmp_path: Path) -> None:
    """Equal seeds give equal bytes in other processes with other hash seeds; another seed gives others."""
    source = write(tmp_path / "samples.jsonl", balanced(200))
    script = (
        "import sys; from pathlib import Path;"
        "from polytune.data.format.format import FormatOptions, format_samples;"
        "format_samples(Path(sys.argv[1]), Path(sys.argv[2]), FormatOptions(seed=int(sys.argv[3])))"
    )
    for name, seed, hash_seed in (("a", "7", "1"), ("b", "7", "2"), ("c", "8", "1")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", script, str(source), str(tmp_path / name), seed]
        subprocess.run(command, check=True, env=environment)

    files = {name: {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "abc"}
    assert files["a"] == files["b"]
    assert files["a"]["test.jsonl"] != files["c"]["test.jsonl"]


def test_the_test_split_does_not_follow_the_rhythm_of_the_plan(tmp_path: Path) -> None:
    """With 18 cells in turn and a test prompt in every ten, each cell still gets test prompts."""
    formatted(tmp_path, list(balanced(540)))
    rows = [json.loads(line) for line in (tmp_path / "provenance.jsonl").read_text().splitlines()]

    assert len({tuple(row["cell"].values()) for row in rows if row["split"] == "test"}) == 18


def test_duplicates_are_dropped_whatever_their_whitespace(tmp_path: Path) -> None:
    """Same prompt and answer, spaces and newlines aside, is the same row; another answer is not."""
    samples = [
        sample(1, prompt="a beat", answer='s("bd  hh")'),
        sample(2, prompt="a  beat\n", answer='s("bd hh")\n'),
        sample(3, prompt="a beat", answer='s("bd sd")'),
        sample(4, prompt="a beat", answer='s("bd\\thh")'),
        sample(5, prompt="another", answer='s("bd hh")'),
        sample(6, prompt="a beat", answer='s("bd sd")'),
    ]

    report = formatted(tmp_path, samples)
    kept = [json.loads(line)["sample"] for line in (tmp_path / "provenance.jsonl").read_text().splitlines()]

    assert (report.samples, report.duplicates, report.prompts) == (6, 2, 2)
    assert kept == ["s00001", "s00003", "s00004", "s00005"]


def test_provenance_leads_from_every_row_to_its_sample(tmp_path: Path) -> None:
    """Split and line of each provenance row name the row made of that sample, cell and request included."""
    samples = list(balanced(50))
    formatted(tmp_path, samples)
    found, by_id = prompts(tmp_path), {each.id: each for each in samples}
    provenance = [json.loads(line) for line in (tmp_path / "provenance.jsonl").read_text().splitlines()]

    assert len(provenance) == 50
    for entry in provenance:
        origin = by_id[entry["sample"]]
        assert found[entry["split"]][entry["line"] - 1] == origin.prompt
        assert (entry["cell"], entry["template"], entry["request"]) == (
            origin.cell,
            origin.template,
            origin.request,
        )


@pytest.mark.parametrize(
    ("options", "system"),
    [
        (FormatOptions(), [{"text": "You write techno."}]),
        (FormatOptions(system="short", short_system="Strudel."), [{"text": "Strudel."}]),
        (FormatOptions(system="none"), None),
        (FormatOptions(system="Answer in code."), [{"text": "Answer in code."}]),
    ],
)
def test_the_system_prompt_of_rows_is_a_choice(
    tmp_path: Path, options: FormatOptions, system: object
) -> None:
    """`full` is the teacher's, `short` the short one, `none` none, anything else is the text itself."""
    formatted(tmp_path, [sample(1)], options)

    assert json.loads(lines(tmp_path)["train"][0]).get("system") == system


def test_an_empty_teacher_prompt_is_left_out(tmp_path: Path) -> None:
    """A sample without a system prompt makes a row without one."""
    formatted(tmp_path, [msgspec.structs.replace(sample(1), system="")])

    assert "system" not in json.loads(lines(tmp_path)["train"][0])


def test_short_needs_a_short_prompt(tmp_path: Path) -> None:
    """Asking for the short system prompt where there is none is refused, and nothing is written."""
    with pytest.raises(DataError, match=matching("data/there-is-no-short-system-prompt")):
        formatted(tmp_path, [sample(1)], FormatOptions(system="short"))

    assert [path.name for path in tmp_path.iterdir()] == ["samples.jsonl"]


@pytest.mark.parametrize("ratios", [(0.8, 0.1, 0.2), (1.1, -0.1, 0.0), (0.0, 0.0, 0.0)])
def test_ratios_must_sum_to_one(tmp_path: Path, ratios: tuple[float, float, float]) -> None:
    """Impossible shares are refused."""
    train, validation, test = ratios

    with pytest.raises(DataError, match=matching("data/must-be-positive-and-sum")):
        formatted(tmp_path, [sample(1)], FormatOptions(train=train, validation=validation, test=test))


def test_a_split_without_a_share_has_no_file(tmp_path: Path) -> None:
    """Without a share for validation there are training and test rows only."""
    report = formatted(tmp_path, list(balanced(100)), FormatOptions(train=0.75, validation=0.0, test=0.25))

    assert report.rows == {"train": 75, "test": 25}
    assert set(lines(tmp_path)) == {"train", "test"}


def test_an_unknown_format_gets_the_nearest_name(tmp_path: Path) -> None:
    """A typing mistake in the format's name is answered with the right one."""
    with pytest.raises(UnknownMember, match=matching("general/did-you-mean", suggestion="prompt-completion")):
        formatted(tmp_path, [sample(1)], FormatOptions(format="prompt-completions"))


@pytest.mark.parametrize("name", [name for name in FORMATS.names() if FORMATS.load(name).takes_samples])
def test_every_format_can_be_written(tmp_path: Path, name: str) -> None:
    """Each layout's rows decode to the sample's answer."""
    formatted(tmp_path, [sample(1)], FormatOptions(format=name))

    row = FORMATS.load(name)().decode(lines(tmp_path)["train"][0].encode())
    assert row.turns[-1].text == 's("bd*1")'


def test_samples_have_no_image_to_caption(tmp_path: Path) -> None:
    """A layout of images refuses samples of text with the reason."""
    with pytest.raises(DataError, match=matching("data/image-caption")):
        formatted(tmp_path, [sample(1)], FormatOptions(format="image-caption"))


def test_no_samples_make_empty_files(tmp_path: Path) -> None:
    """An empty samples file is formatted; it is for `validate` to refuse empty splits."""
    report = formatted(tmp_path, [])

    assert report.rows == {"train": 0, "validation": 0, "test": 0}
    assert lines(tmp_path) == {"train": [], "validation": [], "test": []}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"id": "x"', ""),
        (b'{"id": "x"}', "cell"),
        (b"[]", "object"),
        (b"\xff\xfe", ""),
    ],
)
def test_a_line_that_is_no_sample_stops_with_its_number(tmp_path: Path, bad: bytes, reason: str) -> None:
    """The third line is named, and the files of an earlier format are untouched."""
    formatted(tmp_path, [sample(1)])
    before = lines(tmp_path)
    path = tmp_path / "samples.jsonl"
    path.write_bytes(encode_sample(sample(1)) + b"\n" + encode_sample(sample(2)) + b"\n" + bad + b"\n")

    with pytest.raises(DataError, match=rf"samples\.jsonl:3: {matching('data/is-no-sample')} .*({reason})"):
        format_samples(path, tmp_path, FormatOptions())
    assert lines(tmp_path) == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    """No samples file, no traceback."""
    with pytest.raises(DataError, match=r"absent\.jsonl: " + matching("data/cannot-be-read-no-such-file")):
        format_samples(tmp_path / "absent.jsonl", tmp_path, FormatOptions())


def test_samples_survive_their_file(tmp_path: Path) -> None:
    """What is written as samples.jsonl is read back equal."""
    samples = list(balanced(40))

    written = write(tmp_path / "samples.jsonl", samples).read_bytes()

    assert msgspec.json.Decoder(Sample).decode_lines(written) == samples


def test_cells_are_equal_whatever_the_order_of_their_axes(tmp_path: Path) -> None:
    """A cell written with its keys turned round is the same cell."""
    one = sample(1)
    other = msgspec.structs.replace(sample(2), cell=dict(reversed(one.cell.items())))

    assert formatted(tmp_path, [one, other]).cells == 1
    assert LAYOUT in lines(tmp_path)["train"][0]
