"""`anthropic-messages`: system prompt and turns as plain strings, the layout of Claude 3 Haiku on Bedrock.

    {"system": "...",                                                  optional
     "messages": [{"role": "user", "content": "..."},
                  {"role": "assistant", "content": "..."}]}

Sources: docs.aws.amazon.com/bedrock/latest/userguide/model-customization-prepare.html and the validator
that AWS publishes in aws-samples/amazon-bedrock-samples (claude-haiku/DataValidation), read 2026-11-21.
"""

from __future__ import annotations

import msgspec

from polytune.formats._turns import alternating, judged_list, judged_order, judged_role, roles, spoken
from polytune.formats.interface import (
    Conversation,
    Findings,
    Format,
    Passage,
    Reading,
    Role,
    Turn,
    kind_of,
)

row_keys = ("system", "messages")
message_keys = ("role", "content")
system_place = '"system": "..."'


class AnthropicRowMessage(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One turn in this layout."""

    role: Role
    content: str


class AnthropicRow(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """One line."""

    system: str | msgspec.UnsetType = msgspec.UNSET
    messages: tuple[AnthropicRowMessage, ...]


encoder = msgspec.json.Encoder()
decoder = msgspec.json.Decoder(AnthropicRow)


class AnthropicMessages(Format):
    """System prompt and alternating turns, each a string."""

    name = "anthropic-messages"

    def encode(self, conversation: Conversation) -> bytes:
        messages = tuple([AnthropicRowMessage(turn.role, turn.text) for turn in conversation.turns])
        system = msgspec.UNSET if conversation.system is None else conversation.system
        return encoder.encode(AnthropicRow(system=system, messages=messages))

    def clean(self, line: bytes) -> Conversation | None:
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        system = None if row.system is msgspec.UNSET else row.system
        if system is not None and (not system or system.isspace()):
            return None
        turns = tuple([Turn(message.role, message.content) for message in row.messages])
        return Conversation(system, turns) if alternating(turns, self.answers) else None

    def diagnose(self, row: object, line: int) -> Reading:
        findings = Findings(line)
        if not isinstance(row, dict):
            fix = 'Write {"messages": [...]}.'
            findings.error("not-an-object", "", f"expected an object, found {kind_of(row)}", fix)
            return Reading(None, tuple(findings.found))
        findings.unknown_keys(row, row_keys, "")
        system = findings.text(row["system"], "system") if "system" in row else None
        least = 2 if self.answers == "required" else 1
        messages = judged_list(findings, row.get("messages"), least)
        if messages is None:
            return Reading(None, tuple(findings.found))
        judged = [_message(findings, message, f"messages[{i}]") for i, message in enumerate(messages)]
        judged_order(findings, [turn.role if turn else None for turn in judged], self.answers)
        turns = tuple([turn for turn in judged if turn is not None])
        readable = bool(turns) and len(turns) == len(judged)
        return Reading(Conversation(system or None, turns) if readable else None, tuple(findings.found))

    def passages(self, row: object) -> list[Passage]:
        if not isinstance(row, dict):
            return []
        system = row.get("system")
        found = [Passage("system", "system", system)] if isinstance(system, str) else []
        return found + spoken(row.get("messages"), roles)


def _message(findings: Findings, message: object, field: str) -> Turn | None:
    """The turn in one message, which is checked; None when it has no usable role."""
    if not isinstance(message, dict):
        fix = 'Write {"role": ..., "content": "..."}.'
        findings.error("wrong-type", field, f"expected an object, found {kind_of(message)}", fix)
        return None
    findings.unknown_keys(message, message_keys, field)
    role = judged_role(findings, message.get("role"), f"{field}.role", system_place)
    content = message.get("content")
    if isinstance(content, list):
        fix = "Write one string: fine-tuning takes no content blocks."
        findings.error("content-shape", f"{field}.content", "expected a string, found a list", fix)
        text = ""
    else:
        text = findings.text(content, f"{field}.content")
    return Turn(role, text) if role is not None else None
