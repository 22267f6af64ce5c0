"""`polytune dataset upload`: stores data files in a bucket by content, so that nothing is uploaded twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli.validate import split_files
from polytune.platforms.management import usual_platform


@click.command("upload")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--bucket", default="", metavar="NAME", help="Default: BEDROCK_TRAINING_BUCKET.")
@click.option("--prefix", default="polytune", show_default=True, help="What the keys begin with.")
@click.option("--project", default="default", show_default=True, help="The next part of the keys.")
@click.option("--kms-key-arn", default="", metavar="ARN", help="Default: BEDROCK_KMS_KEY_ARN, else S3's own.")
@platforms.platform_options
@options.as_json
def command(files: tuple[Path, ...], as_json: bool, choice: PlatformChoice, **said: Any) -> None:
    """Store FILEs as <prefix>/<project>/sha256-<digest>/<split>.jsonl and print their S3 URIs.

    The name of a file is its split: train.jsonl, validation.jsonl. Existing content is not uploaded again; S3
    verifies each upload's SHA-256. Any tool can start a job with the URIs.
    """
    (home,) = replace(choice, platform=choice.platform or usual_platform).managements()
    where = {name: said[name] for name in ("bucket", "prefix", "project", "kms_key_arn")}
    stored = home.upload(split_files(files), where)
    if as_json:
        uris = {split: each.uri for split, each in stored.items()}
        click.echo(msgspec.json.encode({"uris": uris, "sent": {s: each.sent for s, each in stored.items()}}))
        return
    for split, each in stored.items():
        click.echo(f"{split:<12}{each.uri}   {'sent' if each.sent else 'was there'}")
