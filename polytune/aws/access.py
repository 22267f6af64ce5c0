"""Credentials and region for AWS calls: one value that creates a client for each service."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3.session
from botocore.config import Config

from polytune import __version__
from polytune.aws.failures import AwsFailure, explained
from polytune.aws.service import Service
from polytune.aws.session import GivenSession

connections = 64
"""Connections that one client keeps open; botocore keeps 10 by default and closes others after their call."""


@dataclass(frozen=True)
class CallerIdentity:
    """Whose credentials are in use."""

    account: str
    """The 12 digits of the AWS account."""
    arn: str
    """The ARN of the user or of the assumed role's session."""


@dataclass
class _Clients:
    """The session and clients that an Access has created so far."""

    # botocore clients are thread-safe, sessions are not: creating two clients at once from one session races.
    lock: threading.RLock = field(default_factory=threading.RLock)
    session: Any = None
    services: dict[tuple[str, int, float], Service] = field(default_factory=dict)


@dataclass(frozen=True)
class Access:
    """A region and the credentials to use there.

    Credentials come from the usual chain: keys and session token, profile, SSO, web identity, container or
    instance role. `profile` takes precedence over keys in the environment. If `assume_role_arn` is set, that
    role is assumed with these credentials and refreshed before it expires.
    """

    region: str
    profile: str = ""
    assume_role_arn: str = ""
    environment: Mapping[str, str] = field(kw_only=True, repr=False, hash=False)
    """The environment merged with `.env`: the only source of AWS_* variables."""
    _clients: _Clients = field(default_factory=_Clients, init=False, repr=False, compare=False)

    def service(self, name: str, *, attempts: int = 8, read_timeout_seconds: float = 60) -> Service:
        """The service by its boto3 name, such as `bedrock-runtime`; created once per set of arguments.

        `attempts` includes the first try: 1 means no retries. Raises AwsFailure when the configuration or
        the region is unusable.
        """
        wanted = (name, attempts, read_timeout_seconds)
        with self._clients.lock:
            if wanted not in self._clients.services:
                self._clients.services[wanted] = self._made(name, attempts, read_timeout_seconds)
            return self._clients.services[wanted]

    def account(self) -> str:
        """The 12-digit account ID; raises AwsFailure."""
        return self.identity().account

    def identity(self) -> CallerIdentity:
        """Whose credentials these are, as STS sees them; raises AwsFailure."""
        answer = self.service("sts").call("GetCallerIdentity", {})
        return CallerIdentity(account=str(answer.get("Account", "")), arn=str(answer.get("Arn", "")))

    def _made(self, name: str, attempts: int, read_timeout_seconds: float) -> Service:
        config = Config(
            # Not "adaptive": its client-side rate limiter would throttle calls on top of our own concurrency.
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=5,
            read_timeout=read_timeout_seconds,
            max_pool_connections=connections,
            user_agent_extra=f"polytune/{__version__}",
        )
        # Without this check the first call fails with an error that does not name the variable.
        bundle = self.environment.get("AWS_CA_BUNDLE")
        if bundle and not Path(bundle).exists():
            raise AwsFailure(f"AWS_CA_BUNDLE names {bundle}, which does not exist: correct it", service=name)
        try:
            with explained(name, "client"):
                return Service(self._session().client(name, config=config))
        # botocore raises plain ValueErrors for an endpoint or a region that is not well formed.
        except ValueError as error:
            raise AwsFailure(
                f"{name}: {error}: correct AWS_ENDPOINT_URL or the region", service=name
            ) from error

    def _session(self) -> Any:
        if self._clients.session is None:
            given = GivenSession(
                self.environment,
                region=self.region,
                profile=self.profile,
                assume_role_arn=self.assume_role_arn,
            )
            self._clients.session = boto3.session.Session(botocore_session=given, region_name=self.region)
        return self._clients.session
