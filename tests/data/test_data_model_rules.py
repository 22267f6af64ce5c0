"""What a base model's facts say about rows: media, captions, answers, reserved strings, sizes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from polytune.base_models.interface import BASE_MODELS, Customization
from polytune.data.validate.report import CheckReport
from polytune.data.validate.validate import check_dataset
from polytune.errors import DataError
from polytune.fingerprint import Json
from tests.messages import matching, message

CONVERSATION = "bedrock-conversation-2024"
DOUBT = message("data/warning-media-format-doubtful") + " "
NOT = " " + message("data/cannot-be-trained") + " "


def says(role: str, *blocks: Json) -> Json:
    """A message."""
    return {"role": role, "content": list(blocks)}


def medium(kind: str, media_format: str) -> Json:
    """An image or a video."""
    return {kind: {"format": media_format, "source": {"s3Location": {"uri": f"s3://b/k.{media_format}"}}}}


def row(number: int, *blocks: Json, **more: Json) -> dict[str, Json]:
    """A conversation that asks something of its own, about what the blocks show."""
    asked: Json = {"text": f"What is number {number}?"}
    messages: Json = [says("user", asked, *blocks), says("assistant", {"text": "yes"})]
    return {"schemaVersion": CONVERSATION, **more, "messages": messages}


def judged(
    folder: Path,
    base_model: str,
    files: dict[str, Iterable[Json]],
    layout: str = CONVERSATION,
    customization: Customization | None = None,
) -> CheckReport:
    """The report on files of these rows."""
    paths = {}
    for split, rows in files.items():
        paths[split] = folder / f"{split}.jsonl"
        paths[split].write_text("".join(json.dumps(each) + "\n" for each in rows))
    entry = BASE_MODELS.get(base_model)
    return check_dataset(paths, entry, layout, customization=customization, workers=0)


def told(report: CheckReport) -> list[str]:
    """Every kind of finding and its first example."""
    return sorted(f"{each.severity} {each.rule}: {each.examples[0].message}" for each in report.groups)


def plain(count: int) -> list[Json]:
    """So many rows of text."""
    return [row(number) for number in range(count)]


def test_images_are_counted_by_the_model_s_own_limit(tmp_path: Path) -> None:
    """Nova takes ten images in a row; for Llama no number is known."""
    rows: list[Json] = [row(n, *[medium("image", "png")] * 11) for n in range(100)]

    assert told(judged(tmp_path, "nova-lite", {"train": rows})) == [
        message("data/error-media-count", images=11, number=10)
    ]
    assert told(judged(tmp_path, "llama-3-2-11b", {"train": rows})) == []


@pytest.mark.parametrize(
    ("base_model", "kind", "media_format", "expected"),
    [
        ("nova-lite", "image", "webp", []),
        ("nova-2-lite", "image", "webp", [DOUBT + "webp"]),
        ("nova-2-lite", "video", "webm", [DOUBT + "webm"]),
        (
            "llama-3-2-11b",
            "video",
            "mp4",
            ["error block-not-taken: Meta Llama 3.2 11B Vision Instruct" + NOT + "video"],
        ),
        ("nova-micro", "image", "png", [message("data/error-block-not-taken-by-nova-micro") + NOT + "image"]),
    ],
)
def test_each_model_has_its_media(
    tmp_path: Path, base_model: str, kind: str, media_format: str, expected: list[str]
) -> None:
    """Kinds and formats of media are the base model's business."""
    rows: list[Json] = [row(n, medium(kind, media_format)) for n in range(200)]

    assert told(judged(tmp_path, base_model, {"train": rows})) == expected


def test_a_dataset_is_of_one_kind(tmp_path: Path) -> None:
    """Images here and videos there are an error; images in some rows only are a warning."""
    images: list[Json] = [row(n, medium("image", "png")) for n in range(8)]
    videos: list[Json] = [row(n, medium("video", "mp4")) for n in range(8, 16)]

    both = judged(tmp_path, "nova-lite", {"train": images, "validation": videos})
    some = judged(tmp_path, "nova-lite", {"train": [*images, row(99)]})

    assert told(both) == [
        message("data/error-media-mixed"),
        "warning uneven-rows: 8 of 16 rows hold image",
    ]
    assert told(some) == ["warning uneven-rows: 8 of 9 rows hold image"]


def test_what_is_a_warning_for_nova_is_an_error_for_llama(tmp_path: Path) -> None:
    """A missing version, an empty system prompt and two system texts."""
    rows: list[Json] = [
        {**row(n), "schemaVersion": "v1", "system": [] if n else [{"text": "a"}, {"text": "b"}]}
        for n in range(100)
    ]

    nova = judged(tmp_path, "nova-lite", {"train": rows})
    llama = judged(tmp_path, "llama-3-3-70b", {"train": rows})

    assert {each.rule: each.severity for each in nova.groups} == dict.fromkeys(
        ("schema-version", "empty-system", "many-systems"), "warning"
    )
    assert {each.rule: each.severity for each in llama.groups} == dict.fromkeys(
        ("schema-version", "empty-system", "many-systems"), "error"
    )


def test_prompts_alone_are_enough_for_distillation(tmp_path: Path) -> None:
    """A distillation job takes rows without answers, a hundred and more; fine-tuning takes none of them."""
    asking: list[Json] = [
        {"schemaVersion": CONVERSATION, "messages": [says("user", {"text": f"Number {n}?"})]}
        for n in range(100)
    ]

    distilled = judged(tmp_path, "nova-lite", {"train": asking}, customization="distillation")
    few = judged(tmp_path, "nova-lite", {"train": asking[:99]}, customization="distillation")
    tuned = judged(tmp_path, "nova-lite", {"train": asking})

    assert told(distilled) == []
    assert distilled.splits[0].readable_rows == 100
    assert told(few) == [message("data/error-too-few-rows", number=99, number2=100, title="Amazon Nova Lite")]
    assert {each.rule for each in tuned.groups} == {"last-role", "too-few-messages"}


def test_equal_prompts_of_a_distillation_are_duplicates(tmp_path: Path) -> None:
    """Without answers, rows are the same when they ask the same."""
    asking: list[Json] = [
        {"schemaVersion": CONVERSATION, "messages": [says("user", {"text": f"Number {n % 100}?"})]}
        for n in range(101)
    ]

    report = judged(tmp_path, "nova-lite", {"train": asking}, customization="distillation")

    assert told(report) == [message("data/warning-duplicate-row-without-place")]


@pytest.mark.parametrize(("base_model", "severity"), [("nova-lite", "warning"), ("llama-3-1-8b", "error")])
def test_distillation_is_on_single_questions(tmp_path: Path, base_model: str, severity: str) -> None:
    """Nova's pages allow longer conversations and its validator does not; Llama takes none."""
    turns = [says("user", {"text": "a"}), says("assistant", {"text": "b"})]
    long: Json = {"schemaVersion": CONVERSATION, "messages": [*turns, *turns]}

    report = judged(tmp_path, base_model, {"train": [*plain(100), long]}, customization="distillation")

    assert told(report) == [message("data/multi-turn-distillation", severity=severity)]


def test_the_layout_says_which_job_is_meant(tmp_path: Path) -> None:
    """Rows for reinforcement are judged by its limits: a hundred and more, not eight."""
    rows: list[Json] = [
        {"messages": [{"role": "user", "content": f"{n} + 1?"}], "reference_answer": str(n + 1)}
        for n in range(99)
    ]

    for base_model in ("nova-2-lite", "gpt-oss-20b"):
        title = BASE_MODELS.get(base_model).title
        report = judged(tmp_path, base_model, {"train": rows}, "bedrock-rft")
        assert told(report) == [message("data/error-too-few-rows", number=99, title=title, number2=100)]


@pytest.mark.parametrize(
    ("base_model", "layout", "customization", "message"),
    [
        ("nova-lite", "bedrock-rft", None, matching("data/does-not-take-bedrock-rft")),
        (
            "gpt-oss-20b",
            CONVERSATION,
            None,
            matching("data/does-not-take-for-reinforcement-fine"),
        ),
        ("nova-premier", CONVERSATION, None, matching("data/cannot-be-trained-teacher-only")),
        ("nova-lite", CONVERSATION, "reinforcement_fine_tuning", "has no reinforcement fine tuning"),
        (
            "claude-3-haiku",
            "anthropic-messages",
            "distillation",
            matching("data/aws-has-withdrawn-distillation"),
        ),
        ("llama-3-1-8b", "prompt-completion", "distillation", r"for distillation\. Use bedrock-conversation"),
        ("nova-lite", CONVERSATION, "continued_pre_training", "Titan Text Express and Lite only"),
    ],
)
def test_a_job_that_there_is_not(
    tmp_path: Path, base_model: str, layout: str, customization: Customization | None, message: str
) -> None:
    """The reason, and what the model takes instead."""
    with pytest.raises(DataError, match=message):
        judged(tmp_path, base_model, {"train": []}, layout, customization)


def caption(number: int, text: str = "a small cat") -> Json:
    """A row of a picture."""
    return {"image-ref": f"s3://b/{number}.png", "caption": text}


def test_captions_have_a_length(tmp_path: Path) -> None:
    """Canvas takes 3 to 1,024 characters, no validation set, and five rows at least."""
    rows = [caption(1, "x"), caption(2, "x" * 1025), *[caption(n) for n in range(3, 6)]]

    report = judged(tmp_path, "nova-canvas", {"train": rows, "validation": [caption(9)]}, "image-caption")

    assert told(report) == [
        message("data/error-caption-length", number="1,024"),
        message("data/error-validation-set"),
    ]
    assert [each.count for each in report.groups if each.rule == "caption-length"] == [2]


def test_claude_s_turn_marks_are_found_in_escaped_text(tmp_path: Path) -> None:
    """A newline and `Human:` in a prompt is an error, however JSON spells it; without colon, nothing."""
    rows: list[Json] = [
        {"messages": [{"role": "user", "content": f"{n}"}, {"role": "assistant", "content": "yes"}]}
        for n in range(31)
    ]
    for text in ("a\nHuman: b", "a\nHuman b"):
        row: Json = {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "no"}]}
        report = judged(tmp_path, "claude-3-haiku", {"train": [*rows, row]}, "anthropic-messages")
        assert [each.rule for each in report.groups] == (["reserved-string"] if ":" in text else [])
    path = tmp_path / "train.jsonl"
    path.write_text(path.read_text().replace("\\nHuman b", "\\u000aHuman: b"))
    again = check_dataset({"train": path}, BASE_MODELS.get("claude-3-haiku"), "anthropic-messages", workers=0)
    assert told(again) == ["error reserved-string: '\nHuman:' in \"a Human: b\""]


def test_validation_sets_have_limits_of_their_own(tmp_path: Path) -> None:
    """Claude takes 32 to 1,000 validation rows, Llama counts them with the training rows and takes 1,000."""

    def chats(first: int, count: int) -> list[Json]:
        return [
            {"messages": [{"role": "user", "content": f"{n}"}, {"role": "assistant", "content": "yes"}]}
            for n in range(first, first + count)
        ]

    few = judged(
        tmp_path, "claude-3-haiku", {"train": chats(0, 32), "validation": chats(50, 31)}, "anthropic-messages"
    )
    many = judged(tmp_path, "llama-3-3-70b", {"train": plain(1), "validation": plain(1102)[1:]})
    together = judged(tmp_path, "llama-3-3-70b", {"train": plain(60), "validation": plain(100)[60:]})

    assert told(few) == ["error too-few-rows: 31 validation rows; Anthropic Claude 3 Haiku needs 32, or none"]
    assert told(many) == [message("data/error-too-many-rows", number="1,101", number2="1,000")]
    assert told(together) == []
