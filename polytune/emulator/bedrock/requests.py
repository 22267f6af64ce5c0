"""Checks that several Create operations share: roles, names, keys."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

from polytune.emulator.bedrock.call import ApiCall, invalid
from polytune.emulator.bedrock.world import World

key_id = re.compile(r"[a-zA-Z0-9-]{36}")


def check_role(world: World, role_arn: str) -> None:
    """Raises EmulatedError if the world has an IAM and the role does not exist in it."""
    # Only existence is checked: policies and trust are not evaluated (docs/emulator.md).
    if world.role_exists is not None and not world.role_exists(role_arn):
        raise invalid("Could not assume provided IAM role.")


def check_new_name(name: str, taken: Iterable[str], what: str) -> None:
    """Raises EmulatedError, with the service's message, if the name is taken. `what` is e.g. `job name`."""
    if name in taken:
        raise invalid(f"The provided {what} is currently in use.")


def key_arn(call: ApiCall, key: str) -> str | None:
    """The ARN of a KMS key given by ARN, id or alias; None for no key.

    An alias is not resolved: the key id in its ARN is derived from the alias, so it is always the same.
    """
    if not key or ":key/" in key:
        return key or None
    found = key if key_id.fullmatch(key) else str(uuid.uuid5(uuid.NAMESPACE_URL, key))
    return f"arn:aws:kms:{call.region}:{call.account}:key/{found}"
