"""`polytune validate`: data files from anywhere against a base model's rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytune.cli.validate import guessed_format, split_files
from polytune.errors import UsageError
from tests.cli.cli_program import Polytune
from tests.messages import message

layouts = ("bedrock-conversation-2024", "prompt-completion")


def conversation(prompt: str, answer: str) -> str:
    """A row as Bedrock's conversations are written."""
    turns = [
        {"role": role, "content": [{"text": text}]}
        for role, text in (("user", prompt), ("assistant", answer))
    ]
    return json.dumps({"schemaVersion": "bedrock-conversation-2024", "messages": turns})


def rows(folder: Path, name: str, count: int, word: str = "Question") -> Path:
    """A sound file."""
    path = folder / name
    path.write_text("".join(conversation(f"{word} {n}", f"Answer {n}") + "\n" for n in range(count)))
    return path


def test_sound_files_pass(polytune: Polytune, tmp_path: Path) -> None:
    """Files named after their splits pass with a line for each split, training data first."""
    rows(tmp_path, "validation.jsonl", 10, "Other")
    rows(tmp_path, "train.jsonl", 220)

    done = polytune(tmp_path, "validate", "validation.jsonl", "train.jsonl", "--base-model", "tiny-llama")

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].startswith("train")
    assert "220 rows" in lines[0]
    assert lines[1].startswith("validation")
    assert lines[-1].startswith("passed for tiny-llama: 0 errors, 0 warnings")


def test_a_single_file_is_training_data(polytune: Polytune, tmp_path: Path) -> None:
    """A file of any name is judged as what would be trained on, so too few rows are an error."""
    rows(tmp_path, "mine.jsonl", 3)

    done = polytune(tmp_path, "validate", "mine.jsonl", "--base-model", "tiny-llama")

    assert done.returncode == 1
    assert "3 training rows" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("failed for tiny-llama: 1 error,")


def test_a_prompt_on_two_sides_is_found(polytune: Polytune, tmp_path: Path) -> None:
    """Files that are checked together may not share a prompt."""
    rows(tmp_path, "train.jsonl", 220)
    rows(tmp_path, "test.jsonl", 2)

    done = polytune(tmp_path, "validate", "test.jsonl", "train.jsonl", "--base-model", "tiny-llama")

    assert done.returncode == 1
    assert "prompt-leak (2 times): test.jsonl:1" in done.stdout


def test_the_screen_holds_twenty_lines_and_json_everything(polytune: Polytune, tmp_path: Path) -> None:
    """However much is wrong, a person reads at most 20 lines, and --json lists every rule."""
    broken = [
        "",
        "{",
        "[]",
        "{}",
        conversation("", "x"),
        conversation("x", ""),
        '{"messages": 3}',
        "nonsense",
    ]
    broken += [
        '{"messages": [], "extra": 1}',
        conversation("a", "b") + "\r",
        conversation("System:", "User:"),
    ]
    broken += [json.dumps({"schemaVersion": "other", "messages": [{"role": "assistant", "content": []}]})]
    (tmp_path / "train.jsonl").write_text("\ufeff" + "\n".join(broken) + "\n")
    words = ("validate", "train.jsonl", "--base-model", "nova-lite", "--format", layouts[0])

    screen, whole = polytune(tmp_path, *words), polytune(tmp_path, *words, "--json")

    assert (screen.returncode, whole.returncode) == (1, 1)
    assert len(screen.stdout.splitlines()) <= 20
    assert message("cli/more-rules-in-report-of-json") in screen.stdout
    report = json.loads(whole.stdout)
    assert report["errors"] == sum(g["count"] for g in report["groups"] if g["severity"] == "error")
    assert len(report["groups"]) > 9


def test_a_folder_is_a_base_model_too(polytune: Polytune, tmp_path: Path) -> None:
    """A Hugging Face folder's own context decides how long a row may be."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"max_position_embeddings": 10}')
    rows(tmp_path, "train.jsonl", 220, "A question that is longer than ten tokens of three characters")

    done = polytune(tmp_path, "validate", "train.jsonl", "--base-model", "mine")

    assert done.returncode == 1
    assert "row-too-long (220 times)" in done.stdout


def test_a_base_model_refuses_what_it_does_not_take(polytune: Polytune, tmp_path: Path) -> None:
    """A layout that the base model does not take is one clear message."""
    (tmp_path / "train.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')

    done = polytune(tmp_path, "validate", "train.jsonl", "--base-model", "nova-lite")

    assert done.returncode == 1
    assert done.stderr == (message("cli/amazon-nova-lite-does-not-take") + "\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (conversation("a", "b"), layouts[0]),
        ('{"prompt": "a", "completion": "b"}', layouts[1]),
        ('{"prompt": "a", "completion": 3}', layouts[1]),
        ('{"schemaVersion": "bedrock-conversation-2024", "messages": []}', layouts[0]),
        ("nonsense", layouts[0]),
        ("", layouts[0]),
        ('\n\n{"prompt": "a", "completion": "b"}', layouts[1]),
        ('\ufeff{"prompt": "a", "completion": "b"}', layouts[1]),
    ],
)
def test_the_format_is_guessed_from_the_first_line(line: str, expected: str, tmp_path: Path) -> None:
    """The layout with the fewest faults is taken, and the usual one when nothing speaks for any."""
    path = tmp_path / "x.jsonl"
    path.write_text(line + "\n")

    assert guessed_format(path, layouts) == expected


def test_files_are_splits_by_name(tmp_path: Path) -> None:
    """Known splits come in their order, other files after them; two of one name are refused."""
    paths = [rows(tmp_path, f"{name}.jsonl", 1) for name in ("more", "test", "train")]
    (tmp_path / "b").mkdir()

    assert list(split_files(paths)) == ["train", "test", "more"]
    assert list(split_files(paths[:1])) == ["train"]
    assert list(split_files(paths[1:2])) == ["test"]
    with pytest.raises(UsageError, match="rename one"):
        split_files([paths[2], rows(tmp_path / "b", "train.jsonl", 1)])
