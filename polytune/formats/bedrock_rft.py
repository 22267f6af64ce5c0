"""`bedrock-rft`: prompts with reference answers for a grader, the layout of reinforcement fine-tuning.

    {"id": "...",                                                      optional
     "messages": [{"role": "system", "content": "..."}, {"role": "user", "content": "..."}],
     "reference_answer": "..." or {...},
     "tools": [{"type": "function", "function": {...}}],               optional
     ...}                                                              other keys are passed to the grader

In a conversation, the reference answer is the assistant's last turn; an object is written as JSON.

Sources: docs.aws.amazon.com/bedrock/latest/userguide/rft-prepare-data.html, rft-prepare-data-open-weight.html
and the validators in aws-samples/amazon-nova-samples and aws/nova-forge-sdk, read 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from polytune.errors import DataError
from polytune.formats._functions import judged_tools
from polytune.formats._turns import judged_list, spoken
from polytune.formats.interface import (
    Block,
    Conversation,
    Findings,
    Format,
    Passage,
    Reading,
    Turn,
    kind_of,
    shown,
)

speakers = ("system", "user", "assistant")
message_keys = ("role", "content")
Reference = str | dict[str, object]


class RftMessage(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One message of the prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


class RftRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line without tools; unknown keys are for the grader."""

    id: str | msgspec.UnsetType = msgspec.UNSET
    messages: tuple[RftMessage, ...]
    reference_answer: str | dict[str, object]
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


encoder = msgspec.json.Encoder()
ordered = msgspec.json.Encoder(order="sorted")
decoder = msgspec.json.Decoder(RftRow)


class BedrockRft(Format):
    """One prompt and the reference for its answers per line."""

    name = "bedrock-rft"

    def encode(self, conversation: Conversation) -> bytes:
        turns = conversation.turns
        if len(turns) < 2 or turns[-1].role != "assistant" or turns[-2].role != "user":
            raise DataError(
                f"{self.name}: a row is a prompt that ends with a user turn, and the answer it is compared "
                "with. Give each sample an answer."
            )
        messages = [RftMessage(turn.role, turn.text) for turn in turns[:-1]]
        if conversation.system is not None:
            messages.insert(0, RftMessage("system", conversation.system))
        return encoder.encode(RftRow(messages=tuple(messages), reference_answer=turns[-1].text))

    def clean(self, line: bytes) -> Conversation | None:
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        messages, reference = row.messages, _text(row.reference_answer)
        if row.tools is not msgspec.UNSET or row.id == "" or not reference or reference.isspace():
            return None
        system = messages[0].content if messages and messages[0].role == "system" else None
        turns = tuple(
            [
                Turn(message.role, message.content)
                for message in (messages[1:] if system is not None else messages)
                if message.role != "system"
            ]
        )
        complete = len(turns) + (system is not None) == len(messages)
        if not complete or not turns or turns[-1].role != "user" or _silent(system, turns):
            return None
        return Conversation(system, (*turns, Turn("assistant", reference)))

    def diagnose(self, row: object, line: int) -> Reading:
        findings = Findings(line)
        if not isinstance(row, dict):
            fix = 'Write {"messages": [...], "reference_answer": "..."}.'
            findings.error("not-an-object", "", f"expected an object, found {kind_of(row)}", fix)
            return Reading(None, tuple(findings.found))
        if "id" in row:
            findings.text(row["id"], "id")
        conversation = _judged_prompt(findings, row.get("messages"))
        reference = _judged_reference(findings, row)
        blocks: tuple[Block, ...] = ()
        if "tools" in row:
            judged_tools(findings, row["tools"])
            blocks = (Block("tools", "tools"),)
        if conversation is not None and reference:
            turns = (*conversation.turns, Turn("assistant", reference))
            conversation = msgspec.structs.replace(conversation, turns=turns)
        return Reading(conversation, tuple(findings.found), blocks)

    def passages(self, row: object) -> list[Passage]:
        if not isinstance(row, dict):
            return []
        found, reference = spoken(row.get("messages"), speakers), row.get("reference_answer")
        if isinstance(reference, str):
            found.append(Passage("reference_answer", "assistant", reference))
        return found


def _text(reference: Reference) -> str:
    """The reference as the answer of a conversation; '' when it is empty."""
    # Keys are sorted: equal objects must give equal text, whatever the order of their keys.
    if isinstance(reference, str):
        return reference
    return ordered.encode(reference).decode() if reference else ""


def _silent(system: str | None, turns: tuple[Turn, ...]) -> bool:
    texts = [turn.text for turn in turns] if system is None else [system, *[turn.text for turn in turns]]
    return any(not text or text.isspace() for text in texts)


def _judged_reference(findings: Findings, row: Mapping[str, object]) -> str:
    """The reference as text; '' when there is none."""
    field, reference = "reference_answer", row.get("reference_answer")
    if field not in row:
        fix = "Add it, unless your grader needs none."
        findings.warning("missing-reference", field, "there is no reference answer", fix)
        return ""
    if isinstance(reference, dict) and not reference:
        findings.error("empty-text", field, "the reference is empty", "Write it, or drop the row.")
    if not isinstance(reference, dict):
        return findings.text(reference, field)
    return _text(reference)


def _judged_prompt(findings: Findings, messages: object) -> Conversation | None:
    """The conversation in the messages, which are checked; None when there is no user turn."""
    listed = judged_list(findings, messages, 1)
    if listed is None:
        return None
    system, turns = None, []
    for index, message in enumerate(listed):
        field = f"messages[{index}]"
        if not isinstance(message, dict):
            fix = 'Write {"role": ..., "content": "..."}.'
            findings.error("wrong-type", field, f"expected an object, found {kind_of(message)}", fix)
            continue
        findings.unknown_keys(message, message_keys, field)
        role, text = message.get("role"), findings.text(message.get("content"), f"{field}.content")
        if role == "user" or role == "assistant":
            turns.append(Turn("user" if role == "user" else "assistant", text))
        elif role == "system":
            system = text or None
            if index:
                what, fix = "a system message after the first", "Put the system message first."
                findings.error("role-order", f"{field}.role", what, fix)
        else:
            what = f"expected system, user or assistant, found '{shown(str(role))}'"
            findings.error("role", f"{field}.role", what, "Write system, user or assistant.")
    if not any(turn.role == "user" for turn in turns):
        what, fix = "there is no user turn", "Give the prompt a user turn."
        findings.error("no-user-turn", "messages", what, fix)
        return None
    if turns[-1].role == "assistant":
        what, fix = "the prompt ends with the assistant's turn", "End with the user's, unless you mean it."
        findings.warning("last-role", "messages", what, fix)
    return Conversation(system, tuple(turns))
