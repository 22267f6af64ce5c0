"""`polytune dataset import`: converts files of other tools to one training layout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, get_args

import click
import msgspec

from polytune.cli import options
from polytune.errors import DataError, ExitCode, UsageError
from polytune.files import published
from polytune.formats.interface import FORMATS
from polytune.sources.interface import Columns, ImportOrigin, RefusedRow, imported

shown_bad_rows = 20


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--from", "origin", required=True, type=click.Choice(get_args(ImportOrigin)), help="What the files are."
)
@click.option("--to", "layout", required=True, metavar="LAYOUT", help="As bedrock-conversation-2024.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT")
@click.option("--prompt-column", default="", metavar="NAME", help="CSV: default prompt, question, ...")
@click.option("--answer-column", default="", metavar="NAME", help="CSV: default completion, answer, ...")
@click.option("--system-column", default="", metavar="NAME", help="CSV: default system, if there is one.")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    files: tuple[Path, ...],
    origin: ImportOrigin,
    output: Path,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Write the rows of FILEs to OUT in a training layout.

    Rows that cannot be converted are left out and reported with the reason; the exit code is then 1. A folder
    means all invocation logs in it. OUT is written only when it is complete, and not at all without any row.
    """
    made = FORMATS.load(chosen["layout"])
    if not made.takes_samples:
        raise UsageError(f"--to {chosen['layout']}: a question and its answer make no row of it")
    columns = Columns(
        prompt=chosen["prompt_column"],
        answer=chosen["answer_column"],
        system=chosen["system_column"],
    )
    if columns != Columns() and origin != "csv":
        raise UsageError("columns are for --from csv")
    if any(file.resolve() == output.resolve() for file in files):
        raise UsageError(f"{output}: is one of the files to import; write to another one")
    report = _ImportReport()
    _write(imported(files, origin, made(), columns), output, report)
    if as_json:
        click.echo(msgspec.json.encode({"rows": report.rows, "refused": report.kept, "left_out": report.bad}))
    else:
        count = f"{report.rows:,} row{'s' * (report.rows != 1)}"
        click.echo(f"{count} in {output}" if report.rows else "no rows; nothing was written")
    ctx.exit(ExitCode.FAILED if report.bad or not report.rows else ExitCode.DONE)


class _ImportReport:
    """Counts rows, and prints the first bad ones as they occur."""

    def __init__(self) -> None:
        self.rows = self.bad = 0
        self.kept: list[RefusedRow] = []

    def refuse(self, row: RefusedRow) -> None:
        self.bad += 1
        # Bounded, so that a large file of the wrong kind does not fill the memory.
        self.kept.append(row) if self.bad <= 1000 else None
        if self.bad <= shown_bad_rows:
            click.echo(row, err=True)

    def close(self) -> None:
        if self.bad > shown_bad_rows:
            click.echo(f"and {self.bad - shown_bad_rows:,} more", err=True)
        if self.bad:
            click.echo(f"{self.bad:,} row{'s' * (self.bad != 1)} left out", err=True)


class _NoRows(Exception):
    """Raised to leave `published` without publishing an empty file."""


def _write(found: Iterator[bytes | RefusedRow], output: Path, report: _ImportReport) -> None:
    try:
        # Written beside OUT and renamed at the end, so a crash leaves no half file.
        with published(output) as file:
            _rows(found, file, report)
            if not report.rows:
                raise _NoRows
    except _NoRows:
        pass
    except OSError as error:
        raise DataError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        report.close()
        sys.stderr.flush()


def _rows(found: Iterator[bytes | RefusedRow], file: IO[bytes], report: _ImportReport) -> None:
    for each in found:
        if isinstance(each, RefusedRow):
            report.refuse(each)
        else:
            file.write(each + b"\n")
            report.rows += 1
