"""Python source deployed as an AWS Lambda function: the same source is the same zip and function."""

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
"""Lambda's own limit (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, 2026)."""
oldest_date = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can hold; every file gets it."""
settling_seconds = 300
poll_seconds = 2.0
usable_states = ("Active", "Inactive")
"""Inactive is a function that nobody called for weeks: the next call wakes it."""
role_propagation_seconds = 30


@dataclass(frozen=True)
class Function:
    """A function as it should be."""

    prefix: str
    """The start of its name; the source's digest is the rest."""
    files: Mapping[str, bytes]
    """Its sources by file name."""
    handler: str
    """module.function of the entry point."""
    role_arn: str
    timeout_seconds: int = longest_timeout_seconds
    memory_mebibytes: int = 512
    description: str = ""

    @property
    def package(self) -> bytes:
        """The zip, the same bytes for the same files whenever and wherever it is made."""
        return packaged(self.files)

    @property
    def name(self) -> str:
        """prefix-<12 hex digits of the package's and the handler's digest>, at most 64 characters."""
        digest = hashlib.sha256(self.package + self.handler.encode()).hexdigest()[:12]
        return f"{self.prefix[:51]}-{digest}"


def packaged(files: Mapping[str, bytes]) -> bytes:
    """A zip of the files in the order of their names, with no trace of time, owner, machine or zlib."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        # Stored, not deflated: another zlib gives other bytes, and the same source is the same function.
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
    """The ARN of the function, which exists, is active and has this source, role and timeout.

    A role that was made seconds ago is waited for. Raises UsageError for a timeout that Lambda does not
    take, AwsFailure otherwise.
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
    # A function that was made or changed a moment ago refuses updates until it is ready.
    waiting.settle()
    if _differs(found, function):
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
    digest = b64encode(hashlib.sha256(function.package).digest()).decode()
    wanted = {**_configuration(function), "CodeSha256": digest}
    return any(found.get(name, value) != value for name, value in wanted.items())


def _unless_too_new(create: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return create()
    except AwsFailure as failure:
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
        """Returns once the function is active and no update of it is under way."""
        self.until(settling_seconds, self._settled)

    def until(self, seconds: float, look: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """What `look` finds; raises PolytuneError when it finds nothing in time."""
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
        ready = found.get("State", "Active") in usable_states
        return found if ready and found.get("LastUpdateStatus", "Successful") == "Successful" else None
