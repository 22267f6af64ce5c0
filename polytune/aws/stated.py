"""The AWS credentials that are stated on this machine, found without boto3 and without asking anybody.

    environment    keys, a bearer token, a web identity, a container's address
    files          the profile in ~/.aws/credentials and ~/.aws/config, and the token cache of `aws sso login`
    the machine    EC2 gives credentials to what runs on it

It finds that there are none, or that they have expired according to their own date. Whether they work is
known only once AWS is asked.
"""

from __future__ import annotations

import configparser
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from polytune.errors import Obstacle

keys_variable = "AWS_ACCESS_KEY_ID"
bearer_variable = "AWS_BEARER_TOKEN_BEDROCK"
elsewhere_variables = (
    bearer_variable,
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CREDENTIAL_FILE",
    "BOTO_CONFIG",
)
"""Variables that name a place from which credentials come."""
expiration_variable = "AWS_CREDENTIAL_EXPIRATION"
expiration_keys = ("expiration", "aws_expiration", "x_security_token_expires")
"""Keys in which tools that write temporary keys into a profile note when they expire."""
profile_keys = (
    "aws_access_key_id",
    "credential_process",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
    "login_session",
)
"""Keys of a profile that give credentials."""


def credentials_obstacle(environment: Mapping[str, str], now: datetime | None = None) -> Obstacle | None:
    """Return that this machine has no AWS credentials, or that they say themselves that they have expired."""
    at = now or datetime.now(UTC)
    if environment.get(keys_variable):
        return _expired(environment.get(expiration_variable, ""), "the keys in the environment", at)
    if any(environment.get(name) for name in elsewhere_variables):
        return None
    profile = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or "default"
    try:
        sections = list(_sections(environment, profile))
    except _Unreadable:
        return None
    stated = {key: value for section in sections for key, value in section.items()}
    if any(stated.get(key) for key in profile_keys):
        return _expired_profile(stated, environment, profile, at)
    if may_have_metadata_service(environment) or (_home(environment) / ".boto").exists():
        return None
    named = "" if profile == "default" else f", and profile '{profile}' names none"
    remedy = "Run `aws sso login` or `aws configure`, or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
    return Obstacle(f"there are no AWS credentials on this machine{named}", remedy)


class _Unreadable(Exception):
    """What a file states is unknown; the AWS library says what is wrong with it."""


class _CachedToken(msgspec.Struct):
    """What `aws sso login` leaves behind."""

    expiresAt: str = ""
    refreshToken: str = ""


def _expired_profile(
    stated: Mapping[str, str], environment: Mapping[str, str], profile: str, now: datetime
) -> Obstacle | None:
    name = stated.get("sso_session") or stated.get("sso_start_url")
    if name and not stated.get("aws_access_key_id"):
        return _expired_login(name, environment, profile, now)
    dates = (stated[key] for key in expiration_keys if stated.get(key))
    return _expired(next(dates, ""), f"the keys of profile '{profile}'", now)


def _expired_login(name: str, environment: Mapping[str, str], profile: str, now: datetime) -> Obstacle | None:
    """Return that nobody has logged in, or not lately. A token that renews itself never counts as expired."""
    # botocore names the file by the session, or by the address for a profile without a session.
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    path = _home(environment) / ".aws" / "sso" / "cache" / f"{digest}.json"
    login = f"Run `aws sso login --profile {profile}`"
    try:
        token = msgspec.json.decode(path.read_bytes(), type=_CachedToken)
    except FileNotFoundError:
        return Obstacle(f"nobody has logged in for profile '{profile}' on this machine", login)
    except (OSError, msgspec.DecodeError):
        return None
    found = None if token.refreshToken else _expired(token.expiresAt, f"the login of '{profile}'", now)
    return Obstacle(found.cause, login) if found else None


def _expired(date: str, what: str, now: datetime) -> Obstacle | None:
    """Return that a date has passed; None for a later one, and for one that cannot be read."""
    try:
        until = datetime.fromisoformat(date)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    if until > now:
        return None
    return Obstacle(f"{what} expired at {until:%Y-%m-%d %H:%M} {until.tzname()}", "Renew them")


def _sections(environment: Mapping[str, str], profile: str) -> Iterator[Mapping[str, str]]:
    """Yield the profile's sections in both files; nothing for a file that is absent. Raises _Unreadable."""
    folder = _home(environment) / ".aws"
    config = "default" if profile == "default" else f"profile {profile}"
    for variable, usual, section in (
        ("AWS_CONFIG_FILE", "config", config),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile),
    ):
        path = Path(environment.get(variable) or folder / usual).expanduser()
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise _Unreadable from error
        if parser.has_section(section):
            yield dict(parser.items(section))


def _home(environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME")
    return Path(home) if home else Path.home()


def may_have_metadata_service(given: Mapping[str, str]) -> bool:
    """Whether the instance metadata service may exist; elsewhere a request to it only times out.

    EC2 instances can be recognized by their firmware vendor or hypervisor UUID
    (docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html). On systems without these files
    (not Linux) the service is tried.
    """
    if given.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    if given.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or not Path("/sys").is_dir():
        return True
    clues = ("/sys/class/dmi/id/sys_vendor", "/sys/hypervisor/uuid", "/sys/class/dmi/id/product_uuid")
    return any(_starts_like_ec2(Path(clue)) for clue in clues)


def _starts_like_ec2(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False
    return text.startswith(("amazon ec2", "ec2"))
