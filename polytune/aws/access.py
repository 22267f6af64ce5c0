"""Who calls AWS and where: one value that makes a client for each service."""

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
"""Calls that one client may have open at once."""


@dataclass(frozen=True)
class CallerIdentity:
    """Whose credentials are in use."""

    account: str
    """The 12 digits of the AWS account."""
    arn: str
    """The user or the assumed role's session."""


@dataclass
class _Clients:
    """What an Access has made so far; botocore sessions are not safe to make clients from in parallel."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    session: Any = None
    services: dict[tuple[str, int, float], Service] = field(default_factory=dict)


@dataclass(frozen=True)
class Access:
    """A region and the credentials to use there.

    Credentials come from the usual chain: keys and session token, profile, SSO, web identity, container or
    instance role. `profile` wins over keys in the environment; `assume_role_arn` is then assumed with them
    and refreshed before it expires.
    """

    region: str
    profile: str = ""
    assume_role_arn: str = ""
    environment: Mapping[str, str] = field(kw_only=True, repr=False, hash=False)
    """The environment and `.env` together: every AWS_* variable in it holds, no other one does."""
    _clients: _Clients = field(default_factory=_Clients, init=False, repr=False, compare=False)

    def service(self, name: str, *, attempts: int = 8, read_timeout_seconds: float = 60) -> Service:
        """The service by boto3's name, such as `bedrock-runtime`; made once for each set of arguments.

        `attempts` counts the first try: 1 means no retries. Raises AwsFailure when the configuration or
        the region is unusable.
        """
        wanted = (name, attempts, read_timeout_seconds)
        with self._clients.lock:
            if wanted not in self._clients.services:
                self._clients.services[wanted] = self._made(name, attempts, read_timeout_seconds)
            return self._clients.services[wanted]

    def account(self) -> str:
        """The 12 digits of the account; raises AwsFailure."""
        return self.identity().account

    def identity(self) -> CallerIdentity:
        """Whose credentials these are, as STS sees them; raises AwsFailure."""
        answer = self.service("sts").call("GetCallerIdentity", {})
        return CallerIdentity(account=str(answer.get("Account", "")), arn=str(answer.get("Arn", "")))

    def _made(self, name: str, attempts: int, read_timeout_seconds: float) -> Service:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=5,
            read_timeout=read_timeout_seconds,
            max_pool_connections=connections,
            user_agent_extra=f"polytune/{__version__}",
        )
        bundle = self.environment.get("AWS_CA_BUNDLE")
        if bundle and not Path(bundle).exists():
            raise AwsFailure(f"AWS_CA_BUNDLE names {bundle}, which does not exist: correct it", service=name)
        try:
            with explained(name, "client"):
                return Service(self._session().client(name, config=config))
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
