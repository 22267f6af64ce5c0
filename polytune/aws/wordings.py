"""Messages of AWS that say more than their error code does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from polytune.aws.remedies import REMEDIES, Kind, Remedy


@dataclass(frozen=True)
class Wording:
    """A phrase and what it means."""

    pattern: re.Pattern[str]
    remedy: Remedy


def _wording(pattern: str, kind: Kind, advice: str) -> Wording:
    return Wording(re.compile(pattern, re.IGNORECASE), Remedy(kind, advice))


WORDINGS: tuple[Wording, ...] = (
    _wording(
        r"security token .*(expired|invalid)|credentials? (has|have|is|are) expired",
        Kind.CREDENTIALS,
        "Sign in again (`aws sso login`, or fresh keys in the environment or .env), then run it again.",
    ),
    _wording(
        r"name is currently in use|already in use|name .*already exists|already exist",
        Kind.TAKEN,
        "Look at what holds the name: adopt it, delete it, or choose another name.",
    ),
    _wording(
        r"with an explicit deny in a service control policy",
        Kind.DENIED,
        "A service control policy of the organization forbids it: no policy of this account can grant"
        " it, only the organization's administrator can.",
    ),
    _wording(
        r"explicit deny",
        Kind.DENIED,
        "A policy denies it explicitly, which no grant outweighs: find the Deny statement and lift it.",
    ),
    _wording(
        r"don't have access to the model|access to the model with the specified model id",
        Kind.DENIED,
        "Enable access to the model for this account (Bedrock console > Model access) in this region.",
    ),
    _wording(
        r"could not assume|unable to assume|cannot be assumed",
        Kind.REFUSED,
        "The role's trust policy must let bedrock.amazonaws.com assume it for this account and "
        "region; `polytune iam` prints it. A new role needs about ten seconds before it works.",
    ),
    _wording(
        r"on-demand throughput isn.t supported",
        Kind.REFUSED,
        "Name an inference profile instead (such as us.amazon.nova-lite-v1:0), or a deployment's ARN.",
    ),
    _wording(
        r"mutating state|is being (created|updated|deleted)|not in (a|an) .*state",
        Kind.UNREACHABLE,
        "Something else is changing it: wait until that is done, then run it again.",
    ),
    _wording(
        r"too many connections|rate exceeded|too many requests|too many tokens",
        Kind.UNREACHABLE,
        "AWS asks to slow down: wait and run it again, or lower the concurrency or ask for a higher quota.",
    ),
    _wording(
        r"input is too long|too many input tokens|maximum context",
        Kind.REFUSED,
        "Shorten the input: it exceeds what the model can read in one call.",
    ),
)
"""The first match wins. Phrases as AWS's pages and the issues of public projects quote them, 2026-11."""


def remedy_for(code: str, said: str = "", status: int = 0) -> Remedy:
    """What a code and a message mean; a code that nobody listed is judged by its HTTP status.

    Inside an event stream codes begin with a small letter.
    """
    known = REMEDIES.get(code) or REMEDIES.get(code[:1].upper() + code[1:])
    for wording in WORDINGS:
        if wording.pattern.search(said) and _may_override(known, wording.remedy):
            return wording.remedy
    return known or REMEDIES.get(str(status)) or REMEDIES["500" if status >= 500 else "ValidationException"]


def _may_override(known: Remedy | None, better: Remedy) -> bool:
    if known is None or better.kind is Kind.CREDENTIALS:
        return True
    return known.kind in (Kind.REFUSED, Kind.TAKEN, better.kind)
