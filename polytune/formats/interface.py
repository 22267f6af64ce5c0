"""What a format is: one training-record layout, one JSON object a line, and the rules its rows obey.

    line --clean()--> Conversation          the ordinary row: one typed decode, nothing wrong
      `----diagnose()--> Reading            any other row: everything wrong with it, field by field

Add one by writing one file here with one subclass of `Format`; its name in YAML is the file's name,
written with dashes. A row is certified clean by msgspec's typed decoder; only a row that fails pays
for the slow walk that explains why.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

from polytune.errors import DataError
from polytune.registry import Family

Role = Literal["user", "assistant"]
Severity = Literal["error", "warning"]
Answers = Literal["required", "optional"]
"""Whether every row must end with an answer; prompts for distillation need none."""

byte_order_mark = b"\xef\xbb\xbf"
shown_characters = 40


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One message of a conversation."""

    role: Role
    text: str


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """What one training row says, whatever its layout."""

    system: str | None
    """The system prompt; None when the row has none."""
    turns: tuple[Turn, ...]
    """The messages in order; an ordinary row is one user turn and one assistant turn."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with one row or file, and what to do about it."""

    rule: str
    """The rule's name, stable between releases: 'last-role'."""
    severity: Severity
    """An error stops the pipeline; a warning does not."""
    line: int
    """Counted from 1; 0 when the finding is about the whole file."""
    field: str
    """The JSON path, as in `messages[1].content[0].text`; '' for the whole row."""
    message: str
    fix: str
    """What to change."""


class Passage(msgspec.Struct, frozen=True):
    """One text of a row, at its exact place."""

    field: str
    role: Literal["system", "user", "assistant"]
    text: str


class Block(msgspec.Struct, frozen=True):
    """One piece of content that is not text."""

    kind: str
    """Its key: 'image', 'toolUse', 'reasoningContent'."""
    field: str


class MediaReference(msgspec.Struct, frozen=True):
    """A file that a row points to."""

    field: str
    kind: str
    """image, video or document."""
    uri: str
    format: str
    """As the row states it, or as the URI ends; '' when neither says."""


class Reading(msgspec.Struct, frozen=True):
    """What was made of one line."""

    conversation: Conversation | None
    """None when the row cannot be read as one."""
    findings: tuple[Finding, ...] = ()
    blocks: tuple[Block, ...] = ()
    """Content besides text: well-formed, but only some base models take it."""


class Format(ABC):
    """Writes conversations as lines, reads lines as conversations, and explains rows that are wrong."""

    name: ClassVar[str]
    """The name in YAML."""
    takes_samples: ClassVar[bool] = True
    """Whether a question and its answer, both text, make a row."""

    def __init__(self, answers: Answers = "required") -> None:
        """Rows without an answer are right too when answers are optional, where the layout has a place for
        such rows; their conversations end with the user's turn."""
        self.answers = answers

    @abstractmethod
    def encode(self, conversation: Conversation) -> bytes:
        """The row's line, without a newline; equal conversations give equal bytes.

        Raises DataError when the layout has no place for the conversation.
        """

    def exchanges(
        self, systems: Sequence[str | None], prompts: Sequence[str], answers: Sequence[str]
    ) -> list[bytes]:
        """`encode` of conversations of one question and its answer each. Override it to be faster."""
        return [
            self.encode(Conversation(system, (Turn("user", prompt), Turn("assistant", answer))))
            for system, prompt, answer in zip(systems, prompts, answers, strict=True)
        ]

    @abstractmethod
    def clean(self, line: bytes) -> Conversation | None:
        """The conversation of a row with nothing wrong and nothing but text; None for any other line."""

    @abstractmethod
    def diagnose(self, row: object, line: int) -> Reading:
        """Everything wrong with a row that is JSON; `row` is as the JSON decoder gave it."""

    @abstractmethod
    def passages(self, row: object) -> list[Passage]:
        """Every text of a row with its JSON path; what is not in its place is left out."""

    def references(self, row: object) -> list[MediaReference]:
        """Every file that a row points to; what is not in its place is left out."""
        return []

    def check(self, content: bytes, line: int) -> Reading:
        """What one line (without its newline) says, and everything wrong with it."""
        conversation = self.clean(content)
        if conversation is not None:
            return Reading(conversation)
        wrong = unreadable(content, line)
        if wrong is not None:
            return Reading(None, (wrong,))
        return self.diagnose(msgspec.json.decode(content), line)

    def passages_of(self, line: bytes) -> list[Passage]:
        """Every text of a line that is JSON, with its JSON path."""
        return self.passages(msgspec.json.decode(line))

    def references_of(self, line: bytes) -> list[MediaReference]:
        """Every file that a line that is JSON points to."""
        return self.references(msgspec.json.decode(line))

    def decode(self, line: bytes) -> Conversation:
        """The conversation in a line. Raises DataError, with field and fix, at a row with an error in it."""
        reading = self.check(line, 1)
        for finding in reading.findings:
            if finding.severity == "error":
                place = f"{finding.field}: " if finding.field else ""
                raise DataError(f"not a {self.name} row: {place}{finding.message}. {finding.fix}")
        if reading.conversation is None:
            raise DataError(f"not a {self.name} row")
        return reading.conversation


FORMATS = Family("formats", "format", Format, dashes=True)


def unreadable(content: bytes, line: int) -> Finding | None:
    """Why a line is no JSON at all; None when it is JSON."""
    if not content.strip(b" \t\r\n"):
        return broken("blank-line", line, "the line is empty", "Delete it: every line is one JSON object.")
    if b"\0" in content:
        return broken("nul-byte", line, "the line holds a NUL byte", "Remove it, or write it as \\u0000.")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} of the line is not UTF-8"
        return broken("not-utf8", line, what, "Save the file as UTF-8.")
    try:
        msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        return broken("not-json", line, f"not JSON: {reason}", "Write one JSON object on the line.")
    except RecursionError:
        return broken("not-json", line, "not JSON: nested too deeply", "Write one JSON object on the line.")
    return None


def broken(rule: str, line: int, message: str, fix: str) -> Finding:
    """An error about a whole line."""
    return Finding(rule=rule, severity="error", line=line, field="", message=message, fix=fix)


class Findings:
    """Collects what is wrong with one row."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.found: list[Finding] = []

    def error(self, rule: str, field: str, message: str, fix: str) -> None:
        """Adds something that stops the pipeline."""
        self._add(rule, "error", field, (message, fix))

    def warning(self, rule: str, field: str, message: str, fix: str) -> None:
        """Adds something worth knowing."""
        self._add(rule, "warning", field, (message, fix))

    def unknown_keys(self, value: dict[str, object], known: tuple[str, ...], field: str) -> None:
        """Adds an error for each key that the layout does not have at this place."""
        for key in value:
            if key not in known:
                path = f"{field}.{key}" if field else key
                self.error(
                    "unknown-key",
                    path,
                    f"unknown key '{shown(key)}'",
                    f"Remove it; known: {', '.join(known)}.",
                )

    def text(self, value: object, field: str) -> str:
        """The value if it is text with something in it; else '' and an error."""
        if not isinstance(value, str):
            self.error("wrong-type", field, f"expected a string, found {kind_of(value)}", "Write a string.")
            return ""
        if not value or value.isspace():
            self.error("empty-text", field, "the text is empty", "Write the text, or drop the row.")
            return ""
        return value

    def _add(self, rule: str, severity: Severity, field: str, said: tuple[str, str]) -> None:
        message, fix = said
        self.found.append(
            Finding(rule=rule, severity=severity, line=self.line, field=field, message=message, fix=fix)
        )


def kind_of(value: object) -> str:
    """What JSON calls a value's type, with its article."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def shown(text: str) -> str:
    """A text short enough for a message."""
    return text if len(text) <= shown_characters else text[: shown_characters - 1] + "…"
