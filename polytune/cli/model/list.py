"""`polytune model list`: lists the catalogue, compared with the models that the region offers now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import msgspec

from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, Customization
from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli._table import moment, table
from polytune.errors import PolytuneError, Unavailable, UsageError
from polytune.platforms.management import ManagedModel, Management, OfferedModels

customized, invoked, absent = "customized here", "only invoked here", "not here"


@dataclass(frozen=True)
class LivePlatforms:
    """The models that platforms offer now, by platform; a platform without such a list is left out."""

    offered: Mapping[str, OfferedModels]

    def presence(self, entry: BaseModelEntry) -> str:
        """How the model's platforms offer it now; '' when none of them could be queried."""
        known = [each for name, each in self.offered.items() if name in entry.platforms]
        found = [
            each.customizations[one] for each in known for one in entry.ids if one in each.customizations
        ]
        # Not known is not the same as absent.
        if all(each.failure for each in known):
            return ""
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
@platforms.platform_options
@options.as_json
def command(
    kinds: Customization | None,
    custom: bool,
    choice: PlatformChoice,
    as_json: bool,
) -> None:
    """List base models, checked live if there are credentials, else from the catalogue only.

    The output says which. Reinforcement fine-tuning and distillation pairs always come from the catalogue,
    because no API call returns them.
    """
    if custom and kinds:
        raise UsageError("--custom lists your own models; it goes with none of the other choices")
    asked = choice.managements()
    if custom:
        _own(asked, as_json)
        return
    found = {each.name: offered for each in asked if (offered := each.offered_models()) is not None}
    live = LivePlatforms(found)
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
    for each in live.offered.values():
        click.echo(_source(each), err=True)


def _others(
    live: LivePlatforms, entries: Sequence[BaseModelEntry], kind: Customization | None
) -> dict[str, tuple[str, ...]]:
    """Models that a platform can customize and that are not in the catalogue."""
    known = {each for entry in entries for each in entry.ids}
    wanted = kind.upper() if kind else ""
    return {
        name: types
        for offered in live.offered.values()
        for name, types in offered.customizations.items()
        if types and name not in known and (not wanted or wanted in types)
    }


def _row(entry: BaseModelEntry, live: LivePlatforms) -> list[str]:
    types = ", ".join(each.replace("_", " ") for each in entry.customizations) or "teacher only"
    where = "; ".join(", ".join(each.regions) or "this machine" for each in entry.platforms.values())
    if entry.customizations and all(each.untrained_because for each in entry.platforms.values()):
        types += " (OpenAI-compatible endpoint, not called by polytune)"
    return [entry.name, entry.title, types, where, live.presence(entry)]


def _pairs(entries: Sequence[BaseModelEntry], live: LivePlatforms) -> Iterator[list[str]]:
    for student in entries:
        for name in student.teachers:
            teacher = BASE_MODELS.get(name)
            presence = f"teacher {live.presence(teacher)}, student {live.presence(student)}"
            live_words = presence if live.presence(student) else ""
            yield [f"{name} teaches", student.name, student.offering.training_id or "", live_words]


def _source(offered: OfferedModels) -> str:
    if offered.failure:
        return f"from the catalogue only; the region could not be asked: {offered.failure}"
    return f"the catalogue, checked against the models that {offered.region} has now"


def _as_json(
    entries: Sequence[BaseModelEntry],
    others: dict[str, tuple[str, ...]],
    live: LivePlatforms,
    kind: Customization | None,
) -> dict[str, Any]:
    first = next(iter(live.offered.values()), None)
    shown: dict[str, Any] = {
        "source": "live" if first and not first.failure else "catalogue",
        "region": first.region if first else "",
        "failure": first.failure if first else "",
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


def _own(asked: Sequence[Management], as_json: bool) -> None:
    found: list[ManagedModel] = []
    for each in asked:
        try:
            found += each.models()
        except PolytuneError as failure:
            # A platform that is not set up here has no models; any other failure would hide some.
            if len(asked) == 1 or not isinstance(failure, Unavailable):
                raise
            click.echo(f"{each.name} could not be asked: {failure}", err=True)
    if as_json:
        click.echo(msgspec.json.encode([platforms.with_arn(msgspec.to_builtins(each)) for each in found]))
        return
    rows = [
        [each.name, each.kind, each.base or each.base_id, each.status, moment(each.created), each.id]
        for each in found
    ]
    click.echo("\n".join(table(rows)) or "no custom or imported models", err=not rows)
