"""Files on this machine as records: JSONL of many layouts, tables, captures with ratings."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from polytune.errors import DataError
from polytune.formats.interface import Turn
from polytune.sources.interface import Record
from tests.messages import matching, message

from .made import complaints, left_out, pairs, records, source, write_lines


def said(*turns: tuple[str, object]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Q", "completion": "A"},
        {"question": "Q", "answer": "A"},
        {"instruction": "Q", "output": "A"},
        said(("user", "Q"), ("assistant", "A")),
        said(("user", [{"text": "Q"}]), ("assistant", [{"text": "A"}])),
        {"id": "1", "cell": {}, "template": "t", "prompt": "Q", "answer": "A", "request": "r"},
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_known_layouts_need_no_fields(tmp_path: Path, row: dict[str, Any], name: str) -> None:
    """Each usual layout gives its question and answer, plain or gzipped."""
    write_lines(tmp_path / name, [row])

    (record,) = records(source(tmp_path, "jsonl", path=name).records())

    assert (record.prompt, record.answer, record.file, record.line) == ("Q", "A", name, 1)


def test_the_parts_of_a_record(tmp_path: Path) -> None:
    """System prompt, earlier turns, rating and teacher are kept apart."""
    row = said(("system", "Be brief."), ("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"))
    write_lines(tmp_path / "chat.jsonl", [{**row, "score": 4.5, "model": "nova-pro"}])

    (record,) = records(source(tmp_path, "jsonl", path="chat.jsonl").records())

    assert record == Record(
        file="chat.jsonl",
        line=1,
        system="Be brief.",
        earlier=(Turn("user", "1"), Turn("assistant", "2")),
        prompt="3",
        answer="4",
        rating=4.5,
        teacher="nova-pro",
    )


def test_fields_lead_anywhere(tmp_path: Path) -> None:
    """Named fields are found by key, by a path of keys and positions, and by a key that holds a dot."""
    row = {"in": {"text": ["x", "Q"]}, "out.text": {"a": 1}, "who": {"name": "me"}, "stars": 3}
    write_lines(tmp_path / "own.jsonl", [row])
    fields = {"prompt": "in.text.1", "answer": "out.text", "teacher": "who.name", "rating": "stars"}

    (record,) = records(source(tmp_path, "jsonl", path="own.jsonl", fields=fields).records())

    assert (record.prompt, record.answer) == ("Q", '{"a":1}')
    assert (record.teacher, record.rating) == ("me", 3.0)


def test_every_bad_line_says_where_and_why(tmp_path: Path) -> None:
    """Bad lines do not end the reading; each names file, line, path and reason."""
    image = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/a.png"}}}}
    lines = [
        b'{"prompt": "Q", "completion": "A"}',
        b"{nonsense",
        b"",
        b'{"prompt": "Q"}',
        b'{"prompt": " ", "completion": "A"}',
        b'{"prompt": "Q", "completion": ""}',
        b'{"prompt": 7, "completion": "A"}',
        b'["Q", "A"]',
        b'{"prompt": "\xff", "completion": "A"}',
        json.dumps(said(("user", [{"text": "Q"}, image]), ("assistant", [{"text": "A"}]))).encode(),
        b'{"text": "running text"}',
        b'{"prompt": "last", "completion": "A"}\r',
    ]
    (tmp_path / "bad.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))

    found = list(source(tmp_path, "jsonl", path="bad.jsonl").records())

    assert pairs(found) == [("Q", "A"), ("last", "A")]
    told = complaints(found)
    numbers = (2, 4, 5, 6, 7, 8, 9, 10, 11)
    assert [each.split(": ")[0] for each in told] == [f"bad.jsonl:{number}" for number in numbers]
    for each, part in zip(
        told,
        ("not JSON", "no answer", "prompt is empty", "answer is empty", "prompt: ", "expected", "not UTF-8"),
        strict=False,
    ):
        assert part in each
    assert message("sources/tool-calls") in told[7]
    assert "no question" in told[8]


def test_named_fields_that_are_not_there(tmp_path: Path) -> None:
    """A field that is named holds, even where the usual one is there."""
    rows = [{"prompt": "Q", "answer": "A"}, {"q": 4, "answer": "A"}, {"q": "Q", "answer": "A"}]
    write_lines(tmp_path / "own.jsonl", rows)

    found = list(source(tmp_path, "jsonl", path="own.jsonl", fields={"prompt": "q"}).records())

    assert pairs(found) == [("Q", "A")]
    assert complaints(found) == [
        "own.jsonl:1: q: " + message("sources/no-prompt-name-its-field", name="{prompt"),
        "own.jsonl:2: q: " + message("sources/expected-text"),
    ]


def test_a_cut_off_gzip_file_is_an_error(tmp_path: Path) -> None:
    """What could be unpacked is read, and then it is said that the rest is missing."""
    whole = gzip.compress(b"".join(b'{"prompt": "%d", "answer": "A"}\n' % n for n in range(5000)), mtime=0)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])

    reading = source(tmp_path, "jsonl", path="cut.jsonl.gz").records()
    assert isinstance(next(reading), Record)

    with pytest.raises(
        DataError, match=r"cut\.jsonl\.gz: " + matching("sources/cannot-be-unpacked-after-line")
    ):
        list(reading)


@pytest.mark.parametrize("name", ["big.jsonl", "big.jsonl.gz", "big.csv"])
def test_memory_stays_flat(tmp_path: Path, name: str) -> None:
    """A file of twenty megabytes is read in a few."""
    if name.endswith(".csv"):
        cells = "".join(f"{n},{'A' * 2000}\n" for n in range(10_000))
        (tmp_path / name).write_text(f"prompt,answer\n{cells}")
    else:
        write_lines(tmp_path / name, ({"prompt": f"{n}", "answer": "A" * 2000} for n in range(10_000)))
    reading = source(tmp_path, name.split(".")[1], path=name).records()

    tracemalloc.start()
    try:
        count = sum(1 for _ in reading)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 10_000
    assert peak < 8_000_000


# tables


def test_a_table(tmp_path: Path) -> None:
    """Columns are found by their usual names, cells may hold anything, and a row's line is its first."""
    content = '\ufeffprompt,answer,extra\n"Two\nlines","say ""hi"", please",x\nQ,A,\n'
    (tmp_path / "table.csv").write_text(content, encoding="utf-8", newline="")

    found = records(source(tmp_path, "csv", path="table.csv").records())

    assert [(each.line, each.prompt, each.answer) for each in found] == [
        (2, "Two\nlines", 'say "hi", please'),
        (4, "Q", "A"),
    ]


def test_named_columns_and_delimiters(tmp_path: Path) -> None:
    """Columns go by name, tabs come with .tsv, and any character may be stated."""
    (tmp_path / "a.tsv").write_text("frage\tantwort\twer\nQ\tA\tme\n")
    (tmp_path / "b.txt").write_text("frage;antwort\nQ;A\n")
    fields = {"prompt": "frage", "answer": "antwort"}

    (tab,) = records(source(tmp_path, "csv", path="a.tsv", fields={**fields, "teacher": "wer"}).records())
    (semicolon,) = records(source(tmp_path, "csv", path="b.txt", fields=fields, delimiter=";").records())

    assert (tab.prompt, tab.answer, tab.teacher) == ("Q", "A", "me")
    assert (semicolon.prompt, semicolon.answer) == ("Q", "A")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("a,b\n1,2\n", "table.csv:1: " + message("sources/no-column-for-prompt-among")),
        ("prompt,answer\nQ,A\n", "table.csv:1: no column 'frage' for the prompt; there are prompt, answer"),
        ('prompt,answer\n"Q,A\n', "table.csv:2: not CSV"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, content: str, what: str) -> None:
    """The file, the line and the columns there are."""
    (tmp_path / "table.csv").write_text(content)
    fields = {"prompt": "frage"} if "frage" in what else {}

    with pytest.raises(DataError) as raised:
        list(source(tmp_path, "csv", path="table.csv", fields=fields).records())

    assert str(raised.value).startswith(what)


def test_bad_rows_of_a_table(tmp_path: Path) -> None:
    """Too many cells, an empty cell, bytes that are no UTF-8: each row by itself."""
    (tmp_path / "table.csv").write_bytes(b"prompt,answer\nQ,A,B\n,A\nQ,\xff\nQ,A\n")

    found = list(source(tmp_path, "csv", path="table.csv").records())

    assert pairs(found) == [("Q", "A")]
    assert [each.split(". ")[0] for each in complaints(found)] == [
        "table.csv:2: " + message("sources/header-has", cells=3),
        "table.csv:3: " + message("sources/there-is-no-prompt"),
        "table.csv:4: " + message("sources/cell-is-not-utf"),
    ]


# captures


def test_only_what_was_liked(tmp_path: Path) -> None:
    """Numbers, booleans and words with a worth are compared; the others are counted by reason."""
    ratings: list[object] = [5, 3.9, True, False, "up", "down", None]
    rows = [{"prompt": f"Q{n}", "answer": "A", "rating": each} for n, each in enumerate(ratings)]
    chat = {**said(("user", "C"), ("assistant", "A")), "score": 4}
    write_lines(tmp_path / "captures.jsonl", [*rows, chat, {"prompt": "Q", "answer": "A", "rating": "meh"}])
    worth = {"up": 9.0, "down": 0.0}

    found = list(
        source(tmp_path, "captures", path="captures.jsonl", minimum_rating=4.0, ratings=worth).records()
    )

    assert pairs(found) == [("Q0", "A"), ("Q4", "A"), ("C", "A")]
    assert [each.rating for each in found if isinstance(each, Record)] == [5.0, 9.0, 4.0]
    assert left_out(found) == ["rated below 4"] * 4 + ["not rated"]
    assert complaints(found) == ["captures.jsonl:9: " + message("sources/is-no-rating", name="meh")]
