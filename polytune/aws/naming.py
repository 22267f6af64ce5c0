"""Names and tags of remote resources: readable, unique, and derived only from the job's token.

A token is a step's key and an attempt, so the same work has the same name on every machine. A name that is
already in use therefore belongs to the same work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

longest_name = 63
"""The limit for names of jobs, custom models and deployments, from their patterns in the API."""
key_digits = 10
"""40 bits of the key: enough to tell apart the steps of one experiment, short enough to read."""
longest_tag_value = 256
"""AWS's limit for a tag's value, in characters."""
tag_prefix = "polytune:"


def unique_name(label: Mapping[str, str], token: str) -> str:
    """`strudel-nova-lite-v3-train-0a1b2c3d4e-1`: the experiment, the step, the key and the attempt.

    The name fits the strictest of the API's patterns: letters and digits, separated by single hyphens.
    """
    key, _, attempt = token.rpartition("-")
    tail = f"-{key[:key_digits]}-{attempt}"
    # The head is shortened, never the tail: key and attempt make the name unique.
    head = _plain(f"{label['experiment']}-{label['step']}")[: longest_name - len(tail)].strip("-")
    return f"{head or 'x'}{tail}"


def tags_of(label: Mapping[str, str], token: str, **more: str) -> list[dict[str, str]]:
    """The tags of every resource that polytune creates, so that it can be found without the ledger.

    Empty values are left out; keyword arguments become tags with `-` for `_`.
    """
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
