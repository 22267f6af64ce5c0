"""Credentials and addresses come from the given variables, wherever they stand, and from nowhere else."""

from __future__ import annotations

import os
import ssl
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, NeedsCredentials
from polytune.settings import load_settings
from tests.aws.faulty import Answer, answered, faulty
from tests.aws.stands import Stand
from tests.messages import matching

services = ("bedrock", "bedrock-runtime", "s3", "sts", "iam", "lambda", "cloudwatch", "pricing")
role = "arn:aws:iam::123456789012:role/experiment"
whoami = Answer(
    body=b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn>"
    b"<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
    headers={"Content-Type": "text/xml"},
)


@pytest.mark.parametrize("service", services)
def test_every_client_goes_to_the_loopback_that_the_variables_name(moto: Stand, service: str) -> None:
    """AWS_ENDPOINT_URL in the mapping holds; the one in the process does not."""
    assert moto.access().service(service).endpoint == moto.url
    assert os.environ["AWS_ENDPOINT_URL"] != moto.url


def test_the_address_of_one_service_outweighs_the_address_of_all(moto: Stand) -> None:
    """AWS_ENDPOINT_URL_BEDROCK_RUNTIME leads elsewhere, for that service only."""
    environment = {**moto.access().environment, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:9"}
    access = Access("us-east-1", environment=environment)

    assert access.service("bedrock-runtime").endpoint == "http://127.0.0.1:9"
    assert access.service("bedrock").endpoint == moto.url


def test_variables_that_stand_only_in_dotenv_hold(tmp_path: Path) -> None:
    """Keys, session token, region and address of a workspace's .env sign and lead the call."""
    with faulty([whoami]) as server:
        (tmp_path / ".env").write_text(
            f"AWS_ENDPOINT_URL_STS={server.url}\nAWS_ACCESS_KEY_ID=KEYFROMDOTENV\n"
            "AWS_SECRET_ACCESS_KEY=s\nAWS_SESSION_TOKEN=token-from-dotenv\n"
        )
        settings = load_settings(tmp_path, environment={"HOME": str(tmp_path)})
        identity = Access("eu-west-1", environment=settings.environment).identity()

    assert (identity.account, identity.arn) == ("123456789012", "arn:aws:iam::123456789012:user/x")
    headers = server.got[0].headers
    assert "Credential=KEYFROMDOTENV/" in headers["authorization"]
    assert "/eu-west-1/sts/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "token-from-dotenv"
    assert "polytune/" in headers["user-agent"]


def test_without_credentials_the_run_is_told_to_sign_in(tmp_path: Path) -> None:
    """No call is made, and no metadata service is waited for."""
    with faulty([whoami]) as server:
        environment = {"AWS_ENDPOINT_URL": server.url, "AWS_CONFIG_FILE": "/nonexistent"}
        environment["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent"
        with pytest.raises(NeedsCredentials, match=r"NoCredentialsError: .*AWS_PROFILE"):
            Access("us-east-1", environment=environment).account()

    assert server.got == []


def test_half_a_key_is_told(moto: Stand) -> None:
    """An access key without its secret is named."""
    environment = dict(moto.access().environment)
    del environment["AWS_SECRET_ACCESS_KEY"]

    with pytest.raises(NeedsCredentials, match="AWS_SECRET_ACCESS_KEY"):
        Access("us-east-1", environment=environment).account()


@pytest.fixture
def configured(tmp_path: Path, moto: Stand) -> dict[str, str]:
    """Variables that name a config file with profiles of every kind, and no keys."""
    script = tmp_path / "credentials.py"
    script.write_text(
        "import json\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'FROMPROCESS', 'SecretAccessKey': 's'}))\n"
    )
    config = tmp_path / "config"
    config.write_text(
        f"""
[profile keys]
aws_access_key_id = FROMPROFILE
aws_secret_access_key = s
[profile role]
role_arn = {role}
source_profile = keys
[profile process]
credential_process = "{sys.executable}" "{script}"
[profile broken]
credential_process = "{sys.executable}" -c "raise SystemExit(3)"
[profile sso]
sso_session = nowhere
sso_account_id = 123456789012
sso_role_name = x
[sso-session nowhere]
sso_region = us-east-1
sso_start_url = https://127.0.0.1/none
"""
    )
    return {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def signer(access: Access) -> str:
    """The access key that signs the access's calls."""
    with faulty([whoami]) as server:
        environment = {**access.environment, "AWS_ENDPOINT_URL_STS": server.url}
        replace(access, environment=environment).account()
    return server.got[-1].headers["authorization"].partition("Credential=")[2].partition("/")[0]


def test_a_profile_signs(configured: dict[str, str]) -> None:
    """Named by the experiment, by AWS_PROFILE in .env, or backed by a program."""
    assert signer(Access("us-east-1", "keys", environment=configured)) == "FROMPROFILE"
    assert signer(Access("us-east-1", environment={**configured, "AWS_PROFILE": "keys"})) == "FROMPROFILE"
    assert signer(Access("us-east-1", "process", environment=configured)) == "FROMPROCESS"


def test_keys_outweigh_a_profile_of_the_environment_but_not_one_of_the_experiment(
    configured: dict[str, str],
) -> None:
    """As with the AWS CLI: AWS_PROFILE yields to keys, --profile does not."""
    keys = {**configured, "AWS_ACCESS_KEY_ID": "FROMENV", "AWS_SECRET_ACCESS_KEY": "s"}

    assert signer(Access("us-east-1", environment={**keys, "AWS_PROFILE": "keys"})) == "FROMENV"
    assert signer(Access("us-east-1", "keys", environment=keys)) == "FROMPROFILE"


@pytest.mark.parametrize("profile", ["broken", "sso", "nobody"])
def test_a_profile_that_gives_nothing_asks_to_sign_in(configured: dict[str, str], profile: str) -> None:
    """A failing program, an SSO session that nobody opened, a profile that does not exist."""
    with pytest.raises(NeedsCredentials, match=matching("aws/run-it-again")):
        Access("us-east-1", profile, environment=configured).account()


def test_an_experiments_role_is_assumed(moto: Stand) -> None:
    """Calls are the role's, in a session called polytune."""
    arn = replace(moto.access(), assume_role_arn=role).identity().arn

    assert arn == "arn:aws:sts::123456789012:assumed-role/experiment/polytune"


def test_a_profiles_role_is_assumed_at_the_given_address(configured: dict[str, str]) -> None:
    """boto3's own call to STS follows the mapping's address too."""
    arn = Access("us-east-1", "role", environment=configured).identity().arn

    assert arn.startswith("arn:aws:sts::123456789012:assumed-role/experiment/")


def test_a_role_without_anybody_to_assume_it_asks_to_sign_in() -> None:
    """assume_role_arn alone is no credential."""
    environment = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}

    with pytest.raises(NeedsCredentials, match="NoCredentialsError"):
        Access("us-east-1", assume_role_arn=role, environment=environment).account()


def test_a_web_identity_of_the_variables_is_used(tmp_path: Path, moto: Stand) -> None:
    """AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, as CI systems set them, work from .env as well."""
    token = tmp_path / "token"
    token.write_text("a.b.c")
    environment = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ROLE_ARN": role,
        "AWS_ROLE_SESSION_NAME": "ci",
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }

    assert Access("us-east-1", environment=environment).identity().arn.endswith("assumed-role/experiment/ci")


def test_a_bedrock_key_of_the_variables_replaces_the_signature(
    monkeypatch: pytest.MonkeyPatch, tls: tuple[ssl.SSLContext, str]
) -> None:
    """AWS_BEARER_TOKEN_BEDROCK works from the mapping; the process's own is never sent."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "of-the-process")
    with faulty([answered({"modelSummaries": []})], tls[0]) as server:
        plain = Stand(server.url, tls[1]).access()
        token = replace(
            plain, environment={**plain.environment, "AWS_BEARER_TOKEN_BEDROCK": "of-the-mapping"}
        )
        for access in (plain, token):
            list(access.service("bedrock").pages("ListCustomModels", {}, "modelSummaries"))

    signed, borne = (request.headers["authorization"] for request in server.got)
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=polytune-tests/")
    assert borne == "Bearer of-the-mapping"


def test_attempts_count_the_first(moto: Stand) -> None:
    """One attempt means no retry."""
    with faulty([Answer(500, b"{}")]) as server:
        with pytest.raises(AwsFailure, match="500"):
            Stand(server.url).access().service("bedrock", attempts=1).call(
                "GetCustomModel", {"modelIdentifier": "x"}
            )
        assert len(server.got) == 1
        with pytest.raises(AwsFailure, match="500"):
            Stand(server.url).access().service("bedrock", attempts=4).call(
                "GetCustomModel", {"modelIdentifier": "x"}
            )
        assert len(server.got) == 5


def test_a_region_that_is_none_is_told(moto: Stand) -> None:
    """Before anything is sent."""
    with pytest.raises(AwsFailure, match="region"):
        replace(moto.access(), region="us east 1").service("s3")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_ENDPOINT_URL", "not an address", "Invalid endpoint: not an address: correct AWS_ENDPOINT_URL"),
        ("AWS_CA_BUNDLE", "/nonexistent.pem", matching("aws/aws-ca-bundle-names", path="/nonexistent.pem")),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(moto: Stand, name: str, value: str, told: str) -> None:
    """Before anything is sent."""
    environment = {**moto.access().environment, name: value}

    with pytest.raises(AwsFailure, match=told):
        Access("us-east-1", environment=environment).service("bedrock")


def test_an_access_shows_no_secret(moto: Stand) -> None:
    """Printing it, as a traceback or a log may, tells region and profile only."""
    assert repr(moto.access()) == "Access(region='us-east-1', profile='', assume_role_arn='')"
