"""`polytune model info`: shows the catalogue's facts about one base model, with their sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.base_models.interface import BaseModelEntry, Hyperparameter, Limits, Offering, find_base_model
from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli._table import table
from polytune.data.prices import prices_of

unknown = "unknown"


@click.command("info")
@click.argument("name")
@click.option("--live-prices", is_flag=True, help="Ask the platform's price list; needs credentials.")
@platforms.platform_options
@options.as_json
def command(
    name: str,
    live_prices: bool,
    choice: PlatformChoice,
    as_json: bool,
) -> None:
    """Show what is known about the base model NAME: a short name, an AWS id, an ARN, or a folder.

    Every fact has a date and a source; a fact without a source is shown as unknown.
    """
    opened = choice.opened()
    entry = find_base_model(name, Path.cwd())
    prices = msgspec.to_builtins(prices_of(entry, opened.settings)) if entry.prices else {}
    looked_up: dict[str, float] = {}
    # Opt-in: the price list needs credentials, and `info` must work without an account.
    if live_prices:
        for each in choice.managements(opened):
            looked_up |= each.live_prices(entry)
        if not looked_up:
            click.echo("the price list could not be asked, or does not have this model", err=True)
    # A price read now is more reliable than the catalogue's, which has a date.
    prices |= looked_up
    if as_json:
        click.echo(msgspec.json.encode(msgspec.to_builtins(entry) | {"prices": prices or None}))
        return
    click.echo("\n".join(_lines(entry, prices, looked_up)))


def _lines(entry: BaseModelEntry, prices: Mapping[str, Any], live: Mapping[str, float]) -> Iterator[str]:
    yield f"{entry.name}   {entry.title}   {', '.join(entry.platforms)}"
    yield from _labelled(_identity(entry))
    for kind in entry.customizations:
        yield f"{kind.replace('_', ' ')}"
        yield from _labelled(_training(entry, kind))
    for kind, reason in entry.refused.items():
        yield f"no {kind.replace('_', ' ')}: {reason}"
    if prices:
        yield "prices in US dollars"
        yield from _labelled(
            (name.replace("_usd", "").replace("_", " "), _price(value) + ("   live" if name in live else ""))
            for name, value in prices.items()
        )
    yield "sources"
    for source in entry.sources:
        yield f"  {source.date}  {source.where}"
        yield f"      for {', '.join(source.covers)}"


def _identity(entry: BaseModelEntry) -> Iterator[tuple[str, str]]:
    for platform, offering in entry.platforms.items():
        if len(entry.platforms) > 1:
            yield "platform", platform
        yield from _offered(offering)
    yield "context", f"{entry.context_tokens:,} tokens" if entry.context_tokens else unknown
    yield "longest answer", f"{entry.max_output_tokens:,} tokens" if entry.max_output_tokens else unknown
    yield "capabilities", ", ".join(entry.capabilities)
    yield "end of life", entry.end_of_life or "none announced"


def _offered(offering: Offering) -> Iterator[tuple[str, str]]:
    yield "training id", offering.training_id or "none: it cannot be trained"
    yield "inference id", offering.inference_id
    yield "profile", offering.profile_id or unknown
    if offering.other_ids:
        yield "also known as", ", ".join(offering.other_ids)
    yield "regions", ", ".join(offering.regions) or "this machine"
    yield "deployment", ", ".join(offering.deployments) or "needs none, or has none"


def _training(entry: BaseModelEntry, kind: Any) -> Iterator[tuple[str, str]]:
    yield "formats", ", ".join(entry.formats_of(kind))
    limits = entry.limits_of(kind)
    if limits:
        yield "rows", _rows(limits)
        tokens = limits.max_tokens_per_row
        yield "longest row", f"{tokens:,} tokens" if tokens else unknown
    if kind == "distillation":
        yield "teachers", ", ".join(entry.teachers) or "none"
        return
    known = entry.reinforcement if kind == "reinforcement_fine_tuning" else entry.hyperparameters
    for word, parameter in (known or {}).items():
        yield word, f"{parameter.allowed}{_default(parameter)}   sent as {parameter.api_name}"


def _rows(limits: Limits) -> str:
    most = f"to {limits.max_rows:,}" if limits.max_rows else "and more"
    return f"{limits.min_train_rows:,} {most}, {limits.advised_train_rows:,} or more advised"


def _default(parameter: Hyperparameter) -> str:
    if parameter.default is None:
        return ", must be stated" if parameter.required else ""
    shown = parameter.default if isinstance(parameter.default, str) else f"{parameter.default:g}"
    return f", default {shown}"


def _price(value: float | None) -> str:
    return unknown if value is None else f"{value:g}"


def _labelled(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield from (f"  {line}" for line in table([list(row) for row in rows]))
