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
        "eleven images",
        row(says("user", {"text": "hi"}, *[image()] * 11), ANSWER),
        "error media-count messages: 11 images in one row",
    ),
    bad(
        "two videos",
        row(says("user", {"text": "hi"}, VIDEO, VIDEO), ANSWER),
        "error media-count messages: 2 videos in one row",
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
