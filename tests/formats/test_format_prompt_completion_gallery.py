"""Rows of prompt-completion that are wrong, and what has no place in that layout."""

from __future__ import annotations

import json

import pytest

from polytune.errors import DataError
from polytune.fingerprint import Json
from polytune.formats.interface import FORMATS, Conversation, Turn

GALLERY: list[tuple[Json, list[str]]] = [
    ([], ["not-an-object : expected an object, found a list"]),
    ({}, ["missing-key prompt: 'prompt' is missing", "missing-key completion: 'completion' is missing"]),
    ({"prompt": "hi"}, ["missing-key completion: 'completion' is missing"]),
    ({"prompt": "hi", "completion": ""}, ["empty-text completion: the text is empty"]),
    ({"prompt": " \n", "completion": "yo"}, ["empty-text prompt: the text is empty"]),
    ({"prompt": 1, "completion": "yo"}, ["wrong-type prompt: expected a string, found a number"]),
    ({"prompt": "hi", "completion": True}, ["wrong-type completion: expected a string, found a boolean"]),
    ({"prompt": "hi", "completion": "yo", "id": 3}, ["unknown-key id: unknown key 'id'"]),
    (
        {"messages": [{"role": "user"}]},
        [
            "unknown-key messages: unknown key 'messages'",
            "missing-key prompt: 'prompt' is missing",
            "missing-key completion: 'completion' is missing",
        ],
    ),
]


@pytest.mark.parametrize(("row", "expected"), GALLERY, ids=lambda value: json.dumps(value)[:40])
def test_a_bad_row_is_explained_exactly(row: Json, expected: list[str]) -> None:
    """Each bad row gets these errors, in this order, and cannot be decoded."""
    layout = FORMATS.load("prompt-completion")()
    line = json.dumps(row).encode()

    findings = layout.check(line, 3).findings

    assert [f"{finding.rule} {finding.field}: {finding.message}" for finding in findings] == expected
    assert {(finding.severity, finding.line) for finding in findings} == {("error", 3)}
    with pytest.raises(DataError, match="not a prompt-completion row"):
        layout.decode(line)


def test_a_system_prompt_is_written_before_the_prompt() -> None:
    """The layout has no system field, so the system prompt and a blank line come first."""
    conversation = Conversation("Be brief.", (Turn("user", "hi"), Turn("assistant", "yo")))

    line = FORMATS.load("prompt-completion")().encode(conversation)

    assert line == b'{"prompt":"Be brief.\\n\\nhi","completion":"yo"}'


def test_a_longer_conversation_is_refused_with_the_remedy() -> None:
    """More than one exchange does not fit, and the message names the layout that takes it."""
    turns = (Turn("user", "a"), Turn("assistant", "b")) * 2

    with pytest.raises(DataError, match=r"not 4 turns\. Use bedrock-conversation-2024"):
        FORMATS.load("prompt-completion")().encode(Conversation(None, turns))


def test_the_texts_are_named_by_their_keys() -> None:
    """Passages of a row are its prompt and its completion; other values have none."""
    layout = FORMATS.load("prompt-completion")()

    found = [(p.field, p.role, p.text) for p in layout.passages({"prompt": "hi", "completion": "yo"})]

    assert found == [("prompt", "user", "hi"), ("completion", "assistant", "yo")]
    assert layout.passages({"prompt": 1}) == []
    assert layout.passages("hi") == []
