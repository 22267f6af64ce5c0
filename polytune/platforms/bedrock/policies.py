"""The IAM policies that exactly one experiment needs, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from polytune.aws.access import Access
from polytune.aws.policies import caller_policy, service_policy, trust_policy
from polytune.aws.policyfiles import Policies, as_cloudformation, as_json, as_terraform
from polytune.errors import PolytuneError, UsageError
from polytune.platforms.bedrock.requirements import AccountRequirements

role_arn = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<name>[^/]+)"
)
writers = {"json": as_json, "terraform": as_terraform, "cloudformation": as_cloudformation}


def policies(needed: AccountRequirements, form: str, account: str, environment: Mapping[str, str]) -> str:
    """The policies in one of the forms of `writers`.

    `account` is '' for the role's account, else the caller's. Raises UsageError when nobody tells it.
    """
    if not needed.places.bucket:
        raise UsageError("platform.bucket is not set (or BEDROCK_TRAINING_BUCKET): name the bucket")
    if account and not re.fullmatch(r"[0-9]{12}", account):
        raise UsageError(f"--account {account}: an AWS account is 12 digits")
    stated = needed.places.role_arn
    found = role_arn.fullmatch(stated)
    if stated and not found:
        raise UsageError(f"'{stated}' is not a role's ARN: arn:aws:iam::ACCOUNT:role/NAME")
    name = found["name"] if found else f"polytune-{needed.project}"[:64]
    partition = found["partition"] if found else "aws"
    owner = account or (found["account"] if found else _callers_account(needed.places.region, environment))
    facts = needed.policy_facts(owner, partition)
    documents = Policies(
        role_name=name,
        trust=trust_policy(facts),
        service=service_policy(facts),
        caller=caller_policy(facts, stated or f"arn:{partition}:iam::{owner}:role/{name}"),
    )
    return writers[form](documents)


def _callers_account(region: str, environment: Mapping[str, str]) -> str:
    try:
        return Access(region=region, environment=environment).account()
    except PolytuneError as failure:
        raise UsageError(
            f"no role and no credentials tell the account: give --account. {failure}"
        ) from failure
