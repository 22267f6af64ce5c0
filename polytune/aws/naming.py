"""Names and tags of remote things: readable, unique for ever, and derived from nothing but the job's token.

A token is a step's key and an attempt, so the same work has the same name on every machine, and a name
that is in use already belongs to the same work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

longest_name = 63
"""Of jobs, custom models and deployments alike, by their patterns in the API."""
key_digits = 10
longest_tag_value = 256
tag_prefix = "polytune:"


def unique_name(label: Mapping[str, str], token: str) -> str:
    """`strudel-nova-lite-v3-train-0a1b2c3d4e-1`: the experiment, the step, the key and the attempt.

    It fits the stricter of the API's patterns: letters and digits, single hyphens between them.
    """
    key, _, attempt = token.rpartition("-")
    tail = f"-{key[:key_digits]}-{attempt}"
    head = _plain(f"{label['experiment']}-{label['step']}")[: longest_name - len(tail)].strip("-")
    return f"{head or 'x'}{tail}"


def tags_of(label: Mapping[str, str], token: str, **more: str) -> list[dict[str, str]]:
    """What polytune writes on everything it makes, so that it is found again without a ledger."""
    values = {**label, "key": token, **{name.replace("_", "-"): value for name, value in more.items()}}
    return [
        {
            "key": f"{tag_prefix}{name}",
            "value": re.sub(r"[^a-zA-Z0-9\s._:/=+@-]", "-", value)[:longest_tag_value],
        }
        for name, value in sorted(values.items())
        if value
    ]


def _plain(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-")
