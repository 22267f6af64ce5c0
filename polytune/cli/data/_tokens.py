"""How the commands of `polytune data` count tokens: exactly, calibrated by a platform, or estimated."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from polytune.base_models.interface import BaseModelEntry
from polytune.cli._platforms import PlatformChoice
from polytune.data import tokens
from polytune.data.reading import Row, read_rows
from polytune.errors import PolytuneError
from polytune.platforms.management import MANAGEMENTS
from polytune.wiring import OpenWorkspace

counted_rows = 48
"""Rows whose texts the platform counts; the rest of the file is estimated in proportion."""
looked_at_rows = 4800

offline = click.option(
    "--offline", is_flag=True, help="Count without asking a platform, even where credentials are stated."
)


def counter_for(entry: BaseModelEntry | None, file: Path, *, offline: bool) -> tokens.TokenCounter:
    """The best counter for a base model and a file.

    Where a platform of the model counts tokens itself and can be asked, it counts a few dozen rows and the
    estimate is calibrated on them; when that fails, a line says why, and the estimate is plain.
    """
    here = tokens.counter_for(entry)
    if offline or entry is None or here.exact:
        return here
    opened = OpenWorkspace.open(None, None)
    for name in entry.platforms:
        if name not in MANAGEMENTS.names():
            continue
        (platform,) = PlatformChoice(name).managements(opened)
        try:
            if (exact := platform.token_counter(entry)) is not None:
                return tokens.CalibratedTokens(exact, _texts(file))
        except PolytuneError as error:
            click.echo(f"tokens are estimated: {error}", err=True)
    return here


def _texts(file: Path) -> list[str]:
    """Prompts and answers of rows spread over the beginning of the file."""
    read = islice(read_rows(file), looked_at_rows)
    rows = [row for row in read if isinstance(row, Row)]
    step = max(1, len(rows) // counted_rows)
    chosen = rows[::step][:counted_rows]
    return [text for row in chosen for text in (row.prompt, row.answer) if text.strip()]
