"""`polytune dataset`: other tools' files as training rows, and files in a bucket under their content."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from polytune.formats.interface import FORMATS
from tests.cloud_commands.cloud_program import Done, Space, invoked
from tests.emulator.emulator_account import rows
from tests.messages import message

turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
chat = {"messages": [{"role": "system", "content": "Be brief."}, *turns]}
layouts = [name for name in FORMATS.names() if FORMATS.load(name).takes_samples]


def written(path: Path, *values: object) -> Path:
    """The file holds these values as JSON lines."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def brought(files: Path | list[Path], origin: str, layout: str, *words: str) -> tuple[Done, list[Any]]:
    """How `dataset import` ended, and the rows it wrote beside the first file."""
    paths = files if isinstance(files, list) else [files]
    target = paths[0].parent / "out" / "rows.jsonl"
    names = [str(path) for path in paths]
    done = invoked("dataset", "import", *names, "--from", origin, "--to", layout, "-o", str(target), *words)
    lines = target.read_text(encoding="utf-8").splitlines() if target.exists() else []
    return done, [json.loads(line) for line in lines]


@pytest.mark.parametrize("layout", layouts)
def test_a_chat_becomes_a_row_of_every_layout(tmp_path: Path, layout: str) -> None:
    """What was said is the same, read back by the layout's own rules."""
    done, found = brought(written(tmp_path / "chat.jsonl", chat), "openai-chat", layout)

    read = FORMATS.load(layout)().decode(json.dumps(found[0]).encode())
    assert (done.code, len(found)) == (0, 1)
    assert read.turns[-1].text == "Hello"
    assert "Be brief." in (read.system or read.turns[0].text)
    assert "Hi" in read.turns[0].text


def test_each_bad_row_is_named_with_its_line_and_reason(tmp_path: Path) -> None:
    """The good ones are written, the exit code is 1."""
    path = tmp_path / "chat.jsonl"
    rows_of_all_sorts = [
        json.dumps(chat),
        "{",
        json.dumps({"messages": turns[:1]}),
        "",
        json.dumps({"prompt": "a", "completion": "b"}),
        json.dumps({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, turns[1]]}),
        json.dumps({"messages": [{"role": "user", "content": "  "}, turns[1]]}),
    ]
    path.write_text("\n".join(rows_of_all_sorts))

    done, found = brought(path, "openai-chat", "bedrock-conversation-2024", "--json")

    refused = {row["line"]: row for row in done.json["refused"]}
    assert (done.code, len(found), done.json["rows"], done.json["left_out"]) == (1, 1, 1, 5)
    assert list(refused) == [2, 3, 5, 6, 7]
    assert "not JSON" in refused[2]["reason"]
    assert refused[3]["path"] == "messages[0].role"
    assert "looks like prompt-completion" in refused[5]["reason"]
    assert "other than text" in refused[6]["reason"]
    assert "empty" in refused[7]["reason"]
    assert f"{path}:3: messages[0].role: " + message("general/last-turn-is-user") in done.err


def test_longer_conversations_stay_whole_or_are_refused(tmp_path: Path) -> None:
    """A layout of pairs has no place for four turns, and says which one has."""
    path = written(tmp_path / "long.jsonl", {"messages": [*turns, *turns]})

    _, whole = brought(path, "openai-chat", "anthropic-messages")
    done, _ = brought(path, "openai-chat", "prompt-completion")

    assert [message["content"] for message in whole[0]["messages"]] == ["Hi", "Hello", "Hi", "Hello"]
    assert (done.code, "not 4 turns" in done.err) == (1, True)


def test_pairs_of_many_names_are_read(tmp_path: Path) -> None:
    """prompt/completion, question/answer, instruction with input."""
    path = written(
        tmp_path / "pairs.jsonl",
        {"prompt": "Hi", "completion": "Hello"},
        {"question": "Hi", "answer": "Hello"},
        {"instruction": "Greet", "input": "Hi", "output": "Hello"},
    )

    done, found = brought(path, "prompt-completion", "openai-chat")

    assert done.code == 0
    assert [row["messages"][-1]["content"] for row in found] == ["Hello"] * 3
    assert found[2]["messages"][0]["content"] == "Greet\n\nHi"


def test_anthropic_rows_keep_their_system_prompt(tmp_path: Path) -> None:
    """The system text stands beside the messages there."""
    path = written(tmp_path / "claude.jsonl", {"system": "Be brief.", "messages": turns})

    _, found = brought(path, "anthropic", "bedrock-conversation-2024")

    assert found[0]["system"] == [{"text": "Be brief."}]


def test_tables_are_read_by_their_headers(tmp_path: Path) -> None:
    """Quoted commas and newlines, a byte order mark, named columns; bad cells have their line."""
    path = tmp_path / "table.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["Question", "answer", "who"], ["How, so?", "Like\nthis", "Be brief."]])
        writer.writerows([["", "nothing", ""], ["short"]])

    done, found = brought(path, "csv", "openai-chat", "--system-column", "who")

    assert (done.code, len(found)) == (1, 1)
    assert [message["content"] for message in found[0]["messages"]] == ["Be brief.", "How, so?", "Like\nthis"]
    assert f"{path}:4: " + message("cloud_commands/cell-is-empty") in done.err
    assert f"{path}:5: " + message("cloud_commands/header-has", number=3) in done.err


def converse(**changed: Any) -> dict[str, Any]:
    """One record of a log of Converse calls."""
    record: dict[str, Any] = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "operation": "Converse",
        "modelId": "amazon.nova-pro-v1:0",
        "input": {
            "inputBodyJson": {
                "system": [{"text": "Be brief."}],
                "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
            }
        },
        "output": {
            "outputBodyJson": {
                "output": {
                    "message": {
                        "role": "assistant",
                        "content": [{"reasoningContent": {"reasoningText": {}}}, {"text": "Hello"}],
                    }
                }
            }
        },
    }
    return record | changed


def answered(body: object, asked: dict[str, Any] | None = None) -> dict[str, Any]:
    """A record with another answer, and perhaps another request."""
    changed: dict[str, Any] = {"output": {"outputBodyJson": body}}
    if asked is not None:
        changed["input"] = {"inputBodyJson": asked}
    return converse(**changed)


def test_invocation_logs_of_all_kinds_become_rows(tmp_path: Path) -> None:
    """Converse, streams, Anthropic's and Llama's own bodies, from gzipped files in a folder."""
    anthropic = {"anthropic_version": "bedrock-2023-05-31", "messages": turns[:1]}
    records = [
        converse(),
        answered(
            [
                {"contentBlockDelta": {"delta": {"text": "Hel"}}},
                {"contentBlockDelta": {"delta": {"text": "lo"}}},
            ]
        ),
        answered(
            {"content": [{"type": "thinking", "thinking": "..."}, {"type": "text", "text": "Hello"}]},
            anthropic,
        ),
        answered(
            [{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}}], anthropic
        ),
        answered({"generation": "Hello"}, {"prompt": "Hi"}),
        answered({"results": [{"outputText": "Hello"}]}, {"inputText": "Hi"}),
    ]
    folder = tmp_path / "AWSLogs" / "2026"
    folder.mkdir(parents=True)
    for number, record in enumerate(records):
        with gzip.open(folder / f"{number}.json.gz", "wt") as file:
            file.write(json.dumps(record) + "\n")

    done, found = brought(tmp_path / "AWSLogs", "invocation-logs", "openai-chat")

    assert done.code == 0, done.err
    assert [row["messages"][-1]["content"] for row in found] == ["Hello"] * len(records)
    assert {row["messages"][-2]["content"] for row in found} == {"Hi"}
    assert found[0]["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (converse(schemaType="Other"), "schemaType: schemaType is 'Other'"),
        (converse(errorCode="ThrottlingException"), message("general/call-failed")),
        (converse(output={}), message("cloud_commands/there-is-no-answer-in-log")),
        (
            converse(output={"outputBodyS3Path": "s3://b/k"}),
            message("cloud_commands/body-lies-in", path="s3://b/k"),
        ),
        (
            answered({"output": {"message": {"content": [{"toolUse": {}}]}}}),
            message("cloud_commands/content-other-than-text"),
        ),
        (answered({"output": {"message": {"content": []}}}), message("cloud_commands/answer-holds-no-text")),
        (
            answered({"generation": "x"}, {"messages": [{"role": "x"}]}),
            message("cloud_commands/expected-user-or-assistant", name="x"),
        ),
        (answered({"generation": "x"}, {}), message("cloud_commands/holds-neither-messages-nor-prompt")),
        ([], message("cloud_commands/not-record-of-log")),
    ],
)
def test_records_that_are_no_rows_say_why(tmp_path: Path, record: object, said: str) -> None:
    """Failed calls, other types, missing bodies, tools: none ends the import."""
    done, found = brought(
        written(tmp_path / "log.json", record, converse()), "invocation-logs", "openai-chat"
    )

    assert (done.code, len(found)) == (1, 1)
    assert f"log.json:1: {said}" in done.err or f": {said}" in done.err


@pytest.mark.parametrize(
    ("name", "content", "origin", "words", "said"),
    [
        (
            "x.csv",
            b"a,b\n1,2\n",
            "csv",
            (),
            message("cloud_commands/no-column-for-prompt-among"),
        ),
        ("x.csv", b"prompt,answer\n1,2\n", "csv", ("--answer-column", "c"), "no column 'c'"),
        ("x.csv", b'prompt,answer\n"1,2\n', "csv", (), "not CSV"),
        ("x.csv", b"\xff\xfe", "csv", (), message("cloud_commands/save-it-as-utf")),
        ("x.gz", b"not gzip", "openai-chat", (), "cannot be unpacked"),
        ("x.gz", gzip.compress(b"{}" * 1000)[:-12], "openai-chat", (), "cannot be unpacked"),
        (
            "x.jsonl",
            b"{}",
            "openai-chat",
            ("--answer-column", "c"),
            message("cloud_commands/columns-are-for-from-csv"),
        ),
    ],
    ids=["no-prompt", "no-column", "open-quote", "not-utf8", "not-gzip", "cut-gzip", "columns"],
)
def test_files_that_cannot_be_imported_are_one_clear_error(
    tmp_path: Path, name: str, content: bytes, origin: str, words: tuple[str, ...], said: str
) -> None:
    """No output appears, and nothing half-written stays."""
    (tmp_path / name).write_bytes(content)

    done, found = brought(tmp_path / name, origin, "openai-chat", *words)

    assert done.code in (1, 2)
    assert (said in done.err, found) == (True, [])
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_import_without_any_row_writes_nothing(tmp_path: Path) -> None:
    """What stood there before stays as it was."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "rows.jsonl").write_text("{}\n")

    done, found = brought(written(tmp_path / "none.jsonl", {}), "openai-chat", "openai-chat")

    assert (done.code, message("cloud_commands/nothing-was-written") in done.out, found) == (1, True, [{}])


def test_unknown_layouts_and_overwritten_inputs_are_refused(tmp_path: Path) -> None:
    """The nearest layout is named; an input is never the output."""
    path = written(tmp_path / "chat.jsonl", chat)

    unknown, _ = brought(path, "openai-chat", "openai-cat")
    pictures, _ = brought(path, "openai-chat", "image-caption")
    same = invoked(
        "dataset", "import", str(path), "--from", "openai-chat", "--to", "openai-chat", "-o", str(path)
    )

    assert (unknown.code, message("general/did-you-mean", suggestion="openai-chat") in unknown.err) == (
        2,
        True,
    )
    assert (pictures.code, message("cloud_commands/make-no-row") in pictures.err) == (2, True)
    assert (same.code, message("cloud_commands/write-to-another-one") in same.err) == (2, True)
    assert json.loads(path.read_text()) == chat


def test_what_was_imported_passes_the_validation(tmp_path: Path) -> None:
    """`dataset validate` is `validate`: the rows are right for Nova, and too few of them are not."""
    path = written(
        tmp_path / "chat.jsonl",
        *({"messages": [{"role": "user", "content": f"Hi {number}"}, turns[1]]} for number in range(8)),
    )
    brought(path, "openai-chat", "bedrock-conversation-2024")
    target = str(tmp_path / "out" / "rows.jsonl")

    enough = invoked("dataset", "validate", target, "--base-model", "nova-lite", "--json")
    haiku = invoked("dataset", "validate", target, "--base-model", "claude-3-haiku")

    assert (enough.code, enough.json["errors"]) == (0, 0)
    assert haiku.code == 1


def test_upload_sends_each_content_once(space: Space, tmp_path: Path) -> None:
    """The address follows from the bytes; the second time nothing is sent."""
    train, validation = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"
    train.write_bytes(rows(10))
    validation.write_bytes(rows(9))
    words = ("dataset", "upload", str(train), str(validation), "--project", "songs", "--prefix", "p")

    first, second = space.run(*words, "--json").json, space.run(*words)

    digest = hashlib.sha256(rows(10)).hexdigest()
    key = f"p/songs/sha256-{digest}/train.jsonl"
    assert first["uris"]["train"] == f"s3://{space.account.bucket}/{key}"
    assert first["sent"] == {"train": True, "validation": True}
    assert second.out.count("was there") == 2
    assert space.account.objects(key) == {"": rows(10)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--bucket", "no-such-bucket-anywhere"),
            message("cloud_commands/bucket-does-not-exist"),
        ),
        (("--region", "eu-west-1"), message("cloud_commands/is-in", name="us-east-1", name2="eu-west-1")),
        (("--prefix", "a b"), message("cloud_commands/key-cannot-contain-space")),
    ],
)
def test_an_upload_that_no_job_could_read_is_refused(
    space: Space, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """Missing buckets, other regions, characters that Bedrock does not take."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(rows(1))

    done = space.run("dataset", "upload", str(path), *words)

    assert (done.code in (1, 2), said in done.err, done.out) == (True, True, "")


def test_a_bucket_must_be_named(tmp_path: Path) -> None:
    """By option or variable."""
    (tmp_path / "train.jsonl").write_bytes(rows(1))

    done = invoked("dataset", "upload", str(tmp_path / "train.jsonl"), "--workspace", str(tmp_path))

    assert (done.code, "set BEDROCK_TRAINING_BUCKET" in done.err) == (2, True)
