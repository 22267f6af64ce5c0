"""How the commands of `polytune data` count tokens: exactly here, calibrated by Bedrock, or estimated."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click

from polytune.cli._account import access_to, region_of, settings_of
from polytune.errors import PolytuneError
from polytune.lazy import part

counted_rows = 48
"""Rows whose texts Bedrock counts; the rest of the file is estimated in proportion."""
looked_at_rows = 4800

offline = click.option(
    "--offline", is_flag=True, help="Count without asking Bedrock, even where credentials are stated."
)


def counter_for(entry: Any, file: Path, *, offline: bool) -> Any:
    """The best counter for a base model and a file.

    For a model of Bedrock, where the environment states credentials, CountTokens counts a few dozen rows
    and the estimate is calibrated on them; when that fails, a line says why, and the estimate is plain.
    """
    here = part("data.tokens").counter_for(entry)
    settings = settings_of(None)
    stated = part("platforms.bedrock.platform").credential_variables
    asked = any(settings.environment.get(name) for name in stated)
    offering = entry.platforms.get("bedrock") if entry is not None else None
    if offline or not asked or offering is None:
        return here
    region = region_of(settings, None)
    access = access_to(settings, region if region in offering.regions else offering.regions[0])
    try:
        exact = part("platforms.bedrock.tokens").BedrockTokens(access, offering.inference_id)
        return part("data.tokens").CalibratedTokens(exact, _texts(file))
    except PolytuneError as error:
        click.echo(f"tokens are estimated: {error}", err=True)
        return here


def _texts(file: Path) -> list[str]:
    """Prompts and answers of rows spread over the beginning of the file."""
    reading = part("data.reading")
    read = islice(reading.read_rows(file), looked_at_rows)
    rows = [row for row in read if isinstance(row, reading.Row)]
    step = max(1, len(rows) // counted_rows)
    chosen = rows[::step][:counted_rows]
    return [text for row in chosen for text in (row.prompt, row.answer) if text.strip()]
