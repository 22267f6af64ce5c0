"""Rows of bedrock-conversation-2024 that are wrong, each with exactly what is said about it."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from polytune.errors import DataError
from polytune.fingerprint import Json
from polytune.formats.interface import FORMATS, Finding, Format

VERSION = "bedrock-conversation-2024"


class Bad(NamedTuple):
    """A row and its findings, as `severity rule field: message`."""

    name: str
    row: Json
    findings: tuple[str, ...]


def bad(name: str, row: Json, *findings: str) -> Bad:
    """A row of the gallery."""
    return Bad(name, row, findings)


def says(role: str, *blocks: Json) -> dict[str, Json]:
    """A message."""
    return {"role": role, "content": list(blocks)}


def row(*messages: Json, **more: Json) -> dict[str, Json]:
    """A row with the right version."""
    return {"schemaVersion": VERSION, **more, "messages": list(messages)}


def image(uri: str = "s3://b/k.png", kind: str = "png") -> dict[str, Json]:
    """An image block."""
    return {"image": {"format": kind, "source": {"s3Location": {"uri": uri}}}}


USER = says("user", {"text": "hi"})
ANSWER = says("assistant", {"text": "yo"})
VIDEO: Json = {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/k.mp4"}}}}
THOUGHT: Json = {"reasoningContent": {"reasoningText": {"text": "hm"}}}


def spec(name: str = "play", **more: Json) -> Json:
    """A tool's declaration."""
    schema: Json = {"json": {"type": "object"}}
    return {"toolSpec": {"name": name, "description": "plays", "inputSchema": schema, **more}}


def use(identifier: str = "1", name: str = "play") -> Json:
    """A call of a tool."""
    return {"toolUse": {"toolUseId": identifier, "name": name, "input": {}}}


def result(identifier: str = "1", *content: Json) -> Json:
    """What the tool said."""
    said: list[Json] = list(content) or [{"text": "done"}]
    return {"toolResult": {"toolUseId": identifier, "content": said}}


def tools(*specs: Json) -> dict[str, Json]:
    """The tools of a row."""
    return {"toolConfig": {"tools": list(specs)}}


GALLERY = [
    bad("array", [1, 2], ("error not-an-object -: expected an object, found a list")),
    bad("string", "hello", ("error not-an-object -: expected an object, found a string")),
    bad("number", 1, ("error not-an-object -: expected an object, found a number")),
    bad("null", None, ("error not-an-object -: expected an object, found null")),
    bad(
        "empty object",
        {},
        "warning schema-version schemaVersion: expected bedrock-conversation-2024, found nothing",
        "error too-few-messages messages: 'messages' is missing",
    ),
    bad(
        "no version",
        {"messages": [USER, ANSWER]},
        "warning schema-version schemaVersion: expected bedrock-conversation-2024, found nothing",
    ),
    bad(
        "other version",
        {"schemaVersion": "v1", "messages": [USER, ANSWER]},
        "warning schema-version schemaVersion: expected bedrock-conversation-2024, found 'v1'",
    ),
    bad(
        "misspelt version",
        {"schemaVersion": "bedrock-conv", "messages": [USER, ANSWER]},
        "warning schema-version schemaVersion: expected bedrock-conversation-2024, found 'bedrock-conv'",
    ),
    bad(
        "version not text",
        {"schemaVersion": 2024, "messages": [USER, ANSWER]},
        "warning schema-version schemaVersion: expected bedrock-conversation-2024, found '2024'",
    ),
    bad(
        "extra key",
        row(USER, ANSWER, metadata={"style": "techno"}),
        "error unknown-key metadata: unknown key 'metadata'",
    ),
    bad(
        "extra key in message",
        row({**USER, "name": "x"}, ANSWER),
        "error unknown-key messages[0].name: unknown key 'name'",
    ),
    bad(
        "extra key in block",
        row(says("user", {"text": "hi", "cachePoint": {}}), ANSWER),
        "error unknown-key messages[0].content[0].cachePoint: unknown key 'cachePoint'",
    ),
    bad(
        "extra key in system",
        row(USER, ANSWER, system=[{"text": "s", "lang": "en"}]),
        "error unknown-key system[0].lang: unknown key 'lang'",
    ),
    bad(
        "system string",
        row(USER, ANSWER, system="be brief"),
        "error content-shape system: expected a list, found a string",
    ),
    bad(
        "system null",
        row(USER, ANSWER, system=None),
        "error content-shape system: expected a list, found null",
    ),
    bad(
        "system empty list",
        row(USER, ANSWER, system=[]),
        "warning empty-system system: the system prompt is an empty list",
    ),
    bad(
        "system empty text",
        row(USER, ANSWER, system=[{"text": ""}]),
        "error empty-text system[0].text: the text is empty",
    ),
    bad(
        "system of strings",
        row(USER, ANSWER, system=["be brief"]),
        ('error content-shape system[0]: expected {"text": "..."}, found a string'),
    ),
    bad(
        "messages missing",
        {"schemaVersion": VERSION},
        "error too-few-messages messages: 'messages' is missing",
    ),
    bad(
        "messages object",
        {"schemaVersion": VERSION, "messages": {"role": "user"}},
        "error too-few-messages messages: expected a list, found an object",
    ),
    bad("no messages", row(), ("error too-few-messages messages: 0 of at least 2 messages")),
    bad(
        "one message",
        row(USER),
        "error too-few-messages messages: 1 of at least 2 messages",
        "error last-role messages[0].role: the last turn is the user's",
    ),
    bad(
        "message not object",
        row("hi", ANSWER),
        "error wrong-type messages[0]: expected an object, found a string",
    ),
    bad(
        "role missing",
        row({"content": [{"text": "hi"}]}, ANSWER),
        "error role messages[0].role: expected user or assistant, found nothing",
    ),
    bad(
        "role null",
        row({"role": None, "content": [{"text": "hi"}]}, ANSWER),
        "error role messages[0].role: expected user or assistant, found nothing",
    ),
    bad(
        "role unknown",
        row(USER, says("bot", {"text": "yo"})),
        "error role messages[1].role: expected user or assistant, found 'bot'",
    ),
    bad(
        "role capital",
        row(says("User", {"text": "hi"}), ANSWER),
        "error role messages[0].role: expected user or assistant, found 'User'",
    ),
    bad(
        "role system",
        row(says("system", {"text": "s"}), USER, ANSWER),
        "error role messages[0].role: expected user or assistant, found 'system'",
    ),
    bad(
        "assistant first",
        row(ANSWER, USER, ANSWER),
        "error first-role messages[0].role: the first turn is the assistant's",
    ),
    bad("two users", row(USER, USER, ANSWER), ("error role-order messages[1].role: two user turns in a row")),
    bad(
        "user last",
        row(USER, ANSWER, USER),
        "error last-role messages[2].role: the last turn is the user's",
    ),
    bad(
        "content missing",
        row({"role": "user"}, ANSWER),
        "error content-shape messages[0].content: 'content' is missing",
    ),
    bad(
        "content string",
        row({"role": "user", "content": "hi"}, ANSWER),
        "error content-shape messages[0].content: expected a list, found a string",
    ),
    bad(
        "content empty",
        row(USER, says("assistant")),
        "error empty-text messages[1].content: the message says nothing",
    ),
    bad(
        "content of strings",
        row(says("user", "hi"), ANSWER),
        "error content-shape messages[0].content[0]: expected an object, found a string",
    ),
    bad(
        "text empty",
        row(USER, says("assistant", {"text": ""})),
        "error empty-text messages[1].content[0].text: the text is empty",
    ),
    bad(
        "text blank",
        row(USER, says("assistant", {"text": " \n\t"})),
        "error empty-text messages[1].content[0].text: the text is empty",
    ),
    bad(
        "text number",
        row(USER, says("assistant", {"text": 7})),
        "error wrong-type messages[1].content[0].text: expected a string, found a number",
    ),
    bad(
        "text null",
        row(USER, says("assistant", {"text": None})),
        "error wrong-type messages[1].content[0].text: expected a string, found null",
    ),
    bad(
        "block empty",
        row(USER, says("assistant", {})),
        "error block-shape messages[1].content[0]: the block holds no content",
    ),
    bad(
        "block unknown",
        row(says("user", {"audio": {}}), ANSWER),
        "error unknown-key messages[0].content[0].audio: unknown key 'audio'",
        "error block-shape messages[0].content[0]: the block holds no content",
    ),
    bad(
        "two kinds in one block",
        row(says("user", {"text": "hi", **image()}), ANSWER),
        "error block-shape messages[0].content[0]: one block holds text and image",
    ),
    bad(
        "image from assistant",
        row(USER, says("assistant", {"text": "yo"}, image())),
        "error block-place messages[1].content[1].image: image in a turn of the assistant",
    ),
    bad(
        "image format",
        row(says("user", {"text": "hi"}, image(kind="bmp")), ANSWER),
        "error media-format messages[0].content[1].image.format: unknown image format 'bmp'",
    ),
    bad(
        "image uri",
        row(says("user", {"text": "hi"}, image("https://b/k")), ANSWER),
        "error media-uri messages[0].content[1].image.source.s3Location.uri: no usable S3 URI",
    ),
    bad(
        "image uri characters",
        row(says("user", {"text": "hi"}, image("s3://b/a k")), ANSWER),
        "error media-uri messages[0].content[1].image.source.s3Location.uri: no usable S3 URI",
    ),
    bad(
        "image bytes",
        row(says("user", {"text": "hi"}, {"image": {"format": "png", "source": {"bytes": "aGk="}}}), ANSWER),
        "error media-uri messages[0].content[1].image.source.s3Location.uri: no usable S3 URI",
    ),
    bad(
        "image not object",
        row(says("user", {"text": "hi"}, {"image": "s3://b/k.png"}), ANSWER),
        "error block-shape messages[0].content[1].image: expected an object, found a string",
    ),
    bad(
        "two system texts",
        row(USER, ANSWER, system=[{"text": "a"}, {"text": "b"}]),
        "warning many-systems system: 2 system texts",
    ),
    bad(
        "video and image",
        row(says("user", {"text": "hi"}, VIDEO, image()), ANSWER),
        "error media-mixed messages: a video beside an image or document",
    ),
    bad(
        "reasoning only",
        row(USER, says("assistant", THOUGHT)),
        "error empty-text messages[1].content: the message says nothing",
    ),
    bad(
        "reasoning empty",
        row(USER, says("assistant", {"reasoningContent": {}}, {"text": "yo"})),
        "error empty-text messages[1].content[0].reasoningContent: the reasoning has no text",
    ),
    bad(
        "reasoning from user",
        row(says("user", THOUGHT, {"text": "hi"}), ANSWER),
        "error block-place messages[0].content[0].reasoningContent: reasoningContent in a turn of the user",
    ),
    bad(
        "tool use from user",
        row(says("user", {"toolUse": {"toolUseId": "1", "name": "f", "input": {}}}), ANSWER),
        "error block-place messages[0].content[0].toolUse: toolUse in a turn of the user",
    ),
    bad(
        "tool result from assistant",
        row(USER, says("assistant", {"toolResult": {"toolUseId": "1", "content": []}})),
        "error block-place messages[1].content[0].toolResult: toolResult in a turn of the assistant",
    ),
    bad(
        "tool config empty",
        row(USER, ANSWER, toolConfig={}),
        "error tool-config toolConfig.tools: there are no tools",
    ),
    bad(
        "tool without anything",
        row(USER, ANSWER, **tools({"toolSpec": {}})),
        "error tool-config toolConfig.tools[0].toolSpec.name: the tool has no name",
        "error tool-config toolConfig.tools[0].toolSpec.description: the tool has no description",
        "error tool-config toolConfig.tools[0].toolSpec.inputSchema.json: "
        "the tool's input has no JSON Schema with a type",
    ),
    bad(
        "two tools of one name",
        row(USER, ANSWER, **tools(spec(), spec())),
        "error tool-config toolConfig.tools[1].toolSpec.name: two tools are called 'play'",
    ),
    bad(
        "undeclared tool",
        row(USER, says("assistant", use(name="stop")), **tools(spec())),
        "error tool-use messages[1].content[0].toolUse.name: toolConfig has no tool 'stop'",
    ),
    bad(
        "tool without config",
        row(USER, says("assistant", use())),
        "error tool-use messages[1].content[0].toolUse.name: toolConfig has no tool 'play'",
    ),
    bad(
        "tool id used twice",
        row(USER, says("assistant", use(), use()), **tools(spec())),
        "error tool-use messages[1].content[1].toolUse.toolUseId: "
        "the toolUseId is missing or was used before",
    ),
    bad(
        "result of nothing",
        row(says("user", result("9")), ANSWER, **tools(spec())),
        "error tool-result messages[0].content[0].toolResult.toolUseId: "
        "no toolUse before waits for the result '9'",
    ),
    bad(
        "result twice",
        row(USER, says("assistant", use()), says("user", result(), result()), ANSWER, **tools(spec())),
        "error tool-result messages[2].content[1].toolResult.toolUseId: "
        "no toolUse before waits for the result '1'",
    ),
    bad(
        "result of two kinds",
        row(
            USER,
            says("assistant", use()),
            says("user", result("1", {"text": "a", "json": {}})),
            ANSWER,
            **tools(spec()),
        ),
        "error tool-result messages[2].content[0].toolResult.content[0]: "
        "the result is neither a text nor JSON",
    ),
    bad(
        "openai row",
        {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "yo"},
            ]
        },
        "warning schema-version schemaVersion: expected bedrock-conversation-2024, found nothing",
        "error role messages[0].role: expected user or assistant, found 'system'",
        "error content-shape messages[0].content: expected a list, found a string",
        "error content-shape messages[1].content: expected a list, found a string",
        "error content-shape messages[2].content: expected a list, found a string",
    ),
    bad(
        "prompt and completion",
        {"prompt": "hi", "completion": "yo"},
        "error unknown-key prompt: unknown key 'prompt'",
        "error unknown-key completion: unknown key 'completion'",
        "warning schema-version schemaVersion: expected bedrock-conversation-2024, found nothing",
        "error too-few-messages messages: 'messages' is missing",
    ),
]


def spoken(finding: Finding) -> str:
    """A finding as the gallery writes it."""
    return f"{finding.severity} {finding.rule} {finding.field or '-'}: {finding.message}"


def layout() -> Format:
    """The format under test."""
    return FORMATS.load(VERSION)()


@pytest.mark.parametrize("bad", GALLERY, ids=lambda bad: bad.name)
def test_a_bad_row_is_explained_exactly(bad: Bad) -> None:
    """Each bad row gets these findings, in this order, on its own line, each with a fix."""
    reading = layout().check(json.dumps(bad.row).encode(), 7)

    assert tuple(map(spoken, reading.findings)) == bad.findings
    assert {finding.line for finding in reading.findings} == {7}
    assert all(finding.fix.endswith(".") for finding in reading.findings)


def test_a_row_with_media_and_reasoning_in_their_places_has_no_findings() -> None:
    """Images, reasoning and tools that are well-formed are reported as blocks, not as mistakes."""
    line = json.dumps(
        row(says("user", {"text": "look"}, image()), says("assistant", THOUGHT, {"text": "a cat"}))
    )

    reading = layout().check(line.encode(), 1)

    assert reading.findings == ()
    assert [(block.kind, block.field) for block in reading.blocks] == [
        ("image", "messages[0].content[1].image"),
        ("reasoningContent", "messages[1].content[0].reasoningContent"),
    ]


def test_every_text_has_its_exact_path() -> None:
    """Passages name system, message and block, reasoning included."""
    value = row(
        says("user", image(), {"text": "look"}),
        says("assistant", THOUGHT, {"text": "cat"}),
        system=[{"text": "brief"}],
    )

    passages = layout().passages(value)

    assert [(passage.field, passage.role, passage.text) for passage in passages] == [
        ("system[0].text", "system", "brief"),
        ("messages[0].content[1].text", "user", "look"),
        ("messages[1].content[0].reasoningContent.reasoningText.text", "assistant", "hm"),
        ("messages[1].content[1].text", "assistant", "cat"),
    ]


def test_a_long_conversation_is_read() -> None:
    """Four alternating turns are one conversation; a fifth by the user is an error."""
    good = json.dumps(row(USER, ANSWER, USER, ANSWER)).encode()
    odd = json.dumps(row(USER, ANSWER, USER, ANSWER, USER)).encode()

    assert [turn.role for turn in layout().decode(good).turns] == ["user", "assistant", "user", "assistant"]
    with pytest.raises(
        DataError, match=r"messages\[4\].role: the last turn is the user's. End with the assistant's"
    ):
        layout().decode(odd)


def test_tools_in_their_places_have_no_findings() -> None:
    """A declared tool, its call, its result and the answer after it: blocks, and nothing wrong."""
    line = json.dumps(
        row(
            USER,
            says("assistant", {"text": "wait"}, use()),
            says("user", result("1", {"json": {"ok": True}})),
            says("assistant", {"text": "done"}, use("2")),
            **tools(spec()),
        )
    )

    reading = layout().check(line.encode(), 1)

    assert reading.findings == ()
    assert [block.kind for block in reading.blocks] == ["toolConfig", "toolUse", "toolResult", "toolUse"]


def test_media_are_listed_with_their_addresses() -> None:
    """A reference has its JSON path, kind, address and format; what is not in its place is left out."""
    value = row(says("user", {"text": "look"}, image("s3://b/a.png"), {"image": 3}), ANSWER)

    (reference,) = layout().references(value)

    assert (reference.kind, reference.uri, reference.format) == ("image", "s3://b/a.png", "png")
    assert reference.field == "messages[0].content[1].image.source.s3Location.uri"
    assert layout().references_of(json.dumps(row(says("user", VIDEO), ANSWER)).encode())[0].kind == "video"
    assert layout().references([]) == layout().references({"messages": 3}) == []


@pytest.mark.parametrize("turns", [(USER,), (USER, ANSWER), (USER, ANSWER, USER)])
def test_answers_may_be_optional(turns: tuple[Json, ...]) -> None:
    """Prompts for a teacher to answer are right where answers are optional; the fast way agrees."""
    asking = FORMATS.load(VERSION)("optional")
    line = json.dumps(row(*turns)).encode()

    assert asking.check(line, 1).findings == asking.diagnose(row(*turns), 1).findings == ()
    assert asking.clean(line) == asking.diagnose(row(*turns), 1).conversation
    assert asking.encode(asking.decode(line)) == line.replace(b": ", b":").replace(b", ", b",")
    assert bool(layout().check(line, 1).findings) == bool(len(turns) % 2)


def test_optional_answers_leave_the_other_rules_alone() -> None:
    """Order and texts are judged as ever."""
    asking = FORMATS.load(VERSION)("optional")

    wrong = [asking.check(json.dumps(value).encode(), 1) for value in (row(), row(ANSWER), row(USER, USER))]

    assert [reading.findings[0].rule for reading in wrong] == ["too-few-messages", "first-role", "role-order"]
