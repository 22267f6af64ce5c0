"""Rows of anthropic-messages, bedrock-rft and openai-chat that are wrong, each with what is said about it."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from polytune.errors import DataError
from polytune.fingerprint import Json
from polytune.formats.interface import FORMATS, Conversation, Format, Turn


class Case(NamedTuple):
    """A row of a layout and its findings, as `severity rule field: message`."""

    layout: str
    name: str
    row: Json
    findings: tuple[str, ...]


def case(layout: str, name: str, row: Json, *findings: str) -> Case:
    """A row of the gallery."""
    return Case(layout, name, row, findings)


def says(role: str, content: Json, **more: Json) -> dict[str, Json]:
    """A message."""
    return {"role": role, "content": content, **more}


def function(name: str = "play", **more: Json) -> Json:
    """A function's declaration."""
    parameters: Json = {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": name, "description": "plays", "parameters": parameters, **more},
    }


USER = says("user", "hi")
ANSWER = says("assistant", "yo")
SYSTEM = says("system", "be brief")
A, R, O = "anthropic-messages", "bedrock-rft", "openai-chat"  # noqa: E741

GALLERY = [
    case(A, "list", [], "error not-an-object : expected an object, found a list"),
    case(A, "empty", {}, "error too-few-messages messages: 'messages' is missing"),
    case(
        A,
        "messages string",
        {"messages": "hi"},
        "error too-few-messages messages: expected a list, found a string",
    ),
    case(
        A,
        "one message",
        {"messages": [USER]},
        "error too-few-messages messages: 1 of at least 2 messages",
        "error last-role messages[0].role: the last turn is the user's",
    ),
    case(
        A,
        "blocks",
        {"messages": [says("user", [{"type": "text", "text": "hi"}]), ANSWER]},
        "error content-shape messages[0].content: expected a string, found a list",
    ),
    case(
        A,
        "system message",
        {"messages": [SYSTEM, USER, ANSWER]},
        "error role messages[0].role: expected user or assistant, found 'system'",
    ),
    case(
        A,
        "system blocks",
        {"system": [{"text": "s"}], "messages": [USER, ANSWER]},
        "error wrong-type system: expected a string, found a list",
    ),
    case(
        A,
        "system empty",
        {"system": " ", "messages": [USER, ANSWER]},
        "error empty-text system: the text is empty",
    ),
    case(
        A,
        "two users",
        {"messages": [USER, USER, ANSWER]},
        "error role-order messages[1].role: two user turns in a row",
    ),
    case(
        A,
        "assistant first",
        {"messages": [ANSWER, USER, ANSWER]},
        "error first-role messages[0].role: the first turn is the assistant's",
    ),
    case(
        A,
        "empty answer",
        {"messages": [USER, says("assistant", "")]},
        "error empty-text messages[1].content: the text is empty",
    ),
    case(
        A,
        "extra keys",
        {"messages": [{**USER, "id": 1}, ANSWER], "model": "claude"},
        "error unknown-key model: unknown key 'model'",
        "error unknown-key messages[0].id: unknown key 'id'",
    ),
    case(
        A,
        "message string",
        {"messages": ["hi", ANSWER]},
        "error wrong-type messages[0]: expected an object, found a string",
    ),
    case(R, "list", [], "error not-an-object : expected an object, found a list"),
    case(
        R,
        "no reference",
        {"messages": [USER]},
        "warning missing-reference reference_answer: there is no reference answer",
    ),
    case(
        R,
        "empty references",
        {"messages": [USER], "reference_answer": {}},
        "error empty-text reference_answer: the reference is empty",
    ),
    case(
        R,
        "blank reference",
        {"messages": [USER], "reference_answer": " "},
        "error empty-text reference_answer: the text is empty",
    ),
    case(
        R,
        "number as reference",
        {"messages": [USER], "reference_answer": 42},
        "error wrong-type reference_answer: expected a string, found a number",
    ),
    case(
        R,
        "empty id",
        {"id": "", "messages": [USER], "reference_answer": "a"},
        "error empty-text id: the text is empty",
    ),
    case(
        R,
        "number as id",
        {"id": 3, "messages": [USER], "reference_answer": "a"},
        "error wrong-type id: expected a string, found a number",
    ),
    case(
        R,
        "no messages",
        {"messages": [], "reference_answer": "a"},
        "error too-few-messages messages: 0 of at least 1 message",
        "error no-user-turn messages: there is no user turn",
    ),
    case(
        R,
        "system only",
        {"messages": [SYSTEM], "reference_answer": "a"},
        "error no-user-turn messages: there is no user turn",
    ),
    case(
        R,
        "late system",
        {"messages": [USER, SYSTEM], "reference_answer": "a"},
        "error role-order messages[1].role: a system message after the first",
    ),
    case(
        R,
        "answered",
        {"messages": [USER, ANSWER], "reference_answer": "a"},
        "warning last-role messages: the prompt ends with the assistant's turn",
    ),
    case(
        R,
        "tool's role",
        {"messages": [USER, says("tool", "x")], "reference_answer": "a"},
        "error role messages[1].role: expected system, user or assistant, found 'tool'",
    ),
    case(
        R,
        "blocks",
        {"messages": [says("user", [{"text": "hi"}])], "reference_answer": "a"},
        "error wrong-type messages[0].content: expected a string, found a list",
    ),
    case(
        R,
        "message string",
        {"messages": ["hi", USER], "reference_answer": "a"},
        "error wrong-type messages[0]: expected an object, found a string",
    ),
    case(
        R,
        "tools object",
        {"messages": [USER], "reference_answer": "a", "tools": {}},
        "error tool-config tools: expected a list, found an object",
    ),
    case(
        R,
        "tools wrong",
        {
            "messages": [USER],
            "reference_answer": "a",
            "tools": [3, function(name="", parameters={}), function(), function()],
        },
        "error tool-config tools[0]: not the declaration of a function",
        "error tool-config tools[1].function.name: the tool has no name",
        "error tool-config tools[1].function.parameters: no JSON Schema of an object",
        "error tool-config tools[3].function.name: two tools are called 'play'",
    ),
    case(O, "string", "hi", "error not-an-object : expected an object, found a string"),
    case(
        O,
        "no messages",
        {"messages": []},
        "error too-few-messages messages: 0 of at least 1 message",
        "error no-user-turn messages: there is no user turn",
    ),
    case(O, "question only", {"messages": [USER]}, "error last-role messages: the last turn is the user's"),
    case(
        O,
        "role",
        {"messages": [USER, says("bot", "x"), ANSWER]},
        "error role messages[1].role: expected system, developer, user, assistant or tool, found 'bot'",
    ),
    case(
        O,
        "late system",
        {"messages": [USER, SYSTEM, ANSWER]},
        "warning many-systems messages[1].role: a system message after the first message",
    ),
    case(
        O,
        "two answers",
        {"messages": [USER, ANSWER, ANSWER]},
        "warning role-order messages: the turns do not alternate from a user's",
    ),
    case(
        O,
        "null",
        {"messages": [USER, says("assistant", None)]},
        "error wrong-type messages[1].content: expected a string, found null",
    ),
    case(
        O,
        "empty parts",
        {"messages": [says("user", []), ANSWER]},
        "error empty-text messages[0].content: the message says nothing",
    ),
    case(
        O,
        "odd parts",
        {"messages": [says("user", [{"type": "text"}, "x", {"type": "image_url"}]), ANSWER]},
        "error wrong-type messages[0].content[0].text: expected a string, found null",
        "error content-shape messages[0].content[1]: not a part of a message",
        "error block-shape messages[0].content[2]: the part has no 'image_url'",
    ),
    case(
        O,
        "extra keys",
        {"messages": [USER, says("assistant", "yo", score=1)], "id": 1},
        "error unknown-key id: unknown key 'id'",
        "error unknown-key messages[1].score: unknown key 'score'",
    ),
]


def layout(name: str) -> Format:
    """A member of the family."""
    return FORMATS.load(name)()


@pytest.mark.parametrize("bad", GALLERY, ids=lambda bad: f"{bad.layout}: {bad.name}")
def test_a_bad_row_is_explained_exactly(bad: Case) -> None:
    """Each bad row gets these findings, in this order, each with a fix; it is not clean."""
    line = json.dumps(bad.row).encode()

    findings = layout(bad.layout).check(line, 3).findings

    said = tuple(f"{each.severity} {each.rule} {each.field}: {each.message}" for each in findings)
    assert said == bad.findings
    assert all(each.fix.endswith(".") and each.line == 3 for each in findings)
    if any(each.severity == "error" for each in findings):
        with pytest.raises(DataError, match=f"not a {bad.layout} row"):
            layout(bad.layout).decode(line)


GOOD: list[tuple[str, Json, Conversation, list[str]]] = [
    (
        A,
        {"system": "s", "messages": [USER, ANSWER]},
        Conversation("s", (Turn("user", "hi"), Turn("assistant", "yo"))),
        [],
    ),
    (
        R,
        {"id": "7", "messages": [SYSTEM, USER], "reference_answer": {"b": 1, "a": [2]}, "difficulty": 3},
        Conversation("be brief", (Turn("user", "hi"), Turn("assistant", '{"a":[2],"b":1}'))),
        [],
    ),
    (
        R,
        {"messages": [USER, ANSWER, USER], "reference_answer": "ho", "tools": [function()]},
        Conversation(
            None,
            (Turn("user", "hi"), Turn("assistant", "yo"), Turn("user", "hi"), Turn("assistant", "ho")),
        ),
        ["tools"],
    ),
    (
        O,
        {"messages": [says("developer", "s"), says("user", [{"type": "text", "text": "hi"}]), ANSWER]},
        Conversation("s", (Turn("user", "hi"), Turn("assistant", "yo"))),
        [],
    ),
    (
        O,
        {
            "messages": [
                USER,
                says("assistant", None, tool_calls=[{"id": "1"}]),
                says("tool", "done", tool_call_id="1"),
                ANSWER,
            ],
            "tools": [function()],
        },
        Conversation(None, (Turn("user", "hi"), Turn("assistant", ""), Turn("assistant", "yo"))),
        ["tools", "tool_calls", "tool"],
    ),
    (
        O,
        {
            "messages": [
                says("user", [{"type": "image_url", "image_url": {"url": "s3://b/k.png"}}]),
                says("assistant", "a cat", weight=1),
            ]
        },
        Conversation(None, (Turn("user", ""), Turn("assistant", "a cat"))),
        ["image_url"],
    ),
]


@pytest.mark.parametrize(("name", "row", "conversation", "blocks"), GOOD)
def test_a_good_row_is_read(name: str, row: Json, conversation: Conversation, blocks: list[str]) -> None:
    """A row with nothing wrong is the conversation, and what it holds besides text is noted."""
    reading = layout(name).check(json.dumps(row).encode(), 1)

    assert reading.findings == ()
    assert reading.conversation == conversation
    assert [block.kind for block in reading.blocks] == blocks


def test_a_reference_is_the_answer_of_a_sample() -> None:
    """What would be the assistant's answer is what the grader compares with."""
    conversation = Conversation("s", (Turn("user", "hi"), Turn("assistant", "yo")))

    row = json.loads(layout(R).encode(conversation))

    assert row == {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        "reference_answer": "yo",
    }
    with pytest.raises(DataError, match="bedrock-rft: a row is a prompt that ends with a user turn"):
        layout(R).encode(Conversation(None, (Turn("user", "hi"),)))


def test_texts_have_their_paths() -> None:
    """Passages name who speaks; what the system and the tools say counts as well."""
    rows: dict[str, Json] = {
        A: {"system": "s", "messages": [USER, 3, ANSWER]},
        R: {"messages": [SYSTEM, USER], "reference_answer": "a"},
        O: {
            "messages": [
                says("developer", "d"),
                says("user", [{"type": "text", "text": "t"}]),
                says("tool", "o"),
            ]
        },
    }

    found = {
        name: [(p.field, p.role, p.text) for p in layout(name).passages(row)] for name, row in rows.items()
    }

    assert found == {
        A: [
            ("system", "system", "s"),
            ("messages[0].content", "user", "hi"),
            ("messages[2].content", "assistant", "yo"),
        ],
        R: [
            ("messages[0].content", "system", "be brief"),
            ("messages[1].content", "user", "hi"),
            ("reference_answer", "assistant", "a"),
        ],
        O: [
            ("messages[0].content", "system", "d"),
            ("messages[1].content[0].text", "user", "t"),
            ("messages[2].content", "user", "o"),
        ],
    }


def test_images_of_a_chat_are_listed() -> None:
    """Addresses are references; an image in the row itself is none."""
    parts: Json = [
        {"type": "image_url", "image_url": {"url": "s3://b/k.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
    ]

    (reference,) = layout(O).references({"messages": [says("user", parts)]})

    assert (reference.field, reference.kind, reference.uri) == (
        "messages[0].content[0].image_url.url",
        "image",
        "s3://b/k.png",
    )
