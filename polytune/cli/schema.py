"""`polytune schema`: the JSON Schema of experiment files or of manifests, for editors and for programs."""

from __future__ import annotations

import click

from polytune.lazy import part


@click.command("schema")
@click.option("--manifest", is_flag=True, help="The schema of runs' manifest.json instead.")
def command(manifest: bool) -> None:
    """Print the JSON Schema (draft 2020-12) of experiment files.

    An editor that reads it completes step kinds, base models and hyperparameters:

    polytune schema > experiments/experiment.schema.json
    """
    click.echo(manifest_text() if manifest else experiment_text(), nl=False)


def experiment_text() -> str:
    """The schema of experiment files with every step kind, member and base model installed here."""
    parts, jsonschema = part("parts"), part("spec.jsonschema")
    specs = {
        name: {kind: parts.member_spec(name, kind) for kind in family.names()}
        for name, family in parts.spec_families.items()
    }
    steps = specs.pop("steps")
    schema = jsonschema.experiment_schema(steps, specs, parts.catalogues())
    return str(jsonschema.schema_text(schema))


def manifest_text() -> str:
    """The schema of manifests, as it is committed."""
    schema = part("engine.manifest").manifest_schema()
    return str(part("spec.jsonschema").schema_text(schema))
