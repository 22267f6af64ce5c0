"""Every error that the services can give has a class and a remedy."""

from __future__ import annotations

import botocore.session
import pytest
import urllib3.exceptions
from botocore import exceptions as boto

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
from polytune.aws.wordings import remedy_for
from tests.messages import message

models = botocore.session.Session()
services = ("bedrock", "bedrock-runtime", "s3", "sts", "iam", "lambda")


def client_error(code: str, said: str = "", status: int = 400, operation: str = "CreateThing") -> Exception:
    """The exception that boto3 raises for an error answer."""
    answer = {"Error": {"Code": code, "Message": said}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(answer, operation)  # type: ignore[no-any-return]


@pytest.mark.parametrize("service", services)
def test_every_error_shape_of_the_model_ends_with_a_remedy(service: str) -> None:
    """An error that the model has gained since is explained like any other: place, words, remedy."""
    shapes = models.get_service_model(service).error_shapes

    for shape in shapes:
        failure = explain(client_error(shape.error_code, "It broke", 400), service, "CreateThing")

        told = f"{service} CreateThing: {shape.error_code}: It broke. "
        assert str(failure).startswith(told)
        assert str(failure).removeprefix(told).endswith(".")

    assert len(shapes) > 9


def test_a_code_that_nobody_knows_gets_the_general_remedy() -> None:
    """Without a status that says more, it is refused, not retried, and its message is what to go by."""
    failure = explain(client_error("BrandNewException", "The frob is off", 400), "sts", "AssumeThing")

    assert type(failure) is AwsFailure
    assert not failure.transient
    assert str(failure).startswith("sts CreateThing: BrandNewException: The frob is off. ")
    assert len(str(failure)) > len("sts CreateThing: BrandNewException: The frob is off. ")


@pytest.mark.parametrize("service", ["bedrock", "bedrock-runtime"])
def test_the_remedy_fits_the_status_of_the_model(service: str) -> None:
    """403 is Denied, 404 Missing, 429 and 5xx transient in the models and in the table."""
    wanted = {
        403: Denied,
        404: Missing,
        408: Unreachable,
        429: Unreachable,
        500: Unreachable,
        503: Unreachable,
    }

    for shape in models.get_service_model(service).error_shapes:
        status = shape.metadata["error"]["httpStatusCode"]
        failure = explain(client_error(shape.error_code, "No", status), service, "X")
        if status in wanted:
            assert type(failure) is wanted[status], shape.error_code


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
        ("ResourceInUseException", "job exists"),
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
