"""`polytune schema`: the JSON Schema of experiment files or of manifests, for editors and programs."""

from __future__ import annotations

from pathlib import Path

import click

from polytune import parts
from polytune.engine.manifest import manifest_schema
from polytune.engine.remembered import tool_fingerprint
from polytune.registry import has_foreign_members
from polytune.settings import load_settings
from polytune.usercache import UserCache


@click.command("schema")
@click.option("--manifest", is_flag=True, help="Print the schema of manifest.json instead.")
def command(manifest: bool) -> None:
    """Print the JSON Schema (draft 2020-12) of experiment files.

    With it, an editor can complete step kinds, base models and hyperparameters:

    polytune schema > experiments/experiment.schema.json
    """
    click.echo(manifest_text() if manifest else _remembered_text(), nl=False)


def _remembered_text() -> str:
    """The schema of experiment files, made once for each version of this program."""
    # The source files of other packages may change without a trace in the program's fingerprint.
    if has_foreign_members():
        return experiment_text()
    cache = UserCache(load_settings(Path.cwd()).cache_folder / "schemas")
    identity = tool_fingerprint()
    known = cache.get(identity)
    if known is None:
        known = experiment_text().encode()
        cache.put(identity, known)
    return known.decode()


def experiment_text() -> str:
    """The schema of experiment files with every step kind, member and base model installed here."""
    factory = parts.step_factory
    specs = {
        name: {kind: factory.member_spec(name, kind) for kind in family.names()}
        for name, family in factory.spec_families.items()
    }
    steps = specs.pop("steps")
    schema = parts.jsonschema.experiment_schema(steps, specs, factory.catalogues())
    return parts.jsonschema.schema_text(schema)


def manifest_text() -> str:
    """The schema of manifests, as committed in docs/manifest.schema.json."""
    return parts.jsonschema.schema_text(manifest_schema())
