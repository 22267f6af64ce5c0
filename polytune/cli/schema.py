"""`polytune schema`: the JSON Schema of experiment files or of manifests, for editors and programs."""

from __future__ import annotations

import click

from polytune.engine.manifest import manifest_schema
from polytune.spec import jsonschema
from polytune.step_factory import catalogues, member_spec, spec_families


@click.command("schema")
@click.option("--manifest", is_flag=True, help="Print the schema of manifest.json instead.")
def command(manifest: bool) -> None:
    """Print the JSON Schema (draft 2020-12) of experiment files.

    With it, an editor can complete step kinds, base models and hyperparameters:

    polytune schema > experiments/experiment.schema.json
    """
    click.echo(manifest_text() if manifest else experiment_text(), nl=False)


def experiment_text() -> str:
    """The schema of experiment files with every step kind, member and base model installed here."""
    specs = {
        name: {kind: member_spec(name, kind) for kind in family.names()}
        for name, family in spec_families.items()
    }
    steps = specs.pop("steps")
    schema = jsonschema.experiment_schema(steps, specs, catalogues())
    return jsonschema.schema_text(schema)


def manifest_text() -> str:
    """The schema of manifests, as committed in docs/manifest.schema.json."""
    return jsonschema.schema_text(manifest_schema())
