"""The environment of a rehearsal: all stand-ins, with the buckets and roles that an experiment names.

`run --rehearse` starts them in its own process, so nothing is left when the process ends, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from polytune.emulator.bedrock.rehearsal import Rehearsal
from polytune.emulator.bedrock.world import rehearsal_account
from polytune.emulator.polychat.server import Conduct, PolychatStandIn

bucket = "polytune-rehearsal"
role = "PolytuneRehearsal"
polychat_key = "stand-in-without-a-secret"
"""The bucket, role and API key in a rehearsal's environment variables. The names are always the same."""
# Fixed names, so that what a rehearsal records about bucket and role is the same the next time.


class RehearsalEnvironment:
    """The running stand-ins and the environment variables that point to them."""

    def __init__(self, account: Rehearsal, polychat: PolychatStandIn) -> None:
        self._account = account
        self.variables = {
            **account.environment(),
            "BEDROCK_TRAINING_BUCKET": bucket,
            "BEDROCK_ROLE_ARN": f"arn:aws:iam::{rehearsal_account}:role/{role}",
            "POLYTUNE_POLYCHAT_URL": polychat.address,
            "POLYCHAT_API_KEY": polychat_key,
        }
        self._provided: set[str] = set()

    def provide(self, spec: Mapping[str, Any]) -> None:
        """Every bucket and role that the experiment names exists."""
        # With a real account the user has created them; a rehearsal must not fail for lack of them.
        for platform in _platforms(spec):
            region = str(platform.get("region", "us-east-1"))
            for name in (platform.get("bucket") or bucket, platform.get("output_bucket")):
                if name:
                    self._once(str(name), partial(self._account.make_bucket, region=region))
            self._once(role, self._account.make_role)
        for arn in _roles(spec):
            self._once(arn.rpartition("/")[2], self._account.make_role)

    def _once(self, name: str, make: Callable[[str], None]) -> None:
        if name not in self._provided:
            self._provided.add(name)
            make(name)


def _platforms(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every platform and teacher of a resolved experiment that uses a bucket, with or without a name."""
    for found in _mappings(value):
        if "bucket" in found:
            yield found


def _roles(value: Any) -> Iterator[str]:
    """Every role that a resolved experiment names."""
    for found in _mappings(value):
        for text in found.values():
            if isinstance(text, str) and ":role/" in text:
                yield text


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _mappings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _mappings(item)


@contextmanager
def rehearsal_environment() -> Iterator[RehearsalEnvironment]:
    """Stand-ins for AWS and Polychat run on this machine inside the `with`."""
    conduct = Conduct(api_keys=(polychat_key,))
    with Rehearsal().serving() as account, PolychatStandIn(conduct) as polychat:
        yield RehearsalEnvironment(account, polychat)
