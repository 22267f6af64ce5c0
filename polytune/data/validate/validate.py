"""`validate`: checks a dataset against its format and its base model, in one streaming pass per file.

    file --blocks--> Judgement --Judged--> FileCheck --> statistics, findings
                     by worker processes   in order

Only two 64-bit hashes and a histogram entry are kept per row, and of the findings the counts and the first
few of each rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from polytune.base_models.interface import BaseModelEntry, Customization
from polytune.data.hashes import RowTable
from polytune.data.lines import expected_lines
from polytune.data.validate.block import Judged, Judgement, Rules
from polytune.data.validate.report import CheckReport, Tally
from polytune.data.validate.statistics import Lengths, SplitStatistics, cells_by_split
from polytune.data.workers import WorkerPool, workers_for
from polytune.errors import DataError
from polytune.formats.interface import Finding, Severity

most_files = 7
"""Each file has a tag in the hash table, and a tag has three bits, of which 0 means empty."""


def check_dataset(
    files: Mapping[str, Path],
    entry: BaseModelEntry,
    format_name: str,
    provenance: Path | None = None,
    *,
    customization: Customization | None = None,
    workers: int | None = None,
) -> CheckReport:
    """The findings and statistics of a dataset's files, given by split.

    Prompts must not occur in several files. Row limits apply to `train` and `validation`; they are those of
    the customization type, by default the first one that accepts the format. The report is the same with any
    number of worker processes; None starts as many as are worthwhile. Raises DataError when a file cannot be
    read or the base model does not accept this format.
    """
    rules = Rules(entry, format_name, customization)
    if len(files) > most_files:
        raise DataError(f"{len(files)} files: at most {most_files} can be checked together.")
    with WorkerPool(workers_for(files.values()) if workers is None else workers) as pool:
        cells = cells_by_split(provenance, pool) if provenance else {}
        check = Check(rules, pool, sum(map(expected_lines, files.values())))
        splits = []
        for number, (split, path) in enumerate(files.items(), 1):
            splits.append(FileCheck(check, split, path, number).run(cells.get(split, {})))
    check.row_limits({split.split: split.rows for split in splits})
    check.evenness(sum(split.readable_rows for split in splits))
    return CheckReport(
        base_model=entry.name,
        format=format_name,
        errors=check.tally.count("error"),
        warnings=check.tally.count("warning"),
        token_estimate=f"estimates (characters / {rules.limits.chars_per_token:g})",
        splits=tuple(splits),
        groups=check.tally.groups(),
    )


class Check:
    """The rules for the files of one dataset, and the findings in all of them."""

    def __init__(self, rules: Rules, pool: WorkerPool, expected: int) -> None:
        self.rules = rules
        self.pool = pool
        self.tally = Tally()
        self.table = RowTable(expected)
        self.holding: dict[str, int] = {}
        """The number of rows with each kind of content besides text."""

    def row_limits(self, rows: Mapping[str, int]) -> None:
        """The numbers of rows have been checked."""
        train, validation = rows.get("train"), rows.get("validation", 0)
        title, limits = self.rules.entry.title, self.rules.limits
        counted = (train or 0) + (validation if limits.min_counts_validation else 0)
        sort = "training and validation rows" if limits.min_counts_validation else "training rows"
        if train is not None and counted < limits.min_train_rows:
            what = f"{counted} {sort}; {title} needs at least {limits.min_train_rows}"
            self._dataset("too-few-rows", "error", what, "Generate more samples.")
        elif train is not None and counted < limits.advised_train_rows:
            what = f"{counted} {sort}; {limits.advised_train_rows} or more are advised for {title}"
            self._dataset("few-rows", "warning", what, "Generate more samples, or accept the risk.")
        total = (train or 0) + validation
        if limits.max_rows is not None and total > limits.max_rows:
            what = f"{total:,} training and validation rows; {title} takes at most {limits.max_rows:,}"
            self._dataset("too-many-rows", "error", what, "Use fewer samples.")
        if validation:
            self._validation(validation)

    def _validation(self, rows: int) -> None:
        """The size of the validation set has been checked, and whether one is accepted."""
        title, limits = self.rules.entry.title, self.rules.limits
        if limits.validation_doubtful:
            what = f"sources disagree on whether {title} takes a validation set"
            self._dataset("validation-set", "warning", what, "Do not send the validation file, or try it.")
        if limits.max_validation_rows == 0:
            what = f"{title} takes no validation set"
            self._dataset("validation-set", "error", what, "Set the split's validation share to 0.")
        elif limits.max_validation_rows is not None and rows > limits.max_validation_rows:
            what = f"{rows:,} validation rows; {title} takes at most {limits.max_validation_rows:,}"
            self._dataset("too-many-rows", "error", what, "Give the validation split a smaller share.")
        elif rows < limits.min_validation_rows:
            what = f"{rows} validation rows; {title} needs {limits.min_validation_rows}, or none"
            self._dataset("too-few-rows", "error", what, "Give the validation split a larger share, or 0.")

    def evenness(self, rows: int) -> None:
        """Rows with different kinds of content have been reported."""
        media = [kind for kind in ("image", "video") if self.holding.get(kind)]
        if len(media) > 1:
            what = "some rows hold images and some hold videos"
            self._dataset("media-mixed", "error", what, "Train on one kind of media at a time.")
        for kind, count in self.holding.items():
            if count < rows and kind in self.rules.entry.blocks:
                what = f"{count:,} of {rows:,} rows hold {kind}"
                fix = "Let all rows hold it or none: AWS's own SDK refuses a mixture."
                self._dataset("uneven-rows", "warning", what, fix)

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
        self.lines = self.blank = self.duplicates = self.leaks = 0

    def run(self, cells: dict[str, int]) -> SplitStatistics:
        """The statistics of the file, which is read once."""
        self._name()
        self._size()
        judgement = Judgement(self.check.rules, self.split, self.path.name)
        for judged in self.check.pool.results(self.path, judgement):
            self.lines += judged.lines
            self.blank += judged.blank
            for kind, count in judged.holding.items():
                self.check.holding[kind] = self.check.holding.get(kind, 0) + count
            self.check.tally.merge(judged.tally)
            self.lengths.add(judged.characters, judged.numbers)
            self._compare(judged)
        if self.lines == self.blank:
            self._add(0, "empty-file", "error", ("the file has no rows", "Give each split at least one row."))
        return SplitStatistics(
            split=self.split,
            file=self.path.name,
            rows=self.lines - self.blank,
            readable_rows=self.lengths.rows,
            bytes=self.path.stat().st_size,
            characters=self.lengths.characters,
            tokens=self.lengths.tokens(self.check.rules.limits.chars_per_token),
            longest_row=self.lengths.longest_row,
            duplicate_rows=self.duplicates,
            leaked_prompts=self.leaks,
            cells=cells,
        )

    def _compare(self, judged: Judged) -> None:
        """The rows have been compared with all earlier rows, and are recorded for later ones."""
        own = self.number
        tags = self.check.table.add(judged.prompts, judged.pairs, lambda _: own)
        if tags.count(own) == len(tags):
            return
        for tag, number in zip(tags, judged.numbers, strict=True):
            if abs(tag) != own:
                self._leak(number)
            elif tag < 0:
                self._duplicate(number)

    def _leak(self, line: int) -> None:
        self.leaks += 1
        fix = "Keep all rows of a prompt in one split: the format step does."
        self._add(line, "prompt-leak", "error", ("the prompt is also in an earlier split", fix))

    def _duplicate(self, line: int) -> None:
        self.duplicates += 1
        fix = "Drop one of them, or keep it on purpose."
        self._add(
            line, "duplicate-row", "warning", ("prompt and answer repeat an earlier row of the file", fix)
        )

    def _name(self) -> None:
        """A name that a platform of the base model rejects has been reported, such as one with a space."""
        offered = self.check.rules.entry.platforms.items()
        refusing = [name for name, each in offered if not each.takes_file_name(self.path.name)]
        if refusing:
            what = f"{' and '.join(refusing)} does not take the name '{self.path.name}'"
            fix = "Use letters, digits, _ - and . only, ending in .jsonl."
            self._add(0, "file-name", "warning", (what, fix))

    def _size(self) -> None:
        limits = self.check.rules.limits
        most = {"train": limits.max_train_bytes, "validation": limits.max_validation_bytes}.get(self.split)
        size = self.path.stat().st_size if self.path.is_file() else 0
        if most is not None and size > most:
            what = f"{size:,} bytes; {self.check.rules.entry.title} takes at most {most:,}"
            self._add(0, "file-too-large", "error", (what, "Use fewer or shorter rows."))

    def _add(self, line: int, rule: str, severity: Severity, said: tuple[str, str]) -> None:
        message, fix = said
        finding = Finding(rule=rule, severity=severity, line=line, field="", message=message, fix=fix)
        self.check.tally.add(finding, self.split, self.path.name)
