"""The interface of formats: each is one training-record layout (one JSON object per line) with its rules.

    line --clean()--> Conversation          an ordinary row: one typed decode, no problems
      `----diagnose()--> Reading            any other row: all of its problems, field by field

To add one, write one file here with one subclass of `Format`; its name in YAML is the file's name, with
dashes. msgspec's typed decoder certifies clean rows; only rows that it rejects go through the slow pass that
explains why.
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
"""Whether every row must end with an answer; prompts for distillation do not need one."""

byte_order_mark = b"\xef\xbb\xbf"
shown_characters = 40


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One message of a conversation."""

    role: Role
    text: str


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """The content of one training row, independent of its layout."""

    system: str | None
    """The system prompt; None when the row has none."""
    turns: tuple[Turn, ...]
    """The messages in order; an ordinary row is one user turn and one assistant turn."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem of one row or file, and how to fix it."""

    rule: str
    """The rule's name, stable between releases: 'last-role'."""
    severity: Severity
    """An error stops the pipeline; a warning does not."""
    line: int
    """The line number from 1; 0 for the whole file."""
    field: str
    """The JSON path, such as `messages[1].content[0].text`; '' for the whole row."""
    message: str
    fix: str
    """What to change."""


class Passage(msgspec.Struct, frozen=True):
    """One text of a row, with its JSON path."""

    field: str
    role: Literal["system", "user", "assistant"]
    text: str


class Block(msgspec.Struct, frozen=True):
    """One piece of content that is not text."""

    kind: str
    """Its key: 'image', 'toolUse', 'reasoningContent'."""
    field: str


class MediaReference(msgspec.Struct, frozen=True):
    """A file that a row refers to."""

    field: str
    kind: str
    """image, video or document."""
    uri: str
    format: str
    """The format stated by the row, or by the URI's extension; '' when neither states one."""


class Reading(msgspec.Struct, frozen=True):
    """The result of reading one line."""

    conversation: Conversation | None
    """None when the row cannot be read as a conversation."""
    findings: tuple[Finding, ...] = ()
    blocks: tuple[Block, ...] = ()
    """Content besides text, which only some base models accept."""


class Format(ABC):
    """Writes conversations as lines, reads lines as conversations, and explains invalid rows."""

    version: ClassVar[int] = 1
    """Raise it when the same spec would give a different record: it is in the keys of steps that use it."""
    name: ClassVar[str]
    """The name in YAML."""
    takes_samples: ClassVar[bool] = True
    """Whether a row can be made from a question and its answer, both text."""

    def __init__(self, answers: Answers = "required") -> None:
        """With answers optional, rows without an answer are valid too, if the layout allows them; their
        conversations end with the user's turn."""
        self.answers = answers

    @abstractmethod
    def encode(self, conversation: Conversation) -> bytes:
        """The row's line, without a newline; equal conversations give equal bytes.

        Raises DataError when the layout cannot represent the conversation.
        """

    def exchanges(
        self, systems: Sequence[str | None], prompts: Sequence[str], answers: Sequence[str]
    ) -> list[bytes]:
        """`encode` for many single exchanges. Override it with something faster."""
        return [
            self.encode(Conversation(system, (Turn("user", prompt), Turn("assistant", answer))))
            for system, prompt, answer in zip(systems, prompts, answers, strict=True)
        ]

    @abstractmethod
    def clean(self, line: bytes) -> Conversation | None:
        """The conversation of a row without problems and with only text; None for any other line."""

    @abstractmethod
    def diagnose(self, row: object, line: int) -> Reading:
        """All problems of a row that is JSON; `row` is the decoded JSON."""

    @abstractmethod
    def passages(self, row: object) -> list[Passage]:
        """Every text of a row with its JSON path; misplaced ones are left out."""

    def references(self, row: object) -> list[MediaReference]:
        """Every file that a row refers to; misplaced ones are left out."""
        return []

    def check(self, content: bytes, line: int) -> Reading:
        """The conversation in one line (without its newline), and all of its problems."""
        conversation = self.clean(content)
        if conversation is not None:
            return Reading(conversation)
        wrong = unreadable(content, line)
        if wrong is not None:
            return Reading(None, (wrong,))
        return self.diagnose(msgspec.json.decode(content), line)

    def passages_of(self, line: bytes) -> list[Passage]:
        """Every text in a line of JSON, with its JSON path."""
        return self.passages(msgspec.json.decode(line))

    def references_of(self, line: bytes) -> list[MediaReference]:
        """Every file that a line of JSON refers to."""
        return self.references(msgspec.json.decode(line))

    def decode(self, line: bytes) -> Conversation:
        """The conversation in a line. Raises DataError, with field and fix, for a row with an error."""
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
    """Why a line is not JSON; None when it is."""
    # From the most specific cause to the least: each of these would also fail as JSON, with a worse message.
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
    """Collects the problems of one row."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.found: list[Finding] = []

    def error(self, rule: str, field: str, message: str, fix: str) -> None:
        """Adds a problem that stops the pipeline."""
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
        """The value if it is a non-blank string; otherwise '', with an error."""
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
    """The JSON name of a value's type, with its article."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def shown(text: str) -> str:
    """A text, shortened for a message."""
    return text if len(text) <= shown_characters else text[: shown_characters - 1] + "…"
