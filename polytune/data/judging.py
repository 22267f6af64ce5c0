"""The part of `validate` that looks at one block of a file and nothing else: findings, lengths, hashes.

    line --Format.clean--> conversation --> length, hashes   nearly every row
      `--Format.check--> findings                            rows with something wrong

What needs to know the rows before, `checking` does: duplicates, and prompts in two files.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from polytune.base_models.interface import BaseModelEntry, Limits
from polytune.data.hashes import all_bare
from polytune.data.lines import LineBlock
from polytune.data.report import Tally
from polytune.data.reserved import ReservedScanner
from polytune.errors import DataError
from polytune.formats.interface import FORMATS, Conversation, Finding, Format, Severity, byte_order_mark


@dataclass(frozen=True, slots=True)
class Judged:
    """What a block of rows comes to; the arrays have one item for each row that could be read."""

    lines: int
    blank: int
    tally: Tally
    numbers: array[int]
    """The rows' line numbers."""
    characters: array[int]
    prompts: array[int]
    """Hashes of all turns but the last."""
    pairs: array[int]
    """Hashes of those and the last turn together."""


class Rules:
    """What the rows of a dataset are judged by."""

    def __init__(self, entry: BaseModelEntry, format_name: str) -> None:
        """Raises DataError when the base model takes no data, or none in this format."""
        if entry.limits is None:
            raise DataError(
                f"{entry.title} cannot be trained; it is a teacher only. Choose another base model."
            )
        if format_name not in entry.formats:
            raise DataError(f"{entry.title} does not take {format_name}. Use {' or '.join(entry.formats)}.")
        self.entry = entry
        self.limits: Limits = entry.limits
        self.format: Format = FORMATS.load(format_name)()
        self.scanner = ReservedScanner(entry.reserved)
        most_tokens = self.limits.max_tokens_per_row
        self.most_characters = most_tokens and int(most_tokens * self.limits.chars_per_token)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Judges the blocks of one split's file."""

    rules: Rules
    split: str
    file: str
    """The file's name."""

    def __call__(self, block: LineBlock) -> Judged:
        """The block's rows, each judged by itself."""
        return BlockJudgement(self, block).judged()


class BlockJudgement:
    """The judgement of one block."""

    def __init__(self, judgement: Judgement, block: LineBlock) -> None:
        self._rules = judgement.rules
        self._place = (judgement.split, judgement.file)
        self._block = block
        self._tally = Tally()
        self._blank = 0
        self._numbers: list[int] = []
        self._read: list[Conversation] = []

    def judged(self) -> Judged:
        """Every row has been judged."""
        lines = self._repaired()
        suspicious = self._rules.scanner.may_hold(self._block.raw)
        clean = self._rules.format.clean
        for number, line in enumerate(lines, self._block.first):
            conversation = clean(line)
            if conversation is None:
                self._unclean(line, number)
                continue
            self._numbers.append(number)
            self._read.append(conversation)
            if suspicious:
                self._reserved(line, number)
        characters = array("q", map(_length, self._read))
        self._too_long(characters)
        prompts = list(all_bare(map(_asked, self._read)))
        answers = all_bare([conversation.turns[-1].text for conversation in self._read])
        return Judged(
            lines=len(lines),
            blank=self._blank,
            tally=self._tally,
            numbers=array("q", self._numbers),
            characters=characters,
            prompts=array("q", map(hash, prompts)),
            pairs=array("q", map(hash, zip(prompts, answers, strict=True))),
        )

    def _repaired(self) -> list[bytes]:
        """The block's lines without a byte order mark and carriage returns, which are reported."""
        lines, first = self._block.lines, self._block.first
        if first == 1 and lines[0].startswith(byte_order_mark):
            lines[0] = lines[0].removeprefix(byte_order_mark)
            fix = "Save the file as UTF-8 without a byte order mark."
            self._row(1, "byte-order-mark", "error", ("the file starts with a byte order mark", fix))
        if b"\r" in self._block.raw:
            for index, line in enumerate(lines):
                if line.endswith(b"\r"):
                    lines[index] = line[:-1]
                    what = "the line ends in CR LF"
                    self._row(first + index, "carriage-return", "warning", (what, "End lines in LF."))
        return lines

    def _unclean(self, line: bytes, number: int) -> None:
        """A row that is not plainly right has been judged in full."""
        reading = self._rules.format.check(line, number)
        for finding in reading.findings:
            self._blank += finding.rule == "blank-line"
            self._add(finding)
        entry = self._rules.entry
        for block in reading.blocks:
            if block.kind not in entry.blocks:
                taken = ", ".join(("text", *entry.blocks))
                self._add(
                    Finding(
                        rule="block-not-taken",
                        severity="error",
                        line=number,
                        field=block.field,
                        message=f"{entry.title} cannot be trained on {block.kind}",
                        fix=f"Drop the row, or the block; taken: {taken}.",
                    )
                )
        if reading.conversation is not None:
            self._numbers.append(number)
            self._read.append(reading.conversation)
            self._reserved(line, number)

    def _reserved(self, line: bytes, number: int) -> None:
        scanner = self._rules.scanner
        if scanner.may_hold(line):
            for finding in scanner.findings(self._rules.format.passages_of(line), number):
                self._add(finding)

    def _too_long(self, characters: array[int]) -> None:
        most = self._rules.most_characters
        if not most or max(characters, default=0) <= most:
            return
        limits, title = self._rules.limits, self._rules.entry.title
        for number, length in zip(self._numbers, characters, strict=True):
            if length > most:
                tokens = f"about {length / limits.chars_per_token:,.0f} tokens (estimated)"
                what = f"{tokens}; {title} takes at most {limits.max_tokens_per_row:,}"
                self._row(number, "row-too-long", "error", (what, "Shorten the row, or drop it."))

    def _row(self, line: int, rule: str, severity: Severity, said: tuple[str, str]) -> None:
        message, fix = said
        self._add(Finding(rule=rule, severity=severity, line=line, field="", message=message, fix=fix))

    def _add(self, finding: Finding) -> None:
        self._tally.add(finding, *self._place)


def _length(conversation: Conversation) -> int:
    """Characters of all texts."""
    length = len(conversation.system or "")
    for turn in conversation.turns:
        length += len(turn.text)
    return length


def _asked(conversation: Conversation) -> str:
    """All turns but the last."""
    turns = conversation.turns
    return turns[0].text if len(turns) == 2 else "\0".join([turn.text for turn in turns[:-1]])
