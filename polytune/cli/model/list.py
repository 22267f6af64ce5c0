"""`polytune model list`: the catalogue, held against what the account's region has now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.aws.failures import AwsFailure
from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, Customization
from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli._table import table
from polytune.cli.job._text import moment
from polytune.errors import UsageError
from polytune.platforms.bedrock.models import Model, Models
from polytune.platforms.bedrock.resources import Inventory

attempts = 2
"""Tries at the live list, which is only a check: the catalogue is there anyway."""

customized, invoked, absent = "customized here", "only invoked here", "not here"


@dataclass(frozen=True)
class Live:
    """What ListFoundationModels told."""

    region: str
    customizations: dict[str, tuple[str, ...]]
    """By model id; empty for one that cannot be customized."""
    failure: str = ""
    """Why nobody could be asked."""

    def presence(self, entry: BaseModelEntry) -> str:
        """What the region has of the model; '' for a local one, or when nobody could be asked."""
        if self.failure or "bedrock" not in entry.platforms:
            return ""
        found = [self.customizations[each] for each in entry.ids if each in self.customizations]
        return customized if any(found) else invoked if found else absent


@click.command("list")
@click.option("--fine-tuning", "kinds", flag_value="fine_tuning", help="Those that can be fine-tuned.")
@click.option("--distillation", "kinds", flag_value="distillation", help="Pairs of teacher and student.")
@click.option(
    "--reinforcement",
    "kinds",
    flag_value="reinforcement_fine_tuning",
    help="Those that take reinforcement fine-tuning.",
)
@click.option("--custom", is_flag=True, help="The account's own models instead: customized and imported.")
@account.region_option
@options.workspace
@options.as_json
def command(
    kinds: Customization | None, custom: bool, region: str | None, workspace: Path | None, as_json: bool
) -> None:
    """List base models: live when there are credentials, else as the catalogue has them.

    The output says which. Reinforcement fine-tuning and distillation pairs are the catalogue's in both
    cases: no call tells them.
    """
    if custom and kinds:
        raise UsageError("--custom lists your own models; it goes with none of the other choices")
    settings = account.settings_of(workspace)
    access = account.access_to(settings, account.region_of(settings, region))
    if custom:
        _own(Models(Inventory(access), settings).owned(), as_json)
        return
    live = _live(Inventory(access, attempts=attempts))
    entries = [BASE_MODELS.get(name) for name in BASE_MODELS.names()]
    chosen = [entry for entry in entries if kinds is None or kinds in entry.customizations]
    others = _others(live, entries, kinds)
    if as_json:
        click.echo(msgspec.json.encode(_as_json(chosen, others, live, kinds)))
        return
    rows = list(_pairs(chosen, live)) if kinds == "distillation" else [_row(each, live) for each in chosen]
    click.echo("\n".join(table(rows)))
    for name, types in others.items():
        click.echo(f"{name}   {', '.join(types)}   not in the catalogue: polytune cannot train it yet")
    click.echo(_source(live), err=True)


def _live(inventory: Inventory) -> Live:
    region = inventory.access.region
    try:
        found = inventory.bedrock.call("ListFoundationModels", {})["modelSummaries"]
    except AwsFailure as failure:
        return Live(region, {}, str(failure))
    return Live(region, {one["modelId"]: tuple(one.get("customizationsSupported") or ()) for one in found})


def _others(
    live: Live, entries: Sequence[BaseModelEntry], kind: Customization | None
) -> dict[str, tuple[str, ...]]:
    """Models that the region customizes and no entry describes."""
    known = {each for entry in entries for each in entry.ids}
    wanted = kind.upper() if kind else ""
    return {
        name: types
        for name, types in live.customizations.items()
        if types and name not in known and (not wanted or wanted in types)
    }


def _row(entry: BaseModelEntry, live: Live) -> list[str]:
    types = ", ".join(each.replace("_", " ") for each in entry.customizations) or "teacher only"
    where = "; ".join(", ".join(each.regions) or "this machine" for each in entry.platforms.values())
    if entry.customizations and all(each.untrained_because for each in entry.platforms.values()):
        types += " (OpenAI-compatible endpoint, not called by polytune)"
    return [entry.name, entry.title, types, where, live.presence(entry)]


def _pairs(entries: Sequence[BaseModelEntry], live: Live) -> Iterator[list[str]]:
    for student in entries:
        for name in student.teachers:
            teacher = BASE_MODELS.get(name)
            presence = f"teacher {live.presence(teacher)}, student {live.presence(student)}"
            told = presence if live.presence(student) else ""
            yield [f"{name} teaches", student.name, student.offering.training_id or "", told]


def _source(live: Live) -> str:
    if live.failure:
        return f"from the catalogue only; the region could not be asked: {live.failure}"
    return f"the catalogue, held against what ListFoundationModels tells of {live.region}"


def _as_json(
    entries: Sequence[BaseModelEntry],
    others: dict[str, tuple[str, ...]],
    live: Live,
    kind: Customization | None,
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "source": "catalogue" if live.failure else "live",
        "region": live.region,
        "failure": live.failure,
        "models": [
            {
                "name": entry.name,
                "title": entry.title,
                "training_id": entry.offering.training_id,
                "inference_id": entry.offering.inference_id,
                "customizations": entry.customizations,
                "regions": entry.offering.regions,
                "live": live.presence(entry),
            }
            for entry in entries
        ],
        "not_in_catalogue": others,
    }
    if kind == "distillation":
        shown["pairs"] = [
            {"teacher": teacher, "student": entry.name} for entry in entries for teacher in entry.teachers
        ]
    return shown


def _own(models: Sequence[Model], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(models))
        return
    rows = [
        [each.name, each.kind, each.base or each.base_arn, each.status, moment(each.created), each.arn]
        for each in models
    ]
    click.echo("\n".join(table(rows)) or "no custom or imported models", err=not rows)
