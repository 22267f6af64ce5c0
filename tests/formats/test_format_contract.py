"""What every format promises: round trips, one line a row, and clear words for lines that are no rows."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.errors import DataError
from polytune.formats.interface import FORMATS, Conversation, Finding, Format, Turn
from tests.examples import Example, examples_of
from tests.foreign import THEIRS, with_their_words
from tests.messages import matching, message

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: not text.isspace())


class FormatExample(Example, kw_only=True):
    """A row, what it means, and what the layout has a place for."""

    row: dict[str, Any]
    system: str | None = None
    turns: list[tuple[Literal["user", "assistant"], str]]
    questions: str = ""
    """A pattern of what can be asked in the layout; '' when it is any text."""
    conversations: bool = False
    """Whether a row may hold a system prompt and any number of turns."""
    prompts_alone: bool = False
    """Whether the last answer may be absent, with answers `optional`."""


EXAMPLES = {each.member: each.example for each in examples_of(FORMATS, FormatExample)}
NAMES = list(EXAMPLES)


def exchanges_of(name: str) -> st.SearchStrategy[Conversation]:
    """Conversations of one question and its answer that the layout has a place for."""
    return st.builds(
        lambda asked, answered: Conversation(None, (Turn("user", asked), Turn("assistant", answered))),
        st.from_regex(re.compile(pattern), fullmatch=True)
        if (pattern := EXAMPLES[name].questions)
        else texts,
        texts,
    )


conversations = st.builds(
    lambda system, pairs: Conversation(
        system, tuple(turn for a, b in pairs for turn in (Turn("user", a), Turn("assistant", b)))
    ),
    st.none() | texts,
    st.lists(st.tuples(texts, texts), min_size=1, max_size=4),
)
json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts | st.sampled_from(["user", "assistant", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("schemaVersion", "system", "messages", "role", "content", "text", "image", "prompt"),
                    *("completion", "tools", "toolConfig", "toolUse", "toolResult", "reference_answer", "id"),
                    *("image-ref", "caption", "type", "function", "tool_calls", "image_url"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def exchange(name: str, asked: str, answered: str) -> Conversation:
    """A question and its answer; the address of an image in the place of the question, where it must be."""
    asked = asked if FORMATS.load(name).takes_samples else "s3://bucket/key.png"
    return Conversation(None, (Turn("user", asked), Turn("assistant", answered)))


def layout(name: str) -> Format:
    """A member of the family."""
    return FORMATS.load(name)()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_means_what_its_example_says(name: str) -> None:
    """The example's row has nothing wrong and holds the example's conversation."""
    example = EXAMPLES[name]
    line = msgspec.json.encode(example.row)

    assert layout(name).check(line, 1).findings == ()
    assert layout(name).decode(line) == Conversation(
        example.system, tuple(Turn(role, text) for role, text in example.turns)
    )


@pytest.mark.parametrize("name", NAMES)
def test_its_name_is_its_files_name(name: str) -> None:
    """A format calls itself what the experiment file calls it."""
    assert layout(name).name == name


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_an_exchange_survives_the_round_trip(name: str, data: st.DataObject) -> None:
    """What is encoded is one line, has nothing wrong, decodes to the same, and encodes to the same bytes."""
    conversation = data.draw(exchanges_of(name))

    line = layout(name).encode(conversation)

    assert b"\n" not in line
    assert layout(name).decode(line) == conversation
    assert layout(name).clean(line) == conversation
    assert layout(name).encode(conversation) == line


@pytest.mark.parametrize("name", [name for name in NAMES if FORMATS.load(name).takes_samples])
@given(st.lists(st.tuples(st.none() | texts, texts, texts), max_size=5))
def test_many_exchanges_are_encoded_as_each_of_them(
    name: str, many: list[tuple[str | None, str, str]]
) -> None:
    """The way for many rows at once gives the bytes of the way for one."""
    systems, prompts, answers = [s for s, _, _ in many], [p for _, p, _ in many], [a for _, _, a in many]

    rows = layout(name).exchanges(systems, prompts, answers)

    assert rows == [
        layout(name).encode(Conversation(system, (Turn("user", prompt), Turn("assistant", answer))))
        for system, prompt, answer in many
    ]


@pytest.mark.parametrize("name", [name for name in NAMES if EXAMPLES[name].conversations])
@given(conversations)
def test_a_whole_conversation_survives_the_round_trip(name: str, conversation: Conversation) -> None:
    """System prompt and any number of turns come back from a layout of messages, the fast way too."""
    line = layout(name).encode(conversation)

    assert layout(name).decode(line) == layout(name).clean(line) == conversation
    assert layout(name).diagnose(msgspec.json.decode(line), 1).findings == ()


@pytest.mark.parametrize("name", [name for name in NAMES if EXAMPLES[name].prompts_alone])
@given(conversations)
def test_prompts_alone_are_rows_where_answers_are_optional(name: str, conversation: Conversation) -> None:
    """A conversation without its last answer is right then, and an error otherwise."""
    asked = Conversation(conversation.system, conversation.turns[:-1])
    asking = FORMATS.load(name)("optional")
    line = asking.encode(asked)

    assert asking.decode(line) == asking.clean(line) == asked
    assert asking.diagnose(msgspec.json.decode(line), 1).findings == ()
    assert "last-role" in [finding.rule for finding in layout(name).check(line, 1).findings]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_the_fast_way_and_the_thorough_way_agree_on_good_rows(name: str, data: st.DataObject) -> None:
    """A row that the typed decoder certifies has no findings in the walk, and the same conversation."""
    conversation = data.draw(exchanges_of(name))
    line = layout(name).encode(conversation)

    reading = layout(name).diagnose(msgspec.json.decode(line), 1)

    assert reading.findings == ()
    assert reading.conversation == conversation


@pytest.mark.parametrize("name", NAMES)
@given(json_values)
def test_any_json_value_is_judged_and_never_crashes(name: str, value: object) -> None:
    """Whatever a row holds, a clean one has nothing wrong, one that says nothing has an error, and texts
    and files can be listed."""
    line = msgspec.json.encode(value)

    reading = layout(name).check(line, 1)
    layout(name).passages_of(line)
    layout(name).references_of(line)

    if layout(name).clean(line) is not None:
        assert layout(name).diagnose(value, 1).findings == ()
    if reading.conversation is None:
        assert any(finding.severity == "error" for finding in reading.findings)


@pytest.mark.parametrize("name", NAMES)
@given(st.binary(max_size=60))
def test_any_bytes_are_judged_and_never_crash(name: str, line: bytes) -> None:
    """Random bytes are no conversation, and the first thing said about them is an error."""
    reading = layout(name).check(line.replace(b"\n", b""), 1)

    assert reading.conversation is None
    assert reading.findings[0].severity == "error"


MALFORMED = [
    (b"", "blank-line", message("general/line-is-empty")),
    (b" \t\r", "blank-line", message("general/line-is-empty")),
    (b'{"a": 1', "not-json", f"not JSON: {THEIRS}"),
    (b"{'a': 1}", "not-json", f"not JSON: {THEIRS} (byte 1)"),
    (b'{"a": 1,}', "not-json", f"not JSON: {THEIRS} (byte 8)"),
    (b'{"a": 1} {"b": 2}', "not-json", f"not JSON: {THEIRS} (byte 10)"),
    (b"prompt,completion", "not-json", f"not JSON: {THEIRS} (byte 0)"),
    (b'{"a": NaN}', "not-json", f"not JSON: {THEIRS} (byte 6)"),
    (b'{"a": "x\ty"}', "not-json", f"not JSON: {THEIRS} (byte 8)"),
    (b"[" * 20_000, "not-json", message("formats/not-json")),
    (b'{"a": "\xff"}', "not-utf8", message("general/byte-of-line-is-not-utf", number=8)),
    ("{'a': 'é'}".encode("latin-1"), "not-utf8", message("general/byte-of-line-is-not-utf", number=8)),
    (b'{"a": "x\0"}', "nul-byte", message("formats/line-holds-nul-byte")),
    (b"\xef\xbb\xbf{}", "not-json", f"not JSON: {THEIRS} (byte 0)"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("line", "rule", "message"), MALFORMED, ids=[str(case[0][:18]) for case in MALFORMED]
)
def test_a_line_that_is_no_json_says_why(name: str, line: bytes, rule: str, message: str) -> None:
    """One error, with the place of the trouble in the line, and nothing about the layout."""
    findings = layout(name).check(line, 5).findings

    (finding,) = findings
    assert (finding.rule, finding.severity, finding.line) == (rule, "error", 5)
    assert finding.message == with_their_words(message, finding.message)


@pytest.mark.parametrize("name", NAMES)
def test_escaped_and_raw_characters_are_the_same_text(name: str) -> None:
    """A row written with \\u escapes decodes to the row written without."""
    conversation = exchange(name, 'héllo\n"you"', 'é s("bd*4")\u2028')
    line = layout(name).encode(conversation)
    escaped = line.decode().encode("ascii", "backslashreplace").replace(b"\\xe9", b"\\u00e9")

    assert escaped != line
    assert layout(name).decode(escaped) == conversation


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_five_megabytes_is_read(name: str) -> None:
    """Length alone makes no row wrong for a format."""
    conversation = exchange(name, "hi", "ho " * 1_700_000)

    assert layout(name).decode(layout(name).encode(conversation)) == conversation


@pytest.mark.parametrize("name", NAMES)
def test_decode_refuses_a_broken_row_with_its_fix(name: str) -> None:
    """A row with an error in it is never read half."""
    with pytest.raises(DataError, match=matching("formats/not-row", name=name)):
        layout(name).decode(b"{")


def test_a_finding_is_plain_data() -> None:
    """Findings survive JSON, so that other processes may report them."""
    finding = layout("bedrock-conversation-2024").check(b"[]", 2).findings[0]

    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding
