"""`validate`: a dataset's files against its format and its base model, in one streaming pass a file.

    bytes --blocks--> lines --Format.clean--> conversation --> lengths, hashes   nearly every row
                              `--------------Format.check--> findings            rows with something wrong

Nothing is kept of a row but two 64-bit hashes and a place in a histogram; of the findings, counts and
the first few of each rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from polytune.base_models.interface import BaseModelEntry, Limits
from polytune.data.hashes import RowTable, bare, tag_mask
from polytune.data.lines import LineBlock, blocks, expected_lines
from polytune.data.report import CheckReport, Tally
from polytune.data.reserved import ReservedScanner
from polytune.data.statistics import Lengths, SplitStatistics, cells_by_split
from polytune.errors import DataError
from polytune.formats.interface import (
    FORMATS,
    Conversation,
    Finding,
    Format,
    Reading,
    Severity,
    byte_order_mark,
)

most_files = 7
file_name = re.compile(r"[A-Za-z0-9_\-.]+\.jsonl")


def check_dataset(
    files: Mapping[str, Path], entry: BaseModelEntry, format_name: str, provenance: Path | None = None
) -> CheckReport:
    """Everything wrong with the files of a dataset, by split, and what they are like.

    Prompts must not be shared between files; row limits hold for `train` and `validation`. Raises
    DataError when a file cannot be read or the base model takes no data in this format.
    """
    limits = _limits(entry, format_name)
    if len(files) > most_files:
        raise DataError(f"{len(files)} files: at most {most_files} can be checked together.")
    cells = cells_by_split(provenance) if provenance else {}
    check = Check(entry, FORMATS.load(format_name)(), sum(map(expected_lines, files.values())))
    splits = []
    for number, (split, path) in enumerate(files.items(), 1):
        splits.append(FileCheck(check, split, path, number).run(cells.get(split, {})))
    check.row_limits({split.split: split.rows for split in splits})
    return CheckReport(
        base_model=entry.name,
        format=format_name,
        errors=check.tally.count("error"),
        warnings=check.tally.count("warning"),
        token_estimate=f"estimates (characters / {limits.chars_per_token:g})",
        splits=tuple(splits),
        groups=check.tally.groups(),
    )


def _limits(entry: BaseModelEntry, format_name: str) -> Limits:
    if entry.limits is None:
        raise DataError(f"{entry.title} cannot be trained; it is a teacher only. Choose another base model.")
    if format_name not in entry.formats:
        raise DataError(f"{entry.title} does not take {format_name}. Use {' or '.join(entry.formats)}.")
    return entry.limits


class Check:
    """What the files of one dataset are checked against, and what has been found in them together."""

    def __init__(self, entry: BaseModelEntry, format: Format, expected: int) -> None:
        self.entry = entry
        self.format = format
        self.limits = _limits(entry, format.name)
        self.scanner = ReservedScanner(entry.reserved)
        self.tally = Tally()
        self.table = RowTable(expected)

    def row_limits(self, rows: Mapping[str, int]) -> None:
        """The numbers of rows have been judged."""
        train = rows.get("train")
        title, limits = self.entry.title, self.limits
        if train is not None and train < limits.min_train_rows:
            what = f"{train} training rows; {title} needs at least {limits.min_train_rows}"
            self._dataset("too-few-rows", "error", what, "Generate more samples.")
        elif train is not None and train < limits.advised_train_rows:
            what = f"{train} training rows; {limits.advised_train_rows} or more are advised for {title}"
            self._dataset("few-rows", "warning", what, "Generate more samples, or accept the risk.")
        total = sum(rows.get(split, 0) for split in ("train", "validation"))
        if limits.max_rows is not None and total > limits.max_rows:
            what = f"{total:,} training and validation rows; {title} takes at most {limits.max_rows:,}"
            self._dataset("too-many-rows", "error", what, "Use fewer samples.")
        if rows.get("validation") and limits.validation_doubtful:
            what = f"sources disagree on whether {title} takes a validation set"
            self._dataset("validation-set", "warning", what, "Do not send the validation file, or try it.")

    def _dataset(self, rule: str, severity: Severity, message: str, fix: str) -> None:
        self.tally.add(Finding(rule=rule, severity=severity, line=0, field="", message=message, fix=fix))


class FileCheck:
    """The check of one split's file."""

    def __init__(self, check: Check, split: str, path: Path, number: int) -> None:
        self.check = check
        self.split = split
        self.path = path
        self.number = number
        """The file's tag in the tables of hashes."""
        self.lengths = Lengths()
        most_tokens = check.limits.max_tokens_per_row
        self.most_characters = most_tokens and int(most_tokens * check.limits.chars_per_token)
        self.lines = self.blank = self.duplicates = self.leaks = 0

    def run(self, cells: dict[str, int]) -> SplitStatistics:
        """The file has been read once."""
        self._name()
        for block in blocks(self.path):
            self._block(block)
        if self.lines == self.blank:
            self._file("empty-file", "error", "the file holds no rows", "Give each split at least one row.")
        return SplitStatistics(
            split=self.split,
            file=self.path.name,
            rows=self.lines - self.blank,
            readable_rows=self.lengths.rows,
            bytes=self.path.stat().st_size,
            characters=self.lengths.characters,
            tokens=self.lengths.tokens(self.check.limits.chars_per_token),
            longest_row=self.lengths.longest_row,
            duplicate_rows=self.duplicates,
            leaked_prompts=self.leaks,
            cells=cells,
        )

    def _block(self, block: LineBlock) -> None:
        lines = self._repaired(block)
        suspicious = self.check.scanner.may_hold(block.raw)
        clean = self.check.format.clean
        for number, line in enumerate(lines, block.first):
            conversation = clean(line)
            if conversation is None:
                self._unclean(line, number)
                continue
            if suspicious and self.check.scanner.may_hold(line):
                self._reserved(line, number)
            self._counted(conversation, number)
        self.lines += len(lines)

    def _repaired(self, block: LineBlock) -> list[bytes]:
        """The block's lines without a byte order mark and carriage returns, which are reported."""
        lines = block.lines
        if block.first == 1 and lines[0].startswith(byte_order_mark):
            lines[0] = lines[0].removeprefix(byte_order_mark)
            fix = "Save the file as UTF-8 without a byte order mark."
            self._row(1, "byte-order-mark", "error", ("the file starts with a byte order mark", fix))
        if b"\r" in block.raw:
            for index, line in enumerate(lines):
                if line.endswith(b"\r"):
                    lines[index] = line[:-1]
                    what = "the line ends in CR LF"
                    self._row(block.first + index, "carriage-return", "warning", (what, "End lines in LF."))
        return lines

    def _unclean(self, line: bytes, number: int) -> None:
        """A row that is not plainly right has been judged in full."""
        reading = self.check.format.check(line, number)
        for finding in reading.findings:
            self.blank += finding.rule == "blank-line"
            self._add(finding)
        self._blocks(reading, number)
        if reading.conversation is not None:
            self._counted(reading.conversation, number)
            if self.check.scanner.may_hold(line):
                self._reserved(line, number)

    def _blocks(self, reading: Reading, number: int) -> None:
        entry = self.check.entry
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

    def _counted(self, conversation: Conversation, number: int) -> None:
        """The row is in the statistics, and known to the rows after it."""
        turns = conversation.turns
        system = conversation.system
        characters = len(system) if system else 0
        for turn in turns:
            characters += len(turn.text)
        self.lengths.add(characters, number)
        if self.most_characters and characters > self.most_characters:
            self._too_long(characters, number)
        asked = turns[0].text if len(turns) == 2 else "\0".join([turn.text for turn in turns[:-1]])
        prompt = bare(asked)
        key, row = hash(prompt), hash((prompt, bare(turns[-1].text)))
        table = self.check.table
        slot = table.find(key)
        tag = table.slots[slot] & tag_mask
        if not tag:
            table.begin(slot, key, self.number, row)
        elif tag != self.number:
            self._leak(number)
        elif table.repeats(slot, row):
            self._duplicate(number)

    def _leak(self, line: int) -> None:
        self.leaks += 1
        fix = "Keep all rows of a prompt in one split: the format step does."
        self._row(line, "prompt-leak", "error", ("the prompt stands in an earlier split too", fix))

    def _duplicate(self, line: int) -> None:
        self.duplicates += 1
        fix = "Drop one of them, or keep it on purpose."
        self._row(line, "duplicate-row", "warning", ("prompt and answer stand earlier in the file", fix))

    def _too_long(self, characters: int, number: int) -> None:
        limits = self.check.limits
        tokens = f"about {characters / limits.chars_per_token:,.0f} tokens (estimated)"
        what = f"{tokens}; {self.check.entry.title} takes at most {limits.max_tokens_per_row:,}"
        self._row(number, "row-too-long", "error", (what, "Shorten the row, or drop it."))

    def _reserved(self, line: bytes, number: int) -> None:
        for finding in self.check.scanner.findings(self.check.format.passages_of(line), number):
            self._add(finding)

    def _name(self) -> None:
        """Bedrock takes file names of few characters only."""
        if self.check.entry.platform == "bedrock" and not file_name.fullmatch(self.path.name):
            fix = "Use letters, digits, _ - and . only, ending in .jsonl."
            self._file("file-name", "warning", f"Bedrock does not take the name '{self.path.name}'", fix)

    def _file(self, rule: str, severity: Severity, message: str, fix: str) -> None:
        self._row(0, rule, severity, (message, fix))

    def _row(self, line: int, rule: str, severity: Severity, said: tuple[str, str]) -> None:
        message, fix = said
        self._add(Finding(rule=rule, severity=severity, line=line, field="", message=message, fix=fix))

    def _add(self, finding: Finding) -> None:
        self.check.tally.add(finding, self.split, self.path.name)
