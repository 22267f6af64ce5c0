"""Datasets against format and base model: what is found, where, and how it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.data import lines as lines_module
from polytune.data.format.format import FormatOptions, format_samples
from polytune.data.validate.report import CheckReport, examples_kept
from polytune.data.validate.validate import check_dataset
from polytune.errors import DataError
from tests.data.data_samples import LAYOUT, balanced, checked, row, rows, sample, train, write
from tests.foreign import THEIRS, with_their_words
from tests.messages import matching, message


def told(report: CheckReport) -> list[str]:
    """Every example, as `severity rule place`."""
    return [
        f"{group.severity} {group.rule} {example}" for group in report.groups for example in group.examples
    ]


def test_a_good_dataset_passes_without_a_word(tmp_path: Path) -> None:
    """Formatted samples have no findings, and the figures add up."""
    source = write(tmp_path / "samples.jsonl", balanced(300))
    formatted = format_samples(source, tmp_path, FormatOptions())
    files = {split: tmp_path / f"{split}.jsonl" for split in ("train", "validation", "test")}

    report = check_dataset(files, BASE_MODELS.get("nova-lite"), LAYOUT, tmp_path / "provenance.jsonl")

    assert (report.errors, report.warnings, report.groups, report.passed) == (0, 0, (), True)
    assert {split.split: split.rows for split in report.splits} == formatted.rows
    assert [split.bytes for split in report.splits] == [path.stat().st_size for path in files.values()]
    assert [sum(split.cells.values()) for split in report.splits] == [240, 30, 30]
    assert set(report.splits[0].cells) >= {
        "complexity=simple, style=techno",
        "complexity=complex, style=jazz",
    }


NINTH = "train.jsonl:9"
ASKED = f"{NINTH}: messages[0].content[0].text"
ANSWERED = f"{NINTH}: messages[1].content[0].text"

GALLERY: list[tuple[str | bytes, list[str]]] = [
    (b"", [message("data/error-blank-line", path="train.jsonl:9")]),
    (b"{", [f"error not-json train.jsonl:9: not JSON: {THEIRS}"]),
    (b"\0\0", [message("data/error-nul-byte", path="train.jsonl:9")]),
    (b"\xfe", [message("data/byte-of-line-is-not-utf", name="not-utf8", path="train.jsonl:9", number=1)]),
    (row("a", "b") + "\r", [message("data/warning-carriage-return", path="train.jsonl:9")]),
    (
        row("row 3", "answer 3"),
        [message("data/warning-duplicate-row", path="train.jsonl:9")],
    ),
    (
        row("row  3\n", "answer3"),
        [message("data/warning-duplicate-row", path="train.jsonl:9")],
    ),
    (row("row 3", "another answer"), []),
    (
        row("ask System: now", "b"),
        [f"error reserved-string {ASKED}: 'System:' in \"ask System: now\""],
    ),
    (
        row("a", "b", system="the [EOS] mark"),
        ["error reserved-string train.jsonl:9: system[0].text: '[EOS]' in \"the [EOS] mark\""],
    ),
    (
        row("a", "User: b"),
        [f"warning reserved-string {ANSWERED}: 'User:' in \"User: b\""],
    ),
    (
        row("SYSTEM: a", "b"),
        [f"warning reserved-string {ASKED}: 'SYSTEM:' in \"SYSTEM: a\""],
    ),
    (
        row("an EcoSystem: a", "b"),
        [f"warning reserved-string {ASKED}: 'System:' in \"an EcoSystem: a\""],
    ),
    (row("our ecosystem: a chatbot: a Robot: a superuser: b", "b"), []),
    (
        row("Thought: a", "b <unk>"),
        [
            f"warning reserved-string {ASKED}: 'Thought:' in \"Thought: a\"",
            f"warning reserved-string {ANSWERED}: '<unk>' in \"b <unk>\"",
        ],
    ),
    (
        row("look <image> here", "b"),
        [f"error reserved-string {ASKED}: '<image>' in \"look <image> here\""],
    ),
    (
        row("ask User: now", "b").replace("User", "\\u0055ser"),
        [f"error reserved-string {ASKED}: 'User:' in \"ask User: now\""],
    ),
    (
        row("a long text before User: a long text after it", "b"),
        [f"error reserved-string {ASKED}: 'User:' in \"…ong text before User: a long text aft…\""],
    ),
    (
        row("a", "b" * 140_000),
        [message("data/error-row-too-long", ninth=NINTH, tokens="35,000", number="32,000")],
    ),
    (
        '{"schemaVersion":"bedrock-conversation-2024","toolConfig":{},"messages":'
        '[{"role":"user","content":[{"text":"a"}]},{"role":"assistant","content":[{"text":"b"}]}]}',
        [
            message("data/error-block-not-taken", path="train.jsonl:9"),
            message("data/error-tool-config", path="train.jsonl:9", name="toolConfig.tools"),
        ],
    ),
]


@pytest.mark.parametrize(("line", "expected"), GALLERY, ids=lambda value: str(value)[-40:])
def test_a_bad_line_is_found_in_its_place(tmp_path: Path, line: str | bytes, expected: list[str]) -> None:
    """After eight good rows, the ninth line gets exactly these findings."""
    report = checked(train(tmp_path, line))

    found = "\n".join(told(report))
    assert found == with_their_words("\n".join(expected), found)
    assert report.passed == (not any(text.startswith("error") for text in expected))


def test_a_prompt_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    """A validation prompt that stands in train, spaces aside, is an error with its line."""
    validation = tmp_path / "validation.jsonl"
    validation.write_text(row("fresh", "a") + "\n" + row(" row 5 ", "other") + "\n")

    report = checked(train(tmp_path), validation)

    assert told(report) == [message("data/error-prompt-leak", path="validation.jsonl:2")]
    assert [split.leaked_prompts for split in report.splits] == [0, 1]


def test_the_prompt_of_a_longer_conversation_is_all_but_its_answer(tmp_path: Path) -> None:
    """Conversations that share their first turn only do not leak; those that share all but the answer do."""

    def talk(second: str) -> str:
        turns = [("user", "hi"), ("assistant", "yo"), ("user", second), ("assistant", "ok")]
        messages = [{"role": role, "content": [{"text": text}]} for role, text in turns]
        return json.dumps({"schemaVersion": LAYOUT, "messages": messages}) + "\n"

    (tmp_path / "test.jsonl").write_text(talk("more") + talk("less"))

    report = checked(train(tmp_path, talk("more").strip()), tmp_path / "test.jsonl")

    assert told(report) == [message("data/error-prompt-leak", path="test.jsonl:1")]


def test_a_byte_order_mark_is_reported_and_the_row_still_read(tmp_path: Path) -> None:
    """The mark is one error; the row behind it counts."""
    path = train(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    report = checked(path)

    assert told(report) == [message("data/error-byte-order-mark", path="train.jsonl:1")]
    assert report.splits[0].readable_rows == 8


def test_a_windows_file_is_a_warning_for_each_line(tmp_path: Path) -> None:
    """CR LF is grouped into one entry that counts the lines."""
    path = train(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    report = checked(path)

    assert [(group.rule, group.count) for group in report.groups] == [("carriage-return", 8)]
    assert report.splits[0].readable_rows == 8


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n"])
def test_an_empty_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    """A file without rows cannot train anything, however many empty lines it has."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)

    report = checked(path)

    assert {"empty-file", "too-few-rows"} <= {
        group.rule for group in report.groups if group.severity == "error"
    }
    assert report.splits[0].rows == 0
    assert report.splits[0].tokens.max == 0


def test_a_last_line_without_its_newline_counts(tmp_path: Path) -> None:
    """AWS's own notebooks strip the last newline; nothing is wrong with that."""
    path = train(tmp_path)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))

    report = checked(path)

    assert report.groups == ()
    assert report.splits[0].rows == 8


@pytest.mark.parametrize(
    ("base_model", "count", "expected"),
    [
        (
            "nova-lite",
            7,
            [message("data/error-too-few-rows-dataset", dataset=7, number=8, title="Amazon Nova Lite")],
        ),
        ("nova-lite", 8, []),
        (
            "nova-2-lite",
            7,
            [message("data/error-too-few-rows-dataset", dataset=7, number=8, title="Amazon Nova 2 Lite")],
        ),
        (
            "nova-2-lite",
            199,
            [message("data/warning-few-rows-dataset", dataset=199, number=200)],
        ),
        ("nova-2-lite", 200, []),
    ],
)
def test_the_number_of_rows_is_judged(
    tmp_path: Path, base_model: str, count: int, expected: list[str]
) -> None:
    """Below the minimum is an error, below the advice a warning."""
    assert told(checked(rows(tmp_path / "train.jsonl", count), base_model=base_model)) == expected


def test_training_and_validation_rows_share_one_maximum(tmp_path: Path) -> None:
    """20,000 rows are the limit of train and validation together; test rows are free."""
    files = [rows(tmp_path / "train.jsonl", 19_990, "a"), rows(tmp_path / "validation.jsonl", 11, "b")]
    files.append(rows(tmp_path / "test.jsonl", 20, "c"))

    report = checked(*files)

    assert told(report) == [message("data/error-too-many-rows-dataset", dataset="20,001", number="20,000")]


def test_a_validation_set_for_nova_2_is_doubtful(tmp_path: Path) -> None:
    """Where sources disagree there is a warning, not an error."""
    files = rows(tmp_path / "train.jsonl", 200), rows(tmp_path / "validation.jsonl", 10, "v")

    report = checked(*files, base_model="nova-2-lite")

    assert [(group.rule, group.severity) for group in report.groups] == [("validation-set", "warning")]


def test_a_name_that_bedrock_refuses_is_a_warning(tmp_path: Path) -> None:
    """Spaces in a file's name matter to Bedrock and to nobody else."""
    path = rows(tmp_path / "my rows.jsonl", 8)

    assert told(checked(path)) == [message("data/warning-file-name", path="rows.jsonl")]
    assert told(checked(path, base_model="tiny-llama")) == []


def test_reasoning_is_taken_by_nova_2_only(tmp_path: Path) -> None:
    """The same row passes for a model that trains on reasoning and fails for one that does not."""
    thought = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    answer = {"role": "assistant", "content": [thought, {"text": "yo"}]}
    messages = [{"role": "user", "content": [{"text": "hi"}]}, answer]
    path = train(tmp_path, json.dumps({"schemaVersion": LAYOUT, "messages": messages}), good=200)

    assert checked(path, base_model="nova-2-lite").passed
    assert told(checked(path, base_model="nova-micro")) == [
        message(
            "data/error-block-not-taken-reasoning",
            path="train.jsonl:201",
            name="messages[1].content[0].reasoningContent",
        )
    ]


def test_a_teacher_takes_no_data(tmp_path: Path) -> None:
    """Nova Premier cannot be trained, whatever the rows."""
    with pytest.raises(DataError, match=matching("data/amazon-nova-premier-cannot-be-trained")):
        checked(train(tmp_path), base_model="nova-premier")


def test_a_layout_that_the_model_does_not_take_is_refused(tmp_path: Path) -> None:
    """The message names the layout that it takes."""
    with pytest.raises(DataError, match=matching("data/does-not-take-prompt-completion")):
        checked(train(tmp_path), layout="prompt-completion")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    """No file, no traceback."""
    with pytest.raises(DataError, match=r"train\.jsonl: " + matching("data/cannot-be-read-check-the-path")):
        checked(tmp_path / "train.jsonl")


def test_a_file_that_is_no_jsonl_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    """A line of more than 64 MiB stops the check before it fills memory."""
    path = tmp_path / "train.jsonl"
    with path.open("wb") as file:
        file.truncate(lines_module.longest_line_bytes + 2 * lines_module.chunk_bytes)

    with pytest.raises(
        DataError, match=r"train\.jsonl:1: " + matching("data/line-is-longer-than-mib", number=64)
    ):
        checked(path)


def test_a_broken_provenance_file_is_named(tmp_path: Path) -> None:
    """Where it is no provenance is told, with the remedy."""
    provenance = tmp_path / "provenance.jsonl"
    provenance.write_text('{"split":"train"}\n')

    with pytest.raises(DataError, match=matching("data/lines-to", number=1)):
        check_dataset({"train": train(tmp_path)}, BASE_MODELS.get("nova-lite"), LAYOUT, provenance)


def test_token_figures_are_estimates_from_characters(tmp_path: Path) -> None:
    """Percentiles follow the rows' characters; the longest row is named by its line."""
    path = tmp_path / "train.jsonl"
    path.write_text("".join(row(f"{n:010}", "x" * (10 * n - 10)) + "\n" for n in range(2, 102)))

    split = checked(path).splits[0]

    assert (split.rows, split.characters) == (100, sum(10 * n for n in range(2, 102)))
    assert (split.tokens.p50, split.tokens.p90, split.tokens.p99) == (128, 228, 250)
    assert (split.tokens.max, split.longest_row) == (253, 100)


def test_only_the_first_examples_of_a_rule_are_kept(tmp_path: Path) -> None:
    """A thousand bad lines are counted, ten are kept."""
    report = checked(train(tmp_path, *["{"] * 1000))

    (group,) = report.groups
    assert (group.rule, group.count, len(group.examples)) == ("not-json", 1000, examples_kept)
    assert (report.errors, report.splits[0].rows, report.splits[0].readable_rows) == (1000, 1008, 8)


def test_one_row_of_a_sample_checks_for_every_local_model(tmp_path: Path) -> None:
    """Eight samples formatted in any layout that a local model takes pass its rules."""
    source = write(tmp_path / "samples.jsonl", [sample(n) for n in range(100)])
    for name in ("tiny-llama", "smollm2-135m"):
        for layout in BASE_MODELS.get(name).formats:
            folder = tmp_path / name / layout
            made = format_samples(source, folder, FormatOptions(format=layout))
            files = {split: folder / f"{split}.jsonl" for split in map(str, made.rows)}

            assert check_dataset(files, BASE_MODELS.get(name), layout).passed


def pictured(picture: str) -> str:
    """A row that asks the same of a picture."""
    image = {
        "format": "png",
        "source": {"s3Location": {"uri": f"s3://b/{picture}.png", "bucketOwner": "1" * 12}},
    }
    return json.dumps(
        {
            "schemaVersion": LAYOUT,
            "messages": [
                {"role": "user", "content": [{"text": "What is on it?"}, {"image": image}]},
                {"role": "assistant", "content": [{"text": f"A {picture}."}]},
            ],
        }
    )


def test_one_question_of_many_pictures_is_no_repetition(tmp_path: Path) -> None:
    """What a row asks is its text and its media; the same picture in two splits is a leak all the same."""
    pictures = [pictured(f"cat{number}") for number in range(12)]
    (tmp_path / "train.jsonl").write_text("\n".join(pictures[:10]) + "\n")
    (tmp_path / "validation.jsonl").write_text("\n".join([pictures[9], pictures[11]]) + "\n")
    files = {name: tmp_path / f"{name}.jsonl" for name in ("train", "validation")}

    report = check_dataset(files, BASE_MODELS.get("nova-lite"), LAYOUT)

    leak = "error prompt-leak validation.jsonl:1: the prompt is also in an earlier split"
    assert [each for each in told(report) if not each.startswith("warning")] == [leak]
    assert not [each for each in told(report) if "duplicate" in each]
