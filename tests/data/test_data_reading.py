"""Any JSONL is read as typed rows, and a line that is none says where and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.data.lines import chunk_bytes
from polytune.data.reading import BadRow, Row, read_rows, row_of
from tests.data.data_samples import LAYOUT, sample, write
from tests.messages import message


def read(row: object) -> Row:
    """The row that a line of JSON holds."""
    found = row_of(json.dumps(row).encode(), 7)
    assert isinstance(found, Row), found
    return found


def turns(*texts: str) -> list[dict[str, object]]:
    """Messages of user and assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]


BLOCKS = [{"role": m["role"], "content": [{"text": m["content"]}]} for m in turns("q", "a")]


@pytest.mark.parametrize(
    ("row", "layout", "texts", "answer_path"),
    [
        (
            {"schemaVersion": LAYOUT, "system": [{"text": "s"}], "messages": BLOCKS},
            LAYOUT,
            ("s", "q", "a"),
            "messages[1].content[0].text",
        ),
        ({"prompt": "q", "completion": "a"}, "prompt-completion", ("", "q", "a"), "completion"),
        (
            {"messages": [{"role": "system", "content": "s"}, *turns("q", "a")]},
            "openai-chat",
            ("s", "q", "a"),
            "messages[2].content",
        ),
        (
            {"messages": [{"role": "developer", "content": "s"}, *turns("q", "a")]},
            "openai-chat",
            ("s", "q", "a"),
            "messages[2].content",
        ),
        (
            {"system": "s", "messages": turns("q", "a")},
            "anthropic-messages",
            ("s", "q", "a"),
            "messages[1].content",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, turns("q", "a")[1]]},
            "anthropic-messages",
            ("", "q", "a"),
            "messages[1].content",
        ),
        ({"question": "q", "answer": "a"}, "prompt-answer", ("", "q", "a"), "answer"),
        ({"instruction": "i", "input": "x", "output": "a"}, "prompt-answer", ("", "i\n\nx", "a"), "output"),
        ({"instruction": "i", "input": "", "output": "a"}, "prompt-answer", ("", "i", "a"), "output"),
        ({"input": "q", "response": "a", "system": "s"}, "prompt-answer", ("s", "q", "a"), "response"),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, "prompt-answer", ("", "q", "a"), "chosen"),
        ({"prompt": turns("q"), "answer": 4}, "prompt-answer", ("", "q", "4"), "answer"),
        (
            {"messages": turns("q"), "reference_answer": {"donors": 2}},
            "openai-chat",
            ("", "q", '{"donors":2}'),
            "reference_answer",
        ),
        ({"text": "a"}, "text", ("", "", "a"), "text"),
        ({"input": "a"}, "text", ("", "", "a"), "input"),
    ],
)
def test_layouts(row: object, layout: str, texts: tuple[str, str, str], answer_path: str) -> None:
    """System prompt, prompt and answer of each layout, and where the answer stands."""
    found = read(row)

    assert (found.layout, found.answer_path, found.line) == (layout, answer_path, 7)
    assert (found.system, found.prompt, found.answer) == texts
    assert found.passages[-1].role == "assistant"


def test_samples_bring_what_is_known_of_them(tmp_path: Path) -> None:
    """A sample's id, teacher and cell; the texts as the teacher saw them."""
    (found,) = read_rows(write(tmp_path / "samples.jsonl", [sample(3)]))

    assert isinstance(found, Row)
    assert (found.layout, found.id, found.key, found.teacher) == (
        "polytune-samples",
        "s00003",
        "s00003",
        "composed offline",
    )
    assert json.loads(found.cell) == {"style": "techno", "complexity": "simple"}
    assert (found.system, found.prompt, found.answer) == (
        "You write techno.",
        "Write techno, take 3.",
        's("bd*3")',
    )


def test_longer_conversations() -> None:
    """All turns before the last answer are the prompt; what was asked is the user's last text."""
    found = read({"messages": turns("q1", "a1", "q2", "a2")})

    assert (found.prompt, found.asked, found.answer) == ("q1\n\na1\n\nq2", "q2", "a2")
    assert [passage.field for passage in found.passages] == [f"messages[{n}].content" for n in range(4)]


def test_an_answer_in_several_blocks_is_one() -> None:
    """Text blocks of the last turn belong together."""
    content = [{"type": "text", "text": "a1"}, {"type": "text", "text": "a2"}]

    found = read({"messages": [*turns("q"), {"role": "assistant", "content": content}]})

    assert (found.prompt, found.answer, found.answer_path) == ("q", "a1\n\na2", "messages[1].content[0].text")


def test_what_is_no_text_is_noted() -> None:
    """Images and tool calls are not read, and the row says that they are there."""
    image = {"role": "user", "content": [{"image": {}}, {"text": "q"}]}
    use = {"role": "assistant", "content": [{"toolUse": {"name": "f"}}]}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}

    assert (
        read({"messages": [image, turns("", "a")[1]]}).other,
        read({"messages": turns("q", "a")}).other,
    ) == (
        True,
        False,
    )
    assert (read({"messages": [*turns("q"), use]}).answer, read({"messages": [*turns("q"), use]}).other) == (
        "",
        True,
    )
    assert read({"messages": [*turns("q"), call]}).answer == '[{"id": "1"}]'


def test_rows_without_an_id_get_one_from_what_they_say() -> None:
    """The same prompt and answer, whitespace aside, have the same key; others another."""
    keys = [
        read({"prompt": p, "completion": a}).key
        for p, a in (("q", "a"), ("q ", "a\n"), ("qa", ""), ("q", "b"))
    ]

    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert read({"id": 5, "prompt": "q", "completion": "a"}).key == "5"


@pytest.mark.parametrize(
    ("line", "path", "reason"),
    [
        (b"", "", message("general/line-is-empty")),
        (b"{", "", "not JSON: "),
        (b"\xff", "", message("general/byte-of-line-is-not-utf", number=1)),
        (b'{"prompt": "a"} {}', "", "not JSON: "),
        (b"[1]", "", "array"),
        (b'{"prompt": 3, "completion": "a"}', "prompt", "int"),
        (
            b'{"messages": [{"role": "user", "content": [{"text": 4}]}]}',
            "messages[0].content[0].text",
            "int",
        ),
        (b'{"messages": [{"content": "x"}]}', "messages[0]", "'role'"),
        (b'{"messages": [{"role": "bot", "content": "x"}]}', "messages[0].role", "'bot'"),
        (
            b'{"messages": [{"role": "user", "content": "x"}]}',
            "messages[0].role",
            message("general/last-turn-is-user"),
        ),
        (
            b'{"messages": [{"role": "assistant", "content": null}]}',
            "messages[0].content",
            message("general/holds-no-text"),
        ),
        (b'{"messages": []}', "messages", message("data/there-are-no-messages")),
        (b'{"prompt": "a"}', "", message("general/prompt-has-no-answer")),
        (b'{"completion": "a"}', "", "'completion' answers nothing"),
        (b'{"a": 1}', "", message("data/no-key-of-any-known-layout")),
        (b"[" * 100_000, "", "not JSON: "),
    ],
)
def test_bad_rows_say_where_and_why(line: bytes, path: str, reason: str) -> None:
    """Line, JSON path, reason and what to write."""
    found = row_of(line, 3)

    assert isinstance(found, BadRow)
    assert (found.line, found.path) == (3, path)
    assert reason.lower() in found.reason.lower()
    assert found.fix


@given(st.binary(max_size=80))
def test_no_line_breaks_the_reader(line: bytes) -> None:
    """Whatever bytes: a row or a bad row."""
    assert row_of(line, 1).line == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["messages", "role", "content", "prompt", "text", "answer", "system", "id"]),
                x,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_breaks_the_reader(row: object) -> None:
    """Whatever JSON under the keys that layouts have: a row or a bad row."""
    content = json.dumps(row).encode(errors="replace")

    assert row_of(content, 1).line == 1


def test_a_file_is_read_across_blocks_and_bad_lines(tmp_path: Path) -> None:
    """Lines keep their numbers over a byte order mark, carriage returns, bad lines and block ends."""
    path = tmp_path / "rows.jsonl"
    rows = [json.dumps({"prompt": f"p{n}", "completion": "x" * 1000}).encode() for n in range(3000)]
    rows[1500] = b"{"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(rows))

    found = list(read_rows(path))

    assert path.stat().st_size > 2 * chunk_bytes
    assert [row.line for row in found] == list(range(1, 3001))
    assert [row.line for row in found if isinstance(row, BadRow)] == [1501]
    assert all(row.prompt == f"p{row.line - 1}" for row in found if isinstance(row, Row))
