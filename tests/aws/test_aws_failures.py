"""Every error that a call of polytune can get has a class and a remedy; an unknown one the general one."""

from __future__ import annotations

import re
from pathlib import Path

import botocore.session
import pytest
import urllib3.exceptions
from botocore import exceptions as boto
from botocore.model import OperationModel

import polytune
from polytune.aws.failures import (
    AwsFailure,
    Denied,
    Missing,
    NameTaken,
    NeedsCredentials,
    Unreachable,
    explain,
    explained,
)
from polytune.aws.remedies import GENERAL, REMEDIES, job_fix, remedy_for
from tests.messages import message

SERVICES = ("bedrock", "bedrock-runtime", "s3", "sts", "iam", "lambda", "kms", "pricing", "cloudwatch")
FITTING: dict[int, set[type[AwsFailure]]] = {
    401: {NeedsCredentials},
    403: {Denied, NeedsCredentials},
    404: {Missing},
    **{status: {Unreachable} for status in (408, 429, 500, 502, 503, 504)},
}
"""The classes that fit an HTTP status, where it decides."""


def called_operations() -> list[OperationModel]:
    """The operations that polytune calls: those that its code names and a service's model knows."""
    session, folder = botocore.session.Session(), Path(polytune.__file__).parent
    callers = ("aws/*.py", "platforms/**/*.py", "teachers/*.py", "emulator/bedrock/rehearsal.py")
    sources = [path for pattern in callers for path in folder.glob(pattern)]
    named = {word for path in sources for word in re.findall(r'"([A-Z]\w+)"', path.read_text())}
    models = map(session.get_service_model, SERVICES)
    return [
        model.operation_model(name) for model in models for name in model.operation_names if name in named
    ]


def declared() -> list[tuple[str, str, int]]:
    """Service, error code and HTTP status (0 for none) of every error that those operations declare."""
    found = {
        (
            operation.service_model.service_name,
            str(shape.error_code),
            int(shape.metadata.get("error", {}).get("httpStatusCode") or 0),
        )
        for operation in called_operations()
        for shape in operation.error_shapes
    }
    return sorted(found)


def client_error(code: str, said: str = "", status: int = 400, operation: str = "CreateThing") -> Exception:
    """The exception that boto3 raises for an error answer."""
    answer = {"Error": {"Code": code, "Message": said}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(answer, operation)  # type: ignore[no-any-return]


def test_the_operations_that_polytune_calls_are_found() -> None:
    """The tests of what they declare look at every service, and at no operation of another program."""
    found = {(each.service_model.service_name, each.name) for each in called_operations()}

    assert {service for service, _ in found} == set(SERVICES)
    assert ("bedrock", "CreateModelCustomizationJob") in found
    assert ("lambda", "Invoke") not in found


def test_what_an_operation_declares_has_a_remedy_that_fits() -> None:
    """A code of the table has the class that its HTTP status asks for: 404 is Missing, 429 transient."""
    known = [each for each in declared() if each[1] in REMEDIES and each[2] in FITTING]

    unfit = [
        (service, code, status)
        for service, code, status in known
        if type(explain(client_error(code, "No", status), service, "X")) not in FITTING[status]
    ]

    assert len(known) > 20
    # An archived object is forbidden to everybody: no policy helps, only restoring it.
    assert [each for each in unfit if each[1] != "InvalidObjectState"] == []


def test_what_an_operation_declares_and_nobody_listed_still_has_a_class() -> None:
    """Every declared code is explained, whatever a newer botocore adds: by its status, or in general."""
    for service, code, status in declared():
        assert (
            explain(client_error(f"{code}OfTomorrow", "No", status), service, "X").code == f"{code}OfTomorrow"
        )
        assert remedy_for(f"{code}OfTomorrow", "No", status) in (*REMEDIES.values(), GENERAL)


@pytest.mark.parametrize("status", [0, 400, 402, 418])
def test_an_unknown_code_gets_the_general_remedy(status: int) -> None:
    """Where the status says nothing either, the message says that polytune does not know the error."""
    failure = explain(client_error("BrandNewException", "Blue.", status), "bedrock", "X")

    assert type(failure) is AwsFailure
    assert str(failure) == f"bedrock CreateThing: BrandNewException: Blue. {GENERAL.advice}"
    assert not failure.transient


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ("The role lacks GetObject permissions", "s3:GetObject"),
        ("Input size exceeded in record 7", "drop or shorten"),
        ("Encountered an unexpected error", "nothing is billed"),
        ("Something else", ""),
    ],
)
def test_a_jobs_message_has_the_fix_that_fits(message: str, fix: str) -> None:
    """What Bedrock says of a failed job leads to the likely fix; an unknown message leads to none."""
    assert fix in job_fix(message)
    assert bool(job_fix(message)) == bool(fix)


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
        "UnauthorizedException",
        "RequestTimeTooSkewed",
    ],
)
def test_every_spelling_of_bad_credentials_pauses(code: str) -> None:
    """Such a failure is NeedsCredentials, and its remedy ends with another try."""
    failure = explain(client_error(code, "no", 403), "bedrock", "GetCustomModel")

    assert isinstance(failure, NeedsCredentials)
    assert message("aws/run-it-again") in str(failure)
    assert not failure.transient


@pytest.mark.parametrize(
    "error",
    [
        boto.NoCredentialsError(),
        boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        boto.CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
        boto.UnauthorizedSSOTokenError(),
        boto.SSOTokenLoadError(error_msg="none"),
        boto.TokenRetrievalError(provider="sso", error_msg="expired"),
        boto.ProfileNotFound(profile="nobody"),
        boto.LoginRefreshRequired(),
        boto.NoAuthTokenError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_missing_credentials_of_every_kind_pause(error: Exception) -> None:
    """What botocore raises before any call is NeedsCredentials too."""
    assert isinstance(explain(error, "s3", "GetObject"), NeedsCredentials)


@pytest.mark.parametrize(
    "error",
    [
        boto.EndpointConnectionError(endpoint_url="http://x", error="refused"),
        boto.ConnectTimeoutError(endpoint_url="http://x", error="slow"),
        boto.ReadTimeoutError(endpoint_url="http://x", error="slow"),
        boto.ConnectionClosedError(endpoint_url="http://x", request=None, error="gone"),
        boto.ResponseStreamingError(error="gone"),
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        boto.ProxyConnectionError(proxy_url="http://x", error="no"),
        boto.FlexibleChecksumError(error_msg="differs"),
        urllib3.exceptions.ProtocolError("gone"),
        ConnectionResetError("reset"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_proper_answer_is_transient(error: Exception) -> None:
    """Network faults are Unreachable, and the same call may work later."""
    failure = explain(error, "s3", "GetObject")

    assert isinstance(failure, Unreachable)
    assert failure.transient


def test_every_exception_of_botocore_is_explained() -> None:
    """None of them leaves as itself, and each message names the call."""
    pending, seen = [boto.BotoCoreError], set()
    while pending:
        seen.add(pending.pop())
        pending.extend(kind for one in list(seen) for kind in one.__subclasses__() if kind not in seen)

    failures = [explain(_any_of(kind), "bedrock", "GetThing") for kind in seen]

    assert len(failures) > 50
    assert all(str(failure).startswith("bedrock GetThing: ") for failure in failures)


def _any_of(kind: type[Exception]) -> Exception:
    made = kind.__new__(kind)
    made.args = ("something",)
    return made


def test_a_denial_names_the_action_that_aws_names() -> None:
    """The action and the resource come from the service's own message."""
    said = (
        "User: arn:aws:iam::1:user/x is not authorized to perform: bedrock:CreateModelCustomizationJob on "
        "resource: arn:aws:bedrock:us-east-1:1:model-customization-job/*"
    )

    failure = explain(client_error("AccessDeniedException", said, 403), "bedrock", "X")

    assert isinstance(failure, Denied)
    assert (
        "Missing permission: bedrock:CreateModelCustomizationJob on "
        "arn:aws:bedrock:us-east-1:1:model-customization-job/*." in str(failure)
    )


def test_a_denial_without_words_names_the_action_of_the_operation() -> None:
    """HEAD answers have no body; the missing permission is known all the same."""
    failure = explain(client_error("403", "Forbidden", 403, "HeadObject"), "s3", "HeadObject")

    assert "Missing permission: s3:GetObject (and s3:ListBucket" in str(failure)


def test_a_denied_role_is_a_matter_of_sts() -> None:
    """Assuming a role happens inside another call; the message names the right action."""
    failure = explain(client_error("AccessDenied", "no", 403, "AssumeRole"), "bedrock", "GetCustomModel")

    assert failure.service == "sts"
    assert "sts:AssumeRole" in str(failure)


def test_a_service_control_policy_is_called_one() -> None:
    """Nobody looks for a missing grant when the organization forbids it."""
    said = (
        "User: u is not authorized to perform: bedrock:InvokeModel on resource: r with an explicit deny in a "
        "service control policy"
    )

    failure = explain(client_error("AccessDeniedException", said, 403), "bedrock", "X")

    assert isinstance(failure, Denied)
    assert message("aws/service-control-policy-of-organization") in str(failure)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ValidationException", message("aws/provided-job-name-is-currently")),
        ("ConflictException", "a model with this name exists"),
        ("ResourceConflictException", "Function already exist: x"),
    ],
)
def test_a_name_in_use_is_recognized(code: str, said: str) -> None:
    """Whatever code it comes under."""
    assert isinstance(explain(client_error(code, said), "bedrock", "X"), NameTaken)


@pytest.mark.parametrize(
    "code", ["ResourceNotFoundException", "NoSuchKey", "NoSuchBucket", "404", "NoSuchEntity"]
)
def test_what_is_not_there_is_missing(code: str) -> None:
    """Whatever the service calls it."""
    assert isinstance(explain(client_error(code, "no", 404), "s3", "X"), Missing)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, Unreachable), (429, Unreachable), (403, Denied), (404, Missing), (418, AwsFailure)],
)
def test_a_code_nobody_listed_is_judged_by_its_status(status: int, kind: type[AwsFailure]) -> None:
    """A new error of AWS still lands in the right class."""
    assert type(explain(client_error("BrandNewException", "", status), "bedrock", "X")) is kind


def test_codes_inside_event_streams_are_known() -> None:
    """They begin with a small letter there."""
    assert remedy_for("modelStreamErrorException") == remedy_for("ModelStreamErrorException")


def test_a_failure_keeps_its_facts() -> None:
    """Code, operation, service, status and the service's own words can be asked for."""
    failure = explain(
        client_error("ThrottlingException", "Slow down.", 429, "Converse"), "bedrock-runtime", "X"
    )

    facts = (failure.code, failure.operation, failure.service, failure.status, failure.said)
    assert facts == ("ThrottlingException", "Converse", "bedrock-runtime", 429, "Slow down.")
    assert str(failure).startswith(message("aws/bedrock-runtime-converse"))


def test_an_untrusted_certificate_is_not_worth_repeating() -> None:
    """It names AWS_CA_BUNDLE instead."""
    error = boto.SSLError(endpoint_url="https://x", error="[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")

    failure = explain(error, "s3", "X")

    assert not failure.transient
    assert "AWS_CA_BUNDLE" in str(failure)


def test_errors_of_this_machine_are_left_alone() -> None:
    """A full disk is no failure of AWS."""
    with pytest.raises(FileNotFoundError, match="gone"), explained("s3", "GetObject"):
        raise FileNotFoundError("gone")
