"""`polytune iam FILE`: the trust and permission policies that exactly this experiment needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from polytune.cli import _account as account
from polytune.cli import _experiment as experiment
from polytune.cli import options
from polytune.errors import PolytuneError, UsageError
from polytune.lazy import part
from polytune.wiring import Desk

role = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<name>[^/]+)")
formats = ("json", "terraform", "cloudformation")


@click.command("iam")
@options.experiment_file
@click.option("--format", "form", type=click.Choice(formats), default="json", show_default=True)
@click.option(
    "--account", "owner", metavar="ID", help="12 digits. Default: the role's account, else the caller's."
)
@options.overrides
@options.variant
@options.workspace
@options.as_json
def command(file: Path, form: str, owner: str | None, as_json: bool, **said: Any) -> None:
    """Print the policies for an experiment: whom the service role trusts, what it may do, what you may do.

    They name this experiment's buckets and prefixes, keys, network, graders and models, and nothing else.
    --json is --format json.
    """
    if as_json and form != "json":
        raise UsageError("--json is --format json; give one of them")
    desk = Desk.open(file, said["workspace"])
    chosen = options.variants(desk, file, said["overrides"], said["variant"])
    wanted = experiment.one_of([experiment.wanted_of(desk, each) for each in chosen], file)
    wants = wanted.wants
    if not wants.places.bucket:
        raise UsageError(f"{file}: platform.bucket is not set (or BEDROCK_TRAINING_BUCKET): name the bucket")
    owner, partition, name = _role(wants, owner, desk)
    arn = wants.places.role_arn or f"arn:{partition}:iam::{owner}:role/{name}"
    policies = part("aws.policies")
    facts = wants.policy_facts(owner, partition)
    documents = part("aws.policyfiles").Policies(
        role_name=name,
        trust=policies.trust_policy(facts),
        service=policies.service_policy(facts),
        caller=policies.caller_policy(facts, arn),
    )
    click.echo(getattr(part("aws.policyfiles"), f"as_{form}")(documents), nl=False)


def _role(wants: Any, owner: str | None, desk: Desk) -> tuple[str, str, str]:
    """The account, the partition and the role's name. Raises UsageError when nobody tells the account."""
    if owner is not None and not re.fullmatch(r"[0-9]{12}", owner):
        raise UsageError(f"--account {owner}: an AWS account is 12 digits")
    found = role.fullmatch(wants.places.role_arn)
    if wants.places.role_arn and not found:
        raise UsageError(f"'{wants.places.role_arn}' is not a role's ARN: arn:aws:iam::ACCOUNT:role/NAME")
    name = found["name"] if found else f"polytune-{wants.project}"[:64]
    partition = found["partition"] if found else "aws"
    return owner or (found["account"] if found else _callers(wants, desk)), partition, name


def _callers(wants: Any, desk: Desk) -> str:
    access = account.access_to(desk.settings, wants.places.region)
    try:
        return str(access.account())
    except PolytuneError as failure:
        raise UsageError(
            f"no role and no credentials tell the account: give --account. {failure}"
        ) from failure
