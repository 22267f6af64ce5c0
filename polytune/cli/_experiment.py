"""An experiment file as `doctor` and `iam` read it: what it wants of an AWS account."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytune.cli import _account as account
from polytune.engine.compiled import Compiled
from polytune.errors import UsageError
from polytune.lazy import part
from polytune.wiring import Desk


@dataclass(frozen=True)
class Wanted:
    """One experiment, or one of its variants."""

    compiled: Compiled
    wants: Any
    """A `_bedrock_wants.Wants`; None when no step works on Bedrock."""


def wanted_of(desk: Desk, compiled: Compiled) -> Wanted:
    """What a compiled experiment wants."""
    factory = desk.step_factory(compiled)
    for step in compiled.steps:
        platform = step.spec.get("platform")
        if isinstance(platform, dict) and platform.get("kind") == "bedrock":
            working: Any = factory.step(step)
            made = working.platform
            wants = part("platforms.bedrock.requirements").wants_of
            return Wanted(compiled, wants(compiled, made.places, made.spec.assume_role_arn))
    return Wanted(compiled, None)


def stated(settings: Any, region: str | None, bucket: str, role_arn: str) -> Any:
    """A `_bedrock_wants.Wants` out of options and the environment, without any file."""
    defaults = part("aws.variables").Defaults.of(settings.environment)
    chosen = bucket.removeprefix("s3://").rstrip("/") or defaults.bucket
    places = part("platforms.bedrock.requests").Places(
        region=account.region_of(settings, region),
        bucket=chosen,
        output_bucket=defaults.output_bucket or chosen,
        prefix="polytune",
        role_arn=role_arn or defaults.role_arn,
        kms_key_arn=defaults.kms_key_arn,
        subnet_ids=defaults.subnet_ids,
        security_group_ids=defaults.security_group_ids,
    )
    return part("platforms.bedrock.requirements").Wants(project="", places=places, invokes=True)


def one_of(found: list[Wanted], file: Path) -> Wanted:
    """The variant that works on Bedrock. Raises UsageError when none does."""
    chosen = [each for each in found if each.wants is not None]
    if not chosen:
        raise UsageError(f"{file}: no step works on Bedrock; it needs no rights in an account")
    return chosen[0]
