"""The part of `validate` that needs only one block of a file: findings, lengths, hashes.

    line --Format.clean--> conversation --> length, hashes   nearly every row
      `--Format.check--> findings                            rows with something wrong

Whatever depends on earlier rows is done in `validate`: duplicates, and prompts in two files.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import msgspec

from polytune.base_models.interface import BaseModelEntry, Customization, Limits
from polytune.data.hashes import all_bare
from polytune.data.lines import LineBlock
from polytune.data.validate.report import Tally
from polytune.data.validate.reserved import ReservedScanner
from polytune.errors import DataError
from polytune.formats.interface import (
    FORMATS,
    Conversation,
    Finding,
    Format,
    MediaReference,
    Reading,
    Severity,
    byte_order_mark,
)

distillation_refuses = frozenset({"schema-version", "empty-system"})
"""Rules that are errors in AWS's validator of distillation prompts, whatever the base model
(aws-samples/amazon-bedrock-samples @85fba9d, model_distillation/dataset-validation)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The result for one block of rows; the arrays have one item per readable row."""

    lines: int
    blank: int
    tally: Tally
    numbers: array[int]
    """The rows' line numbers."""
    characters: array[int]
    prompts: array[int]
    """Hashes of all turns except the last."""
    pairs: array[int]
    """Hashes of all turns."""
    holding: dict[str, int]
    """The number of rows with each kind of content besides text."""


class Rules:
    """The rules that apply to the rows of a dataset."""

    def __init__(
        self, entry: BaseModelEntry, format_name: str, customization: Customization | None = None
    ) -> None:
        """`customization` defaults to the first type of the base model that accepts the format.

        Raises DataError when the base model cannot be trained, or not with this format.
        """
        self.entry = entry
        self.customization = customization or _customization(entry, format_name)
        formats = entry.formats_of(self.customization)
        limits = entry.limits_of(self.customization)
        if limits is None:
            raise DataError(_no_such_job(entry, self.customization))
        if format_name not in formats:
            jobs = self.customization.replace("_", " ")
            place = "" if self.customization == "fine_tuning" else f" for {jobs}"
            raise DataError(f"{entry.title} does not take {format_name}{place}. Use {' or '.join(formats)}.")
        self.limits: Limits = limits
        self.distils = self.customization == "distillation"
        self.format: Format = FORMATS.load(format_name)("optional" if self.distils else "required")
        self.stricter = frozenset(entry.stricter) | (distillation_refuses if self.distils else frozenset())
        self.scanner = ReservedScanner(entry.reserved)
        most_tokens = self.limits.max_tokens_per_row
        self.most_characters = most_tokens and int(most_tokens * self.limits.chars_per_token)


def _customization(entry: BaseModelEntry, format_name: str) -> Customization:
    """The first type of job that accepts the format; fine-tuning when none does."""
    found = (each for each in entry.customizations if format_name in entry.formats_of(each))
    usual: Customization = entry.customizations[0] if entry.customizations else "fine_tuning"
    return next(found, usual)


def _no_such_job(entry: BaseModelEntry, customization: Customization) -> str:
    if not entry.customizations:
        return f"{entry.title} cannot be trained; it is a teacher only. Choose another base model."
    known = " or ".join(each.replace("_", " ") for each in entry.customizations)
    reason = entry.refused.get(customization)
    why = f": {reason}" if reason else ""
    return f"{entry.title} has no {customization.replace('_', ' ')}{why}. Use it for {known}."


@dataclass(frozen=True, slots=True)
class Judgement:
    """Checks the blocks of one split's file."""

    rules: Rules
    split: str
    file: str
    """The file's name."""

    def __call__(self, block: LineBlock) -> Judged:
        """The result for the block's rows, each checked by itself."""
        return BlockJudgement(self, block).judged()


class BlockJudgement:
    """The check of one block."""

    def __init__(self, judgement: Judgement, block: LineBlock) -> None:
        self._rules = judgement.rules
        self._place = (judgement.split, judgement.file)
        self._block = block
        self._tally = Tally()
        self._blank = 0
        self._numbers: list[int] = []
        self._read: list[Conversation] = []
        self._holding: dict[str, int] = {}
        self._pictured: dict[int, bytes] = {}
        """The URIs of a row's media, by its index among the rows read; they are part of the prompt."""

    def judged(self) -> Judged:
        """The result, after every row has been checked."""
        lines = self._repaired()
        # One scan of the whole block usually rules out reserved strings in all of its rows.
        suspicious = self._rules.scanner.may_hold(self._block.raw)
        clean = self._rules.format.clean
        for number, line in enumerate(lines, self._block.first):
            # `clean` accepts only rows without any finding, and is faster than `check`.
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
        self._captions()
        if self._rules.distils:
            self._single_turns()
        prompts = list(all_bare(map(_asked, self._read)))
        for place, addresses in self._pictured.items():
            prompts[place] += addresses
        answers = all_bare([conversation.turns[-1].text for conversation in self._read])
        return Judged(
            lines=len(lines),
            blank=self._blank,
            tally=self._tally,
            numbers=array("q", self._numbers),
            characters=characters,
            prompts=array("q", map(hash, prompts)),
            pairs=array("q", map(hash, zip(prompts, answers, strict=True))),
            holding=self._holding,
        )

    def _repaired(self) -> list[bytes]:
        """The block's lines without a byte order mark and carriage returns; both are reported."""
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
        """A row that `clean` did not accept has been checked in full."""
        reading = self._rules.format.check(line, number)
        for finding in reading.findings:
            self._blank += finding.rule == "blank-line"
            self._add(finding)
        if reading.blocks:
            self._blocks(reading, line, number)
        if reading.conversation is not None:
            if reading.blocks:
                references = self._rules.format.references_of(line)
                self._pictured[len(self._read)] = "".join(f"\0{each.uri}" for each in references).encode()
            self._numbers.append(number)
            self._read.append(reading.conversation)
            self._reserved(line, number)

    def _blocks(self, reading: Reading, line: bytes, number: int) -> None:
        """A row's content besides text has been checked against what the base model accepts."""
        entry = self._rules.entry
        for kind in dict.fromkeys(block.kind for block in reading.blocks):
            self._holding[kind] = self._holding.get(kind, 0) + 1
        for block in reading.blocks:
            if block.kind not in entry.blocks:
                what = f"{entry.title} cannot be trained on {block.kind}"
                fix = f"Drop the row, or the block; taken: {', '.join(('text', *entry.blocks))}."
                self._row(number, "block-not-taken", "error", (what, fix), block.field)
        references = self._rules.format.references_of(line)
        for media in entry.media:
            found = [reference for reference in references if reference.kind == media.kind]
            if media.most_per_row is not None and len(found) > media.most_per_row:
                what = f"{len(found)} {media.kind}s in one row; {entry.title} takes {media.most_per_row}"
                self._row(
                    number, "media-count", "error", (what, f"At most {media.most_per_row}."), "messages"
                )
            for reference in found:
                self._media_format(reference, number)

    def _media_format(self, reference: MediaReference, number: int) -> None:
        media = self._rules.entry.media_of(reference.kind)
        if media is None or not reference.format or reference.format in media.formats:
            return
        title, fix = self._rules.entry.title, f"Use {', '.join(media.formats)}."
        if reference.format in media.doubtful_formats:
            what = f"sources disagree on whether {title} takes {reference.format}"
            self._row(number, "media-format-doubtful", "warning", (what, fix), reference.field)
        else:
            what = f"{title} takes no {reference.kind} of the format {reference.format}"
            self._row(number, "media-format-not-taken", "error", (what, fix), reference.field)

    def _captions(self) -> None:
        limits, title = self._rules.limits, self._rules.entry.title
        if limits.max_caption_characters is None:
            return
        for number, conversation in zip(self._numbers, self._read, strict=True):
            length = len(conversation.turns[-1].text)
            if not limits.min_caption_characters <= length <= limits.max_caption_characters:
                bounds = f"{limits.min_caption_characters or 1} to {limits.max_caption_characters:,}"
                what = f"a caption of {length:,} characters; {title} takes {bounds}"
                self._row(number, "caption-length", "error", (what, "Rewrite the caption."), "caption")

    def _single_turns(self) -> None:
        """Rows with several questions have been reported: some models are distilled on single ones only."""
        for number, conversation in zip(self._numbers, self._read, strict=True):
            if len(conversation.turns) > 2:
                what = "more than one question in a row for distillation"
                fix = "Give each row one question."
                self._row(number, "multi-turn-distillation", "warning", (what, fix), "messages")

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

    def _row(self, line: int, rule: str, severity: Severity, said: tuple[str, str], field: str = "") -> None:
        message, fix = said
        self._add(Finding(rule=rule, severity=severity, line=line, field=field, message=message, fix=fix))

    def _add(self, finding: Finding) -> None:
        if finding.rule in self._rules.stricter:
            finding = msgspec.structs.replace(finding, severity="error")
        self._tally.add(finding, *self._place)


def _length(conversation: Conversation) -> int:
    """Characters of all texts."""
    length = len(conversation.system or "")
    for turn in conversation.turns:
        length += len(turn.text)
    return length


def _asked(conversation: Conversation) -> str:
    """The text of all turns before the answer."""
    turns = conversation.turns
    if len(turns) == 2:
        return turns[0].text
    asked = turns if turns[-1].role == "user" else turns[:-1]
    return "\0".join([turn.text for turn in asked])
