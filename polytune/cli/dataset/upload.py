"""`polytune dataset upload`: data files in a bucket under their content, so that nothing is sent twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.aws.failures import Missing
from polytune.aws.objects import Objects
from polytune.aws.places import content_uri
from polytune.aws.variables import Defaults
from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli.validate import split_files
from polytune.errors import UsageError
from polytune.files import digest_of


@click.command("upload")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--bucket", default="", metavar="NAME", help="Default: BEDROCK_TRAINING_BUCKET.")
@click.option("--prefix", default="polytune", show_default=True, help="What the keys begin with.")
@click.option("--project", default="default", show_default=True, help="The next part of the keys.")
@click.option("--kms-key-arn", default="", metavar="ARN", help="Default: BEDROCK_KMS_KEY_ARN, else S3's own.")
@account.region_option
@options.workspace
@options.as_json
def command(files: tuple[Path, ...], as_json: bool, **said: Any) -> None:
    """Store FILEs as <prefix>/<project>/sha256-<digest>/<split>.jsonl and print their addresses.

    The split is the file's name: train.jsonl, validation.jsonl. What is there already is not sent again; S3
    verifies each upload's SHA-256. A job can be started with the addresses by any tool.
    """
    settings = account.settings_of(said["workspace"])
    defaults = Defaults.of(settings.environment)
    bucket = said["bucket"].removeprefix("s3://").rstrip("/") or defaults.bucket
    if not bucket:
        raise UsageError("no bucket: give --bucket, or set BEDROCK_TRAINING_BUCKET")
    region = account.region_of(settings, said["region"])
    objects = Objects(account.access_to(settings, region))
    by_split = split_files(files)
    digests = {split: digest_of(path) for split, path in by_split.items()}
    uris = {
        split: content_uri(bucket, said["prefix"], said["project"], digests[split], f"{split}{path.suffix}")
        for split, path in by_split.items()
    }
    try:
        lies = objects.bucket_region(bucket)
    except Missing as failure:
        raise UsageError(f"bucket {bucket} does not exist; make it in {region}, or name another") from failure
    if lies != region:
        raise UsageError(
            f"bucket {bucket} is in {lies}, and jobs of {region} cannot read it: --region {lies}"
        )
    key = said["kms_key_arn"] or defaults.kms_key_arn
    sent = {}
    for split, path in by_split.items():
        sent[split] = objects.put_file(path, uris[split], digests[split], kms_key_arn=key)
        if not as_json:
            click.echo(f"{split:<12}{uris[split]}   {'sent' if sent[split] else 'was there'}")
    if as_json:
        click.echo(msgspec.json.encode({"uris": uris, "sent": sent}))
