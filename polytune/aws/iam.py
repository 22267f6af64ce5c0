"""What an IAM role allows and which services it trusts, read from its policies.

Read-only, and without IAM's policy simulator: that needs permissions of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polytune.aws.access import Access
from polytune.aws.service import Service
from polytune.errors import UsageError


@dataclass(frozen=True)
class Statement:
    """One statement of a policy; members that may be one value or a list are tuples."""

    policy: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    services: tuple[str, ...]
    """The service principals of a trust policy's statement, such as `bedrock.amazonaws.com`."""
    conditions: Mapping[str, Any]
    negated: bool = False
    """Whether it uses NotAction, NotResource or NotPrincipal; such statements are not evaluated."""


@dataclass(frozen=True)
class RoleFacts:
    """A role and its current policies."""

    arn: str
    name: str
    trust: tuple[Statement, ...]
    statements: tuple[Statement, ...]
    """The statements of its inline and attached policies."""


def role(access: Access, arn: str) -> RoleFacts:
    """The role's trust policy and all its statements.

    Raises UsageError for a string that is not a role ARN, Missing for a role that does not exist, Denied
    without iam:GetRole, iam:ListRolePolicies, iam:GetRolePolicy, iam:ListAttachedRolePolicies,
    iam:GetPolicy and iam:GetPolicyVersion.
    """
    found = re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/(?:.*/)?([\w+=,.@-]+)", arn)
    if not found:
        raise UsageError(f"'{arn}' is not a role's ARN: arn:aws:iam::<account>:role/<name>")
    name = found.group(1)
    iam = access.service("iam")
    described = iam.call("GetRole", {"RoleName": name})["Role"]
    return RoleFacts(
        arn=str(described["Arn"]),
        name=name,
        trust=statements_of("trust policy", described.get("AssumeRolePolicyDocument") or {}),
        statements=(*_inline(iam, name), *_attached(iam, name)),
    )


def statements_of(policy: str, document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a policy document, whose `Statement` may be one object or a list."""
    held = document.get("Statement", ())
    return tuple(_statement(policy, one) for one in ([held] if isinstance(held, Mapping) else held))


def allows(statements: Sequence[Statement], action: str, resource: str) -> bool:
    """Whether a statement allows the action on the resource and no statement denies it.

    Conditions count as met in an Allow and as unmet in a Deny. `resource` may end with `*`: then everything
    below it must be covered.
    """
    # Lenient on purpose: a check before a run must not block a role that does work, and conditions depend
    # on the request. AWS itself has the last word when the job starts.
    matching = [one for one in statements if not one.negated and _covers(one, action, resource)]
    unconditional_deny = any(one.effect == "Deny" and not one.conditions for one in matching)
    return not unconditional_deny and any(one.effect == "Allow" for one in matching)


def trusts(facts: RoleFacts, service: str) -> bool:
    """Whether the service, such as `bedrock.amazonaws.com`, may assume the role; conditions count as met."""
    return any(
        one.effect == "Allow" and service in one.services and _matches_any(one.actions, "sts:AssumeRole")
        for one in facts.trust
        if not one.negated
    )


def _inline(iam: Service, name: str) -> Iterator[Statement]:
    for policy in iam.pages("ListRolePolicies", {"RoleName": name}, "PolicyNames"):
        held = iam.call("GetRolePolicy", {"RoleName": name, "PolicyName": policy})
        yield from statements_of(str(policy), held["PolicyDocument"])


def _attached(iam: Service, name: str) -> Iterator[Statement]:
    for policy in iam.pages("ListAttachedRolePolicies", {"RoleName": name}, "AttachedPolicies"):
        # GetPolicy returns only metadata; the document belongs to a version.
        arn = policy["PolicyArn"]
        version = iam.call("GetPolicy", {"PolicyArn": arn})["Policy"]["DefaultVersionId"]
        held = iam.call("GetPolicyVersion", {"PolicyArn": arn, "VersionId": version})
        yield from statements_of(str(policy["PolicyName"]), held["PolicyVersion"]["Document"])


def _statement(policy: str, held: Mapping[str, Any]) -> Statement:
    principal = held.get("Principal")
    # "Principal": "*" is the only form that is not an object.
    services = principal.get("Service", ()) if isinstance(principal, Mapping) else principal or ()
    return Statement(
        policy=policy,
        # IAM requires Effect; without one, the safe reading is the one that grants nothing.
        effect=str(held.get("Effect", "Deny")),
        actions=_many(held.get("Action", ())),
        resources=_many(held.get("Resource", ())),
        services=_many(services),
        conditions=held.get("Condition") or {},
        negated=any(member in held for member in ("NotAction", "NotResource", "NotPrincipal")),
    )


def _many(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _covers(statement: Statement, action: str, resource: str) -> bool:
    return _matches_any(statement.actions, action) and _matches_any(statement.resources, resource, exact=True)


def _matches_any(patterns: Sequence[str], value: str, *, exact: bool = False) -> bool:
    # IAM compares actions without regard to case, resources with it.
    flags = re.DOTALL if exact else re.DOTALL | re.IGNORECASE
    return any(re.fullmatch(_as_regex(pattern), value, flags) for pattern in patterns)


def _as_regex(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
