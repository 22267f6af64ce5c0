"""`polytune model export`: what an application needs to use the model of a run, or one of the account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli.model._target import RunModel, run_model
from polytune.errors import UsageError
from polytune.exporters.interface import EXPORTERS, ModelConfig, catalogued, option_problems
from polytune.files import write_whole
from polytune.platforms.bedrock import models as models
from polytune.platforms.bedrock.resources import Inventory
from polytune.wiring import Desk


@click.command("export")
@click.argument("model", metavar="RUN|MODEL")
@click.option("--to", "kind", required=True, metavar="KIND", help="polychat_ts, typescript, python, ...")
@click.option(
    "--option", "chosen", multiple=True, metavar="NAME=VALUE", help="As in --option shape=model_definition."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output."
)
@click.option("--name", metavar="NAME", help="What the application calls it. Default: the experiment's name.")
@click.option("--system", metavar="TEXT", help="The system prompt. Default: what the run trained with.")
@account.region_option
@options.workspace
@options.as_json
def command(model: str, kind: str, output: Path | None, as_json: bool, **said: Any) -> None:
    """Write the configuration of the model that a run (its id, or an experiment) made.

    MODEL may also be a deployment, an imported or a custom model by ARN or name. Context, prices and
    capabilities come from the base model's catalogue entry.
    """
    chosen = _options(kind, said["chosen"])
    desk = Desk.open(None, said["workspace"])
    found = None if model.startswith("arn:") else run_model(desk, model)
    config = _of_run(found) if found else _of_account(desk, model, said["region"])
    given = {field: said[field] for field in ("name", "system") if said[field] is not None}
    config = msgspec.structs.replace(config, **given)
    text = EXPORTERS.load(kind)(chosen).render(config)
    if output is not None:
        write_whole(output, text.encode())
        click.echo(f"{output}   {config.uri}", err=True)
    if as_json:
        click.echo(
            msgspec.json.encode({"config": config, "to": kind, "path": str(output or ""), "text": text})
        )
    elif output is None:
        click.echo(text, nl=False)


def _options(kind: str, stated: tuple[str, ...]) -> dict[str, str]:
    """The exporter's options by name. Raises UsageError for one that it does not have."""
    wrong = [each for each in stated if "=" not in each]
    if wrong:
        raise UsageError(f"--option {wrong[0]}: write NAME=VALUE")
    chosen = dict(each.split("=", 1) for each in stated)
    problems = option_problems(kind, chosen)
    if problems:
        raise UsageError(
            "; ".join(f"--option {each.field.partition('.')[2]}: {each.what}" for each in problems)
        )
    return chosen


def _of_run(found: RunModel) -> ModelConfig:
    facts = found.artifact.facts
    config = ModelConfig(
        name=found.row.experiment,
        experiment=found.row.experiment,
        project=found.manifest.project,
        uri=found.platform.address(found.artifact),
        platform=found.platform.name,
        region=facts.get("region"),
        deployment_kind=facts.get("deployment"),
        base_model=facts.get("base_model", ""),
        layout=facts.get("layout", ""),
        system=facts.get("system", ""),
        parameters=facts.get("parameters"),
        digest=found.artifact.digest,
    )
    entry = models.entry_of(config.base_model)
    return catalogued(config, entry) if entry else config


def _of_account(desk: Desk, name: str, region: str | None) -> ModelConfig:
    access = account.access_to(desk.settings, account.region_of(desk.settings, region, name))
    inventory = Inventory(access)
    answering = models.Models(inventory, desk.settings).answering(name)
    if not answering.custom:
        raise UsageError(f"{name} is a base model: there is nothing of yours to export")
    entry = models.entry_of(answering.base)
    config = ModelConfig(
        name=models.Models(inventory, desk.settings).find(answering.model_arn).name,
        uri=answering.target.model_id,
        platform="bedrock",
        region=access.region,
        deployment_kind=answering.kind or None,
        base_model=answering.base,
        layout=entry.formats[0] if entry else "",
        system="",
    )
    return catalogued(config, entry) if entry else config
