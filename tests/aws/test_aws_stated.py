"""Credentials that this machine states: their absence is told only where it is certain."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from polytune.aws.stated import credentials_obstacle

now = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
keys = "aws_access_key_id = AKIA\naws_secret_access_key = s\n"


def told(home: Path, **variables: str) -> str:
    """What is told of a home folder; '' for nothing."""
    environment = {"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", **variables}
    return str(credentials_obstacle(environment, now) or "")


def state(home: Path, credentials: str = "", config: str = "") -> None:
    """The two files of the AWS tools."""
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(credentials)
    (home / ".aws" / "config").write_text(config)


def test_nothing_stated_is_told_with_the_remedy(tmp_path: Path) -> None:
    """Neither a variable nor a file."""
    assert told(tmp_path).startswith("there are no AWS credentials on this machine. Run `aws sso login`")
    state(tmp_path, f"[work]\n{keys}")
    assert "there are no AWS credentials" in told(tmp_path)
    assert "profile 'home' names none" in told(tmp_path, AWS_PROFILE="home")
    assert told(tmp_path, AWS_PROFILE="work") == ""


@pytest.mark.parametrize(
    "variable",
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CREDENTIAL_FILE",
        "BOTO_CONFIG",
    ],
)
def test_what_a_variable_leads_to_may_be_credentials(tmp_path: Path, variable: str) -> None:
    """Whether they work is known once AWS is asked."""
    assert told(tmp_path, **{variable: "something"}) == ""


@pytest.mark.parametrize(
    "config",
    ["credential_process = tool\n", "role_arn = arn\nsource_profile = other\n", "login_session = arn\n"],
)
def test_a_profile_may_lead_to_credentials(tmp_path: Path, config: str) -> None:
    """Also without keys of its own."""
    state(tmp_path, config=f"[default]\n{config}")
    assert told(tmp_path) == ""


def test_a_file_that_cannot_be_read_rules_nothing_out(tmp_path: Path) -> None:
    """What it states is unknown, which is not the same as nothing."""
    state(tmp_path, "no section at all\n")
    assert told(tmp_path) == ""
    (tmp_path / ".aws" / "credentials").write_bytes(b"\xff\xfe[default]")
    assert told(tmp_path) == ""


def test_expired_keys_are_told_by_their_own_date(tmp_path: Path) -> None:
    """A later date, none, or one that nobody can read, is no obstacle."""
    given = {"AWS_ACCESS_KEY_ID": "AKIA"}
    assert "the keys in the environment expired at 2026-12-01 11:00" in told(
        tmp_path, **given, AWS_CREDENTIAL_EXPIRATION="2026-12-01T11:00:00Z"
    )
    assert told(tmp_path, **given, AWS_CREDENTIAL_EXPIRATION="2026-12-01T13:00:00Z") == ""
    assert told(tmp_path, **given, AWS_CREDENTIAL_EXPIRATION="soon") == ""
    state(tmp_path, f"[default]\n{keys}expiration = 2026-11-30T00:00:00Z\n")
    assert "the keys of profile 'default' expired" in told(tmp_path)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (None, "nobody has logged in for profile 'default' on this machine"),
        ({"expiresAt": "2026-12-01T11:00:00Z"}, "the login of 'default' expired"),
        ({"expiresAt": "2026-12-01T13:00:00Z"}, ""),
        ({"expiresAt": "2026-12-01T11:00:00Z", "refreshToken": "r"}, ""),
    ],
)
def test_a_login_is_looked_up_in_its_cache(tmp_path: Path, token: dict[str, str] | None, says: str) -> None:
    """One that renews itself never counts as expired."""
    state(tmp_path, config="[default]\nsso_session = corp\n")
    if token is not None:
        cache = tmp_path / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True)
        (cache / f"{hashlib.sha1(b'corp').hexdigest()}.json").write_text(json.dumps(token))

    assert says in told(tmp_path)
    assert bool(told(tmp_path)) == bool(says)
