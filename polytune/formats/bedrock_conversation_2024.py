"""`bedrock-conversation-2024`: the conversation rows of Amazon Nova and Llama 3.2/3.3 on Bedrock.

    {"schemaVersion": "bedrock-conversation-2024",
     "system": [{"text": "..."}],                                       optional
     "messages": [{"role": "user", "content": [{"text": "..."}]},
                  {"role": "assistant", "content": [{"text": "..."}]}]}

polytune writes text only. Images, videos, documents, reasoning and tools are read and checked for
place and shape; whether they may be trained on is the base model's business.

Sources, read 2026-11-21: docs.aws.amazon.com/nova/latest/userguide/fine-tune-prepare-data-understanding.html,
docs.aws.amazon.com/bedrock/latest/userguide/nova-2-sft-data-prep.html, and the validators that AWS
publishes in aws-samples/amazon-nova-samples and aws/nova-forge-sdk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Literal, NamedTuple, get_args

import msgspec

from polytune.formats.interface import (
    Block,
    Conversation,
    Findings,
    Format,
    Passage,
    Reading,
    Role,
    Turn,
    kind_of,
    shown,
)

schema_version: Literal["bedrock-conversation-2024"] = "bedrock-conversation-2024"
roles: tuple[Role, Role] = get_args(Role)
row_keys = ("schemaVersion", "system", "messages", "toolConfig")
message_keys = ("role", "content")
media_formats = {
    "image": ("png", "jpeg", "gif", "webp"),
    "video": ("mov", "mkv", "mp4", "webm"),
    "document": ("pdf",),
}
most_per_row = {"image": 10, "video": 1, "document": 1}
owner_of = {"reasoningContent": "assistant", "toolUse": "assistant", "toolResult": "user"}
"""Who may send a kind of content; media are the user's."""
content_keys = ("text", *media_formats, *owner_of)
media_uri = re.compile(r"s3://[\w\-/.]+", re.ASCII)
text_example = '[{"text": "..."}]'


class Text(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A block of text."""

    text: str


class Message(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One turn as the layout has it."""

    role: Role
    content: tuple[Text]


class Row(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """One line that holds nothing but text, each turn in one block."""

    schemaVersion: Literal["bedrock-conversation-2024"]
    system: tuple[Text] | msgspec.UnsetType = msgspec.UNSET
    messages: tuple[Message, ...]


encoder = msgspec.json.Encoder()
decoder = msgspec.json.Decoder(Row)


class BedrockConversation2024(Format):
    """System prompt and alternating turns, each a list of content blocks."""

    name = "bedrock-conversation-2024"

    def encode(self, conversation: Conversation) -> bytes:
        system = msgspec.UNSET if conversation.system is None else (Text(conversation.system),)
        messages = tuple([Message(turn.role, (Text(turn.text),)) for turn in conversation.turns])
        return encoder.encode(Row(schemaVersion=schema_version, system=system, messages=messages))

    def exchanges(
        self, systems: Sequence[str | None], prompts: Sequence[str], answers: Sequence[str]
    ) -> list[bytes]:
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
        turns = _exchange(row.messages) if len(row.messages) == 2 else _alternating(row.messages)
        return Conversation(system, turns) if turns else None

    def diagnose(self, row: object, line: int) -> Reading:
        findings = Findings(line)
        if not isinstance(row, dict):
            fix = 'Write {"schemaVersion": ..., "messages": [...]}.'
            findings.error("not-an-object", "", f"expected an object, found {kind_of(row)}", fix)
            return Reading(None, tuple(findings.found))
        walk = Walk(findings)
        walk.envelope(row)
        system = walk.system(row["system"]) if "system" in row else None
        turns = walk.messages(row.get("messages"))
        walk.media()
        conversation = Conversation(system, turns) if turns is not None else None
        return Reading(conversation, tuple(findings.found), tuple(walk.blocks))

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


to_answer = b'}]},{"role":"assistant","content":[{"text":'
ending = b"}]}]}"


def _encoded(texts: Sequence[str]) -> list[bytes]:
    """Each text as JSON, in which there are no newlines."""
    return encoder.encode_lines(texts).split(b"\n")[:-1]


def _opening(system: str | None) -> bytes:
    """A row up to its prompt."""
    given = b"" if system is None else b'"system":[{"text":%b}],' % encoder.encode(system)
    return b'{"schemaVersion":"%b",%b"messages":[{"role":"user","content":[{"text":' % (
        schema_version.encode(),
        given,
    )


def _exchange(messages: tuple[Message, ...]) -> tuple[Turn, ...]:
    """The two turns of nearly every row; () when something is wrong with them."""
    first, second = messages
    asked, answered = first.content[0].text, second.content[0].text
    if first.role != "user" or second.role != "assistant":
        return ()
    if not asked or not answered or asked.isspace() or answered.isspace():
        return ()
    return (Turn("user", asked), Turn("assistant", answered))


def _alternating(messages: tuple[Message, ...]) -> tuple[Turn, ...]:
    """The turns of a longer row; () when something is wrong with them."""
    pairs = [_exchange(messages[index : index + 2]) for index in range(0, len(messages) - 1, 2)]
    return tuple(chain.from_iterable(pairs)) if all(pairs) and len(messages) % 2 == 0 else ()


class Spoken(NamedTuple):
    """What one message turned out to be."""

    role: Role | None
    text: str


class Walk:
    """One pass over a row that the typed decoder refused, noting everything wrong on the way."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.blocks: list[Block] = []

    def envelope(self, row: dict[str, object]) -> None:
        """The keys and the version have been judged."""
        self.findings.unknown_keys(row, row_keys, "")
        version = row.get("schemaVersion")
        if version != schema_version:
            what = f"'{shown(str(version))}'" if version is not None else "nothing"
            fix = f'Write "schemaVersion": "{schema_version}".'
            self.findings.warning(
                "schema-version", "schemaVersion", f"expected {schema_version}, found {what}", fix
            )
        if "toolConfig" in row:
            self.blocks.append(Block("toolConfig", "toolConfig"))

    def system(self, system: object) -> str | None:
        """The system prompt, judged; None when it says nothing."""
        if not isinstance(system, list):
            fix = f'Write "system": {text_example}.'
            self.findings.error("content-shape", "system", f"expected a list, found {kind_of(system)}", fix)
            return None
        if not system:
            fix = "Leave 'system' out, or give it a text."
            self.findings.warning("empty-system", "system", "the system prompt is an empty list", fix)
            return None
        texts = [self.text_block(item, f"system[{index}]") for index, item in enumerate(system)]
        return "\n".join(filter(None, texts)) or None

    def text_block(self, item: object, field: str) -> str:
        """The text of a block that may hold nothing else."""
        if not isinstance(item, dict) or "text" not in item:
            fix = f"Write {text_example}."
            self.findings.error(
                "content-shape", field, f"expected {text_example[1:-1]}, found {kind_of(item)}", fix
            )
            return ""
        self.findings.unknown_keys(item, ("text",), field)
        return self.findings.text(item["text"], f"{field}.text")

    def messages(self, messages: object) -> tuple[Turn, ...] | None:
        """The turns, judged; None when some message has no usable role."""
        if not isinstance(messages, list):
            what = (
                "'messages' is missing" if messages is None else f"expected a list, found {kind_of(messages)}"
            )
            fix = 'Write "messages": [{"role": "user", ...}, {"role": "assistant", ...}].'
            self.findings.error("too-few-messages", "messages", what, fix)
            return None
        if len(messages) < 2:
            what = f"{len(messages)} of at least 2 messages"
            self.findings.error(
                "too-few-messages", "messages", what, "Give a user turn and an assistant turn."
            )
        spoken = [self.message(message, f"messages[{i}]") for i, message in enumerate(messages)]
        self.order([one.role for one in spoken])
        turns = [Turn(one.role, one.text) for one in spoken if one.role is not None]
        return tuple(turns) if turns and len(turns) == len(spoken) else None

    def message(self, message: object, field: str) -> Spoken:
        """One message, judged."""
        if not isinstance(message, dict):
            fix = 'Write {"role": ..., "content": [...]}.'
            self.findings.error("wrong-type", field, f"expected an object, found {kind_of(message)}", fix)
            return Spoken(None, "")
        self.findings.unknown_keys(message, message_keys, field)
        role = self.role(message.get("role"), f"{field}.role")
        return Spoken(role, self.content(message.get("content"), role, f"{field}.content"))

    def role(self, role: object, field: str) -> Role | None:
        """The role if it is one; else None and an error."""
        if role == "user" or role == "assistant":
            return "user" if role == "user" else "assistant"
        fix = "Write user or assistant."
        if role == "system":
            fix = f'Move the text to the top: "system": {text_example}.'
        elif isinstance(role, str) and role.lower() in roles:
            fix = f"Write it in lower case: {role.lower()}."
        what = f"'{shown(role)}'" if isinstance(role, str) else "nothing" if role is None else kind_of(role)
        self.findings.error("role", field, f"expected user or assistant, found {what}", fix)
        return None

    def order(self, found: list[Role | None]) -> None:
        """First user, then alternating, last assistant; messages without a role are passed over."""
        if not found:
            return
        if found[0] == "assistant":
            self.findings.error(
                "first-role",
                "messages[0].role",
                "the first turn is the assistant's",
                "Start with a user turn.",
            )
        for index in range(1, len(found)):
            if found[index] is not None and found[index] == found[index - 1]:
                what = f"two {found[index]} turns in a row"
                self.findings.error("role-order", f"messages[{index}].role", what, "Let the turns alternate.")
        if found[-1] == "user":
            field = f"messages[{len(found) - 1}].role"
            self.findings.error(
                "last-role", field, "the last turn is the user's", "End with the assistant's answer."
            )

    def content(self, content: object, role: Role | None, field: str) -> str:
        """The text of a message, its blocks judged."""
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
        """The text of one block, '' when it is something else."""
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
                self.other(Block(kind, f"{field}.{kind}"), item[kind], role)
        return self.findings.text(item["text"], f"{field}.text") if "text" in kinds else ""

    def other(self, block: Block, value: object, role: Role | None) -> None:
        """A block that is not text has been noted, and judged for its place and shape."""
        self.blocks.append(block)
        owner = owner_of.get(block.kind, "user")
        if role is not None and role != owner:
            what = f"{block.kind} in a turn of the {role}"
            self.findings.error("block-place", block.field, what, f"Only the {owner} may send it.")
        if not isinstance(value, dict):
            self.findings.error(
                "block-shape",
                block.field,
                f"expected an object, found {kind_of(value)}",
                "Write the block as the Converse API has it.",
            )
        elif block.kind in media_formats:
            self.medium(block, value)
        elif block.kind == "reasoningContent" and not _reasoning(value):
            self.findings.error(
                "empty-text",
                block.field,
                "the reasoning has no text",
                'Write {"reasoningText": {"text": "..."}}.',
            )

    def medium(self, block: Block, value: dict[str, object]) -> None:
        """An image, video or document has been judged."""
        known = media_formats[block.kind]
        if value.get("format") not in known:
            what = f"unknown {block.kind} format '{shown(str(value.get('format')))}'"
            self.findings.error("media-format", f"{block.field}.format", what, f"Use {', '.join(known)}.")
        source = value.get("source")
        location = source.get("s3Location") if isinstance(source, dict) else None
        uri = location.get("uri") if isinstance(location, dict) else None
        if not isinstance(uri, str) or not media_uri.fullmatch(uri):
            fix = "Give s3://bucket/key with letters, digits, _ - / and . only."
            field = f"{block.field}.source.s3Location.uri"
            self.findings.error("media-uri", field, "no usable S3 URI", fix)

    def media(self) -> None:
        """The row's media have been counted."""
        counts = {kind: sum(block.kind == kind for block in self.blocks) for kind in media_formats}
        for kind, most in most_per_row.items():
            if counts[kind] > most:
                what = f"{counts[kind]} {kind}s in one row"
                self.findings.error("media-count", "messages", what, f"At most {most}.")
        if counts["video"] and (counts["image"] or counts["document"]):
            self.findings.error(
                "media-mixed",
                "messages",
                "a video beside an image or document",
                "Use one kind of media in a dataset.",
            )


def _only(item: object, kind: str) -> bool:
    return isinstance(item, dict) and set(item) == {kind}


def _reasoning(value: dict[str, object]) -> bool:
    inner = value.get("reasoningText")
    text = inner.get("text") if isinstance(inner, dict) else None
    return isinstance(text, str) and bool(text.strip())


def _texts(content: object) -> list[tuple[str, str]]:
    """The texts of a list of blocks, each with the end of its path."""
    found = []
    for index, item in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(item, dict):
            continue
        if isinstance(item.get("text"), str):
            found.append((f"[{index}].text", item["text"]))
        reasoning = item.get("reasoningContent")
        if isinstance(reasoning, dict) and _reasoning(reasoning):
            found.append(
                (f"[{index}].reasoningContent.reasoningText.text", reasoning["reasoningText"]["text"])
            )
    return found
