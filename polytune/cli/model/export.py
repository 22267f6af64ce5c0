"""`polytune model export`: writes an application's configuration for a model of a run or of the account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.base_models.interface import BASE_MODELS, BaseModelEntry
from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli.model._target import RunModel, run_model
from polytune.errors import UsageError
from polytune.exporters.interface import EXPORTERS, ModelConfig, catalogued, option_problems
from polytune.files import write_whole
from polytune.platforms.management import AnsweringModel, Management, find_among


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
@platforms.platform_options
@options.as_json
def command(
    model: str, kind: str, output: Path | None, as_json: bool, choice: PlatformChoice, **flags: Any
) -> None:
    """Write the configuration of the model made by a RUN (its id, or an experiment).

    MODEL is a deployment, an imported model or a custom model, by ARN or name. Context, prices and
    capabilities come from the base model's catalogue entry.
    """
    chosen = _options(kind, flags["chosen"])
    opened = choice.opened()
    asked = choice.managements(opened)
    # A platform's identifier, such as an ARN, is never the name of a run.
    found = None if any(each.owns(model) for each in asked) else run_model(opened, model)
    if found:
        config = _of_run(found)
    else:
        home, answering = find_among(platforms.owners(asked, model), lambda each: each.answering(model))
        config = _of_platform(home, answering, model)
    given = {field: flags[field] for field in ("name", "system") if flags[field] is not None}
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
    """The exporter's options by name. Raises UsageError for an unknown option or value."""
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
    entry = _entry(config.base_model)
    return catalogued(config, entry) if entry else config


def _of_platform(home: Management, found: AnsweringModel, name: str) -> ModelConfig:
    if not found.custom:
        raise UsageError(f"{name} is a base model: there is nothing of yours to export")
    # The account does not know the training layout or the system prompt: the base's first format is a guess,
    # and --system sets the prompt.
    entry = _entry(found.base)
    config = ModelConfig(
        name=found.name,
        uri=found.id,
        platform=home.name,
        region=found.region or None,
        deployment_kind=found.deployment_kind or None,
        base_model=found.base,
        layout=entry.formats[0] if entry else "",
        system="",
    )
    return catalogued(config, entry) if entry else config


def _entry(name: str) -> BaseModelEntry | None:
    return BASE_MODELS.get(name) if name in BASE_MODELS.names() else None
