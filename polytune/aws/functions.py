"""Deploys Python source as an AWS Lambda function: the same source gives the same zip and function."""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Missing, NameTaken
from polytune.aws.service import Service
from polytune.errors import PolytuneError, UsageError

runtime = "python3.12"
longest_timeout_seconds = 900
"""Lambda's limit (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, 2026)."""
oldest_date = (1980, 1, 1, 0, 0, 0)
"""The earliest date that the zip format can store; every file gets it, so the zip does not depend on time."""
settling_seconds = 300
poll_seconds = 2.0
usable_states = ("Active", "Inactive")
"""A function becomes Inactive when it was not called for weeks; the next call activates it."""
role_propagation_seconds = 30
"""How long to retry while IAM propagates a new role; `remedies` states about ten seconds as typical."""


@dataclass(frozen=True)
class Function:
    """The desired state of a function."""

    prefix: str
    """The start of its name; the rest is the source's digest."""
    files: Mapping[str, bytes]
    """Its source files, by file name."""
    handler: str
    """module.function of the entry point."""
    role_arn: str
    timeout_seconds: int = longest_timeout_seconds
    memory_mebibytes: int = 512
    description: str = ""

    @property
    def package(self) -> bytes:
        """The zip: the same files give the same bytes at any time and on any machine."""
        return packaged(self.files)

    @property
    def name(self) -> str:
        """prefix-<12 hex digits of the package's and the handler's digest>, at most 64 characters."""
        digest = hashlib.sha256(self.package + self.handler.encode()).hexdigest()[:12]
        return f"{self.prefix[:51]}-{digest}"


def packaged(files: Mapping[str, bytes]) -> bytes:
    """A zip of the files, sorted by name and independent of time, owner, machine and zlib version."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        # Stored, not deflated: zlib versions compress to different bytes, which would change the digest.
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, oldest_date)
            entry.create_system = 3  # Unix on every machine, so that Lambda reads the permissions below
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return held.getvalue()


def deploy(
    access: Access,
    function: Function,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """The function exists, is active and has this source, role and timeout; returns its ARN.

    Waits for a role that was created seconds ago. Raises UsageError for a timeout outside Lambda's range,
    PolytuneError when the function is not ready in time, AwsFailure for anything else.
    """
    if not 1 <= function.timeout_seconds <= longest_timeout_seconds:
        raise UsageError(
            f"a Lambda function runs 1 to {longest_timeout_seconds} s, not {function.timeout_seconds}"
        )
    waiting = _SettlingFunction(access.service("lambda"), function.name, now, sleep)
    try:
        found = waiting.service.call("GetFunction", {"FunctionName": function.name})["Configuration"]
    except Missing:
        found = _create(waiting, function)
    # Lambda rejects updates of a function that is still being created or updated.
    waiting.settle()
    if _differs(found, function):
        # Two calls, as Lambda has no single one for code and configuration; each starts an update of its own.
        waiting.service.call(
            "UpdateFunctionCode", {"FunctionName": function.name, "ZipFile": function.package}
        )
        waiting.settle()
        waiting.service.call("UpdateFunctionConfiguration", _configuration(function))
        waiting.settle()
    return str(found["FunctionArn"])


def _create(waiting: _SettlingFunction, function: Function) -> dict[str, Any]:
    members = {
        **_configuration(function),
        "PackageType": "Zip",
        "Code": {"ZipFile": function.package},
        "Tags": {"made-by": "polytune"},
    }
    try:
        return waiting.until(
            role_propagation_seconds,
            lambda: _unless_too_new(lambda: waiting.service.call("CreateFunction", members)),
        )
    except NameTaken:
        # A concurrent run, or an earlier attempt whose reply was lost, created the function meanwhile.
        found: dict[str, Any] = waiting.service.call("GetFunction", {"FunctionName": function.name})
        return dict(found["Configuration"])


def _configuration(function: Function) -> dict[str, Any]:
    return {
        "FunctionName": function.name,
        "Runtime": runtime,
        "Handler": function.handler,
        "Role": function.role_arn,
        "Timeout": function.timeout_seconds,
        "MemorySize": function.memory_mebibytes,
        "Description": function.description,
    }


def _differs(found: Mapping[str, Any], function: Function) -> bool:
    # Members that the reply lacks count as equal; otherwise every run would update the function again.
    digest = b64encode(hashlib.sha256(function.package).digest()).decode()
    wanted = {**_configuration(function), "CodeSha256": digest}
    return any(found.get(name, value) != value for name, value in wanted.items())


def _unless_too_new(create: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return create()
    except AwsFailure as failure:
        # Lambda has no error code of its own for this: only the message tells it from a wrong parameter.
        if "cannot be assumed by Lambda" in failure.said:
            return None
        raise


@dataclass(frozen=True)
class _SettlingFunction:
    service: Service
    name: str
    now: Callable[[], float]
    sleep: Callable[[float], None]

    def settle(self) -> None:
        """The function is active and no update is in progress."""
        self.until(settling_seconds, self._settled)

    def until(self, seconds: float, look: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """Polls `look` until it returns a value, for at most `seconds`; then raises PolytuneError."""
        deadline = self.now() + seconds
        while True:
            found = look()
            if found is not None:
                return found
            if self.now() >= deadline:
                raise PolytuneError(
                    f"lambda: function {self.name} is not ready after {seconds:.0f} s; look at it in the "
                    "console, check that its role trusts lambda.amazonaws.com, then run again"
                )
            self.sleep(poll_seconds)

    def _settled(self) -> dict[str, Any] | None:
        found: dict[str, Any] = self.service.call("GetFunction", {"FunctionName": self.name})["Configuration"]
        if "Failed" in (found.get("State"), found.get("LastUpdateStatus")):
            reason = found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason given"
            raise PolytuneError(
                f"lambda: function {self.name} failed to start: {reason}; correct that and run again"
            )
        # An emulator may leave both members out: then there is nothing to wait for.
        ready = found.get("State", "Active") in usable_states
        return found if ready and found.get("LastUpdateStatus", "Successful") == "Successful" else None
