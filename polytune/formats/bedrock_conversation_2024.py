"""`bedrock-conversation-2024`: the conversation rows of Amazon Nova and Llama 3.2/3.3 on Bedrock.

    {"schemaVersion": "bedrock-conversation-2024",
     "system": [{"text": "..."}],                                       optional
     "messages": [{"role": "user", "content": [{"text": "..."}]},
                  {"role": "assistant", "content": [{"text": "..."}]}]}

polytune writes only text. Images, videos, documents, reasoning and tools are read, and their place and shape
are checked; whether a model can be trained on them, and on how many, is in the base model's facts. With
answers optional, a row may end with the user's turn: a prompt for a teacher to answer.

Sources, read 2026-11-21: docs.aws.amazon.com/nova/latest/userguide/fine-tune-prepare-data-understanding.html,
docs.aws.amazon.com/bedrock/latest/userguide/nova-2-sft-data-prep.html, and the validators that AWS
publishes in aws-samples/amazon-nova-samples and aws/nova-forge-sdk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from polytune.formats._blocks import Blocks, content_keys, media_in, reasoning_text
from polytune.formats._turns import alternating, judged_list, judged_order, judged_role, roles
from polytune.formats.interface import (
    Answers,
    Block,
    Conversation,
    Findings,
    Format,
    MediaReference,
    Passage,
    Reading,
    Role,
    Turn,
    kind_of,
    shown,
)

schema_version: Literal["bedrock-conversation-2024"] = "bedrock-conversation-2024"
row_keys = ("schemaVersion", "system", "messages", "toolConfig")
message_keys = ("role", "content")
text_example = '[{"text": "..."}]'


class BedrockText(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A block of text."""

    text: str


class BedrockRowMessage(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One turn in this layout."""

    role: Role
    content: tuple[BedrockText]


class BedrockRow(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """One line with only text, each turn in one block."""

    schemaVersion: Literal["bedrock-conversation-2024"]
    system: tuple[BedrockText] | msgspec.UnsetType = msgspec.UNSET
    messages: tuple[BedrockRowMessage, ...]


encoder = msgspec.json.Encoder()
decoder = msgspec.json.Decoder(BedrockRow)


class BedrockConversation2024(Format):
    """System prompt and alternating turns, each a list of content blocks."""

    name = "bedrock-conversation-2024"

    def encode(self, conversation: Conversation) -> bytes:
        system = msgspec.UNSET if conversation.system is None else (BedrockText(conversation.system),)
        messages = tuple(
            [BedrockRowMessage(turn.role, (BedrockText(turn.text),)) for turn in conversation.turns]
        )
        return encoder.encode(BedrockRow(schemaVersion=schema_version, system=system, messages=messages))

    def exchanges(
        self, systems: Sequence[str | None], prompts: Sequence[str], answers: Sequence[str]
    ) -> list[bytes]:
        # Built from encoded parts: files have few system prompts and one shape of row, so this is much
        # faster than encoding each row as an object.
        openings = {system: _opening(system) for system in set(systems)}
        columns = zip(systems, _encoded(prompts), _encoded(answers), strict=True)
        return [
            b"".join((openings[system], prompt, to_answer, answer, ending))
            for system, prompt, answer in columns
        ]

    def clean(self, line: bytes) -> Conversation | None:
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        system = None
        if row.system is not msgspec.UNSET:
            system = row.system[0].text
            if not system or system.isspace():
                return None
        turns = _exchange(row.messages) if len(row.messages) == 2 else self._alternating(row.messages)
        return Conversation(system, turns) if turns else None

    def diagnose(self, row: object, line: int) -> Reading:
        findings = Findings(line)
        if not isinstance(row, dict):
            fix = 'Write {"schemaVersion": ..., "messages": [...]}.'
            findings.error("not-an-object", "", f"expected an object, found {kind_of(row)}", fix)
            return Reading(None, tuple(findings.found))
        walk = BedrockRowCheck(findings, Blocks(findings, row), self.answers)
        walk.envelope(row)
        system = walk.system(row["system"]) if "system" in row else None
        turns = walk.messages(row.get("messages"))
        walk.blocks.finish()
        conversation = Conversation(system, turns) if turns is not None else None
        return Reading(conversation, tuple(findings.found), tuple(walk.blocks.found))

    def passages(self, row: object) -> list[Passage]:
        if not isinstance(row, dict):
            return []
        found = [Passage(f"system{place}", "system", text) for place, text in _texts(row.get("system"))]
        messages = row.get("messages")
        for index, message in enumerate(messages if isinstance(messages, list) else ()):
            if isinstance(message, dict) and message.get("role") in roles:
                prefix = f"messages[{index}].content"
                texts = _texts(message.get("content"))
                found += [Passage(prefix + place, message["role"], text) for place, text in texts]
        return found

    def references(self, row: object) -> list[MediaReference]:
        messages = row.get("messages") if isinstance(row, dict) else None
        contents = [
            (message.get("content") if isinstance(message, dict) else None, f"messages[{index}].content")
            for index, message in enumerate(messages if isinstance(messages, list) else ())
        ]
        return [found for content, field in contents for found in media_in(content, field)]

    def _alternating(self, messages: tuple[BedrockRowMessage, ...]) -> tuple[Turn, ...]:
        """The turns of a longer row; () when they are not valid."""
        turns = tuple([Turn(message.role, message.content[0].text) for message in messages])
        return turns if alternating(turns, self.answers) else ()


to_answer = b'}]},{"role":"assistant","content":[{"text":'
ending = b"}]}]}"


def _encoded(texts: Sequence[str]) -> list[bytes]:
    """Each text as JSON, which contains no raw newlines."""
    return encoder.encode_lines(texts).split(b"\n")[:-1]


def _opening(system: str | None) -> bytes:
    """The beginning of a row, up to its prompt."""
    given = b"" if system is None else b'"system":[{"text":%b}],' % encoder.encode(system)
    return b'{"schemaVersion":"%b",%b"messages":[{"role":"user","content":[{"text":' % (
        schema_version.encode(),
        given,
    )


def _exchange(messages: tuple[BedrockRowMessage, ...]) -> tuple[Turn, ...]:
    """The two turns of a single exchange, as in almost every row; () when they are not valid."""
    first, second = messages
    asked, answered = first.content[0].text, second.content[0].text
    if first.role != "user" or second.role != "assistant":
        return ()
    if not asked or not answered or asked.isspace() or answered.isspace():
        return ()
    return (Turn("user", asked), Turn("assistant", answered))


class BedrockTexts(NamedTuple):
    """Role and text of one message."""

    role: Role | None
    text: str


class BedrockRowCheck:
    """One pass over a row that the typed decoder rejected; reports every problem."""

    def __init__(self, findings: Findings, blocks: Blocks, answers: Answers) -> None:
        self.findings = findings
        self.blocks = blocks
        self.answers = answers

    def envelope(self, row: dict[str, object]) -> None:
        """The keys and the version have been checked."""
        self.findings.unknown_keys(row, row_keys, "")
        version = row.get("schemaVersion")
        if version != schema_version:
            what = f"'{shown(str(version))}'" if version is not None else "nothing"
            fix = f'Write "schemaVersion": "{schema_version}".'
            self.findings.warning(
                "schema-version", "schemaVersion", f"expected {schema_version}, found {what}", fix
            )

    def system(self, system: object) -> str | None:
        """The system prompt, which is checked; None when it has no text."""
        if not isinstance(system, list):
            fix = f'Write "system": {text_example}.'
            self.findings.error("content-shape", "system", f"expected a list, found {kind_of(system)}", fix)
            return None
        if not system:
            fix = "Leave 'system' out, or give it a text."
            self.findings.warning("empty-system", "system", "the system prompt is an empty list", fix)
            return None
        if len(system) > 1:
            what, fix = f"{len(system)} system texts", "Write one: some models take no more."
            self.findings.warning("many-systems", "system", what, fix)
        texts = [self.text_block(item, f"system[{index}]") for index, item in enumerate(system)]
        return "\n".join(filter(None, texts)) or None

    def text_block(self, item: object, field: str) -> str:
        """The text of a block that may contain nothing else."""
        if not isinstance(item, dict) or "text" not in item:
            fix = f"Write {text_example}."
            self.findings.error(
                "content-shape", field, f"expected {text_example[1:-1]}, found {kind_of(item)}", fix
            )
            return ""
        self.findings.unknown_keys(item, ("text",), field)
        return self.findings.text(item["text"], f"{field}.text")

    def messages(self, messages: object) -> tuple[Turn, ...] | None:
        """The turns, which are checked; None when any message has no usable role."""
        listed = judged_list(self.findings, messages, 2 if self.answers == "required" else 1)
        if listed is None:
            return None
        spoken = [self.message(message, f"messages[{i}]") for i, message in enumerate(listed)]
        judged_order(self.findings, [one.role for one in spoken], self.answers)
        turns = [Turn(one.role, one.text) for one in spoken if one.role is not None]
        return tuple(turns) if turns and len(turns) == len(spoken) else None

    def message(self, message: object, field: str) -> BedrockTexts:
        """Role and text of one message, which is checked."""
        if not isinstance(message, dict):
            fix = 'Write {"role": ..., "content": [...]}.'
            self.findings.error("wrong-type", field, f"expected an object, found {kind_of(message)}", fix)
            return BedrockTexts(None, "")
        self.findings.unknown_keys(message, message_keys, field)
        system_place = f'"system": {text_example}'
        role = judged_role(self.findings, message.get("role"), f"{field}.role", system_place)
        return BedrockTexts(role, self.content(message.get("content"), role, f"{field}.content"))

    def content(self, content: object, role: Role | None, field: str) -> str:
        """The text of a message, whose blocks are checked."""
        if not isinstance(content, list):
            what = "'content' is missing" if content is None else f"expected a list, found {kind_of(content)}"
            self.findings.error("content-shape", field, what, f'Write "content": {text_example}.')
            return ""
        texts = [self.block(item, role, f"{field}[{index}]") for index, item in enumerate(content)]
        if not content or all(_only(item, "reasoningContent") for item in content):
            self.findings.error(
                "empty-text", field, "the message says nothing", "Write the text, or drop the row."
            )
        return "\n".join(filter(None, texts))

    def block(self, item: object, role: Role | None, field: str) -> str:
        """The text of one block; '' for other content."""
        if not isinstance(item, dict):
            self.findings.error(
                "content-shape",
                field,
                f"expected an object, found {kind_of(item)}",
                f"Write {text_example[1:-1]}.",
            )
            return ""
        self.findings.unknown_keys(item, content_keys, field)
        kinds = [key for key in content_keys if key in item]
        if len(kinds) != 1:
            what = f"one block holds {' and '.join(kinds)}" if kinds else "the block holds no content"
            self.findings.error("block-shape", field, what, "Give each block exactly one kind of content.")
        for kind in kinds:
            if kind != "text":
                self.blocks.add(Block(kind, f"{field}.{kind}"), item[kind], role)
        return self.findings.text(item["text"], f"{field}.text") if "text" in kinds else ""


def _only(item: object, kind: str) -> bool:
    return isinstance(item, dict) and set(item) == {kind}


def _texts(content: object) -> list[tuple[str, str]]:
    """The texts in a list of blocks, each with the end of its JSON path."""
    found = []
    for index, item in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(item, dict):
            continue
        if isinstance(item.get("text"), str):
            found.append((f"[{index}].text", item["text"]))
        reasoning = reasoning_text(item.get("reasoningContent"))
        if reasoning is not None:
            found.append((f"[{index}].reasoningContent.reasoningText.text", reasoning))
    return found
