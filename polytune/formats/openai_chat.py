"""`openai-chat`: messages of the OpenAI chat API, the layout that most tools write and read.

    {"messages": [{"role": "system", "content": "..."},                optional
                  {"role": "user", "content": "..."},
                  {"role": "assistant", "content": "..."}],
     "tools": [{"type": "function", "function": {...}}]}               optional

polytune writes only text. Content in parts, images, tool calls and their results are read and checked; a
tool's result is not a turn of the conversation.

The layout is OpenAI's own (platform.openai.com/docs/guides/supervised-fine-tuning);
docs.aws.amazon.com/bedrock/latest/userguide/rft-prepare-data-open-weight.html builds on it, read 2026-11-21.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from polytune.formats._functions import judged_tools
from polytune.formats._turns import alternating, judged_list
from polytune.formats.interface import (
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

row_keys = ("messages", "tools", "parallel_tool_calls")
message_keys = ("role", "content", "name", "weight", "tool_calls", "tool_call_id", "refusal")
speakers = ("system", "developer", "user", "assistant", "tool")
example = 'Write {"role": ..., "content": "..."}.'


class OpenAIChatMessage(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One plain message."""

    role: Literal["system", "user", "assistant"]
    content: str


class OpenAIChatRow(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One line with only text."""

    messages: tuple[OpenAIChatMessage, ...]


encoder = msgspec.json.Encoder()
decoder = msgspec.json.Decoder(OpenAIChatRow)


class OpenAIChat(Format):
    """Messages with roles, including the system prompt."""

    name = "openai-chat"

    def encode(self, conversation: Conversation) -> bytes:
        messages = [OpenAIChatMessage(turn.role, turn.text) for turn in conversation.turns]
        if conversation.system is not None:
            messages.insert(0, OpenAIChatMessage("system", conversation.system))
        return encoder.encode(OpenAIChatRow(tuple(messages)))

    def clean(self, line: bytes) -> Conversation | None:
        try:
            messages = decoder.decode(line).messages
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        system = messages[0].content if messages and messages[0].role == "system" else None
        if system is not None and (not system or system.isspace()):
            return None
        turns = []
        for message in messages if system is None else messages[1:]:
            if message.role == "system":
                return None
            turns.append(Turn(message.role, message.content))
        return Conversation(system, tuple(turns)) if alternating(tuple(turns), self.answers) else None

    def diagnose(self, row: object, line: int) -> Reading:
        findings = Findings(line)
        if not isinstance(row, dict):
            what, fix = f"expected an object, found {kind_of(row)}", 'Write {"messages": [...]}.'
            findings.error("not-an-object", "", what, fix)
            return Reading(None, tuple(findings.found))
        findings.unknown_keys(row, row_keys, "")
        walk = OpenAIRowCheck(findings)
        if "tools" in row:
            judged_tools(findings, row["tools"])
            walk.blocks.append(Block("tools", "tools"))
        messages = judged_list(findings, row.get("messages"), 1)
        for index, message in enumerate(messages or ()):
            walk.message(message, f"messages[{index}]")
        if messages is not None:
            walk.order(required=self.answers == "required")
        return Reading(walk.conversation(), tuple(findings.found), tuple(walk.blocks))

    def passages(self, row: object) -> list[Passage]:
        messages = row.get("messages") if isinstance(row, dict) else None
        found = []
        for index, message in enumerate(messages if isinstance(messages, list) else ()):
            role = message.get("role") if isinstance(message, dict) else None
            if role in speakers:
                spoken: Role | Literal["system"] = "user"
                if role == "assistant":
                    spoken = "assistant"
                elif role in ("system", "developer"):
                    spoken = "system"
                for place, text in _texts(message.get("content")):
                    found.append(Passage(f"messages[{index}].content{place}", spoken, text))
        return found

    def references(self, row: object) -> list[MediaReference]:
        messages = row.get("messages") if isinstance(row, dict) else None
        found = []
        for index, message in enumerate(messages if isinstance(messages, list) else ()):
            content = message.get("content") if isinstance(message, dict) else None
            for number, part in enumerate(content if isinstance(content, list) else ()):
                image = part.get("image_url") if isinstance(part, dict) else None
                uri = image.get("url") if isinstance(image, dict) else None
                if isinstance(uri, str) and not uri.startswith("data:"):
                    field = f"messages[{index}].content[{number}].image_url.url"
                    found.append(MediaReference(field, "image", uri, ""))
        return found


class OpenAIRowCheck:
    """One pass over the messages; reports every problem."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.blocks: list[Block] = []
        self.systems: list[str] = []
        self.turns: list[Turn] = []
        self.lost = 0
        """The number of messages without a usable role."""

    def message(self, message: object, field: str) -> None:
        """One message has been checked and recorded."""
        if not isinstance(message, dict):
            what = f"expected an object, found {kind_of(message)}"
            self.findings.error("wrong-type", field, what, example)
            self.lost += 1
            return
        self.findings.unknown_keys(message, message_keys, field)
        role = message.get("role")
        if role not in speakers:
            what = f"expected {', '.join(speakers[:-1])} or {speakers[-1]}, found '{shown(str(role))}'"
            self.findings.error("role", f"{field}.role", what, "Write one of these roles.")
            self.lost += 1
        calls = message.get("tool_calls")
        if calls:
            self.blocks.append(Block("tool_calls", f"{field}.tool_calls"))
        text = self._content(message.get("content"), f"{field}.content", may_be_empty=bool(calls))
        if role == "system" or role == "developer":
            self._system(text, field)
        elif role == "tool":
            self.blocks.append(Block("tool", field))
        elif role == "user" or role == "assistant":
            self.turns.append(Turn("user" if role == "user" else "assistant", text))

    def order(self, *, required: bool) -> None:
        """The order of the roles has been checked."""
        if not any(turn.role == "user" for turn in self.turns):
            what, fix = "there is no user turn", "Give the conversation a user turn."
            self.findings.error("no-user-turn", "messages", what, fix)
        elif required and self.turns[-1].role != "assistant":
            what, fix = "the last turn is the user's", "End with the assistant's answer."
            self.findings.error("last-role", "messages", what, fix)
        tools = any(block.kind == "tool" for block in self.blocks)
        pairs = zip(self.turns, self.turns[1:], strict=False)
        uneven = any(first.role == second.role for first, second in pairs)
        if self.turns and not tools and (uneven or self.turns[0].role == "assistant"):
            what, fix = "the turns do not alternate from a user's", "Some models take no other order."
            self.findings.warning("role-order", "messages", what, fix)

    def conversation(self) -> Conversation | None:
        """The conversation; None when a message has no usable role or there is no user turn."""
        if self.lost or not any(turn.role == "user" for turn in self.turns):
            return None
        return Conversation("\n".join(filter(None, self.systems)) or None, tuple(self.turns))

    def _system(self, text: str, field: str) -> None:
        self.systems.append(text)
        if len(self.systems) > 1 or self.turns:
            what, fix = "a system message after the first message", "Put all of it first."
            self.findings.warning("many-systems", f"{field}.role", what, fix)

    def _content(self, content: object, field: str, *, may_be_empty: bool) -> str:
        if content is None and may_be_empty:
            return ""
        if not isinstance(content, list):
            return self.findings.text(content, field)
        if not content:
            self.findings.error("empty-text", field, "the message says nothing", "Write the text.")
        texts = [self._part(part, f"{field}[{index}]") for index, part in enumerate(content)]
        return "\n".join(filter(None, texts))

    def _part(self, part: object, field: str) -> str:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(kind, str):
            fix = 'Write {"type": "text", "text": "..."}.'
            self.findings.error("content-shape", field, "not a part of a message", fix)
            return ""
        if kind == "text":
            return self.findings.text(part.get("text"), f"{field}.text")
        self.blocks.append(Block(kind, field))
        if not isinstance(part.get(kind), dict):
            what = f"the part has no '{shown(kind)}'"
            self.findings.error("block-shape", field, what, "Write the part as the chat API has it.")
        return ""


def _texts(content: object) -> list[tuple[str, str]]:
    """The texts of a message, each with the end of its JSON path."""
    if isinstance(content, str):
        return [("", content)]
    parts = enumerate(content if isinstance(content, list) else ())
    texts = ((index, part.get("text")) for index, part in parts if isinstance(part, dict))
    return [(f"[{index}].text", text) for index, text in texts if isinstance(text, str)]
