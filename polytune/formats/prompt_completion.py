"""`prompt-completion`: `{"prompt": "...", "completion": "..."}`, the layout of Llama 3.1 on Bedrock.

It has no field for a system prompt and allows no second turn. The system prompt is written before the prompt,
separated by a blank line, and is read back as part of it.

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-customization-prepare.html, read 2026-11-21.
"""

from __future__ import annotations

import msgspec

from polytune.errors import DataError
from polytune.formats.interface import (
    Conversation,
    Findings,
    Format,
    Passage,
    Reading,
    Turn,
    kind_of,
)

keys = ("prompt", "completion")
example = 'Write {"prompt": "...", "completion": "..."}.'


class PromptCompletionRow(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One line."""

    prompt: str
    completion: str


encoder = msgspec.json.Encoder()
decoder = msgspec.json.Decoder(PromptCompletionRow)


class PromptCompletion(Format):
    """One prompt and its completion per line."""

    name = "prompt-completion"

    def encode(self, conversation: Conversation) -> bytes:
        turns = conversation.turns
        if len(turns) != 2 or turns[0].role != "user" or turns[1].role != "assistant":
            raise DataError(
                f"{self.name}: a row is one user turn and one assistant turn, not {len(turns)} turns. "
                "Use bedrock-conversation-2024 for longer conversations."
            )
        system = f"{conversation.system}\n\n" if conversation.system else ""
        return encoder.encode(PromptCompletionRow(system + turns[0].text, turns[1].text))

    def clean(self, line: bytes) -> Conversation | None:
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not row.prompt or not row.completion or row.prompt.isspace() or row.completion.isspace():
            return None
        return _conversation(row.prompt, row.completion)

    def diagnose(self, row: object, line: int) -> Reading:
        findings = Findings(line)
        if not isinstance(row, dict):
            findings.error("not-an-object", "", f"expected an object, found {kind_of(row)}", example)
            return Reading(None, tuple(findings.found))
        findings.unknown_keys(row, keys, "")
        for key in keys:
            if key not in row:
                findings.error("missing-key", key, f"'{key}' is missing", example)
        texts = [findings.text(row[key], key) for key in keys if key in row]
        readable = len(texts) == len(keys) and all(texts)
        return Reading(_conversation(*texts) if readable else None, tuple(findings.found))

    def passages(self, row: object) -> list[Passage]:
        if not isinstance(row, dict):
            return []
        prompt, completion = row.get("prompt"), row.get("completion")
        found = [Passage("prompt", "user", prompt)] if isinstance(prompt, str) else []
        if isinstance(completion, str):
            found.append(Passage("completion", "assistant", completion))
        return found


def _conversation(prompt: str, completion: str) -> Conversation:
    return Conversation(None, (Turn("user", prompt), Turn("assistant", completion)))
