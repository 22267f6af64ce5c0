"""The errors that AWS calls raise; each message says what happened and what to do about it.

AwsFailure
├── NeedsCredentials   missing, wrong or expired credentials: a run pauses and `resume` continues it
├── Denied             the caller lacks a permission
├── Unreachable        no valid reply, even after retries: the same call may work later
├── Missing            the named resource does not exist
└── NameTaken          the name is in use, perhaps by an earlier attempt of the same run
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3.exceptions
from boto3.exceptions import Boto3Error
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from polytune.aws.remedies import REMEDIES, Remedy, RemedyKind, remedy_for
from polytune.errors import PolytuneError


class AwsFailure(PolytuneError):
    """AWS rejected a call, or never sent a valid reply.

    `code` is the AWS error code, or the class name of the client-side exception. `status` is the HTTP status,
    0 without a reply. `said` is the service's own message.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        operation: str = "",
        service: str = "",
        status: int = 0,
        said: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation
        self.service = service
        self.status = status
        self.said = said


class NeedsCredentials(AwsFailure):
    """Credentials are missing, wrong or expired: the run pauses until the user has signed in."""


class Denied(AwsFailure):
    """The caller lacks a permission; the message names the missing action."""


class Unreachable(AwsFailure):
    """No valid reply, even after retries: network, throttling, an AWS server error, a truncated reply."""

    @property
    def transient(self) -> bool:
        """True: the same call may work later."""
        return True


class Missing(AwsFailure):
    """The resource that the call names does not exist, or no longer does."""


class NameTaken(AwsFailure):
    """The name is in use, perhaps by an earlier attempt of the same run."""


_classes: dict[RemedyKind, type[AwsFailure]] = {
    RemedyKind.REFUSED: AwsFailure,
    RemedyKind.CREDENTIALS: NeedsCredentials,
    RemedyKind.DENIED: Denied,
    RemedyKind.UNREACHABLE: Unreachable,
    RemedyKind.MISSING: Missing,
    RemedyKind.TAKEN: NameTaken,
}

# The first match wins, and botocore's classes inherit from one another (ProxyConnectionError from
# ConnectionError, for one), so the narrower groups come first.
_client_side: tuple[tuple[tuple[type[Exception], ...], Remedy], ...] = (
    (
        (boto.NoCredentialsError, boto.NoAuthTokenError),
        Remedy(
            RemedyKind.CREDENTIALS,
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE in the environment or .env, or "
            "sign in with `aws sso login`; then run it again.",
        ),
    ),
    (
        (
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.TokenRetrievalError,
            boto.SSOError,
            boto.MetadataRetrievalError,
            boto.RefreshWithMFAUnsupportedError,
            boto.LoginError,
            boto.UnknownCredentialError,
        ),
        Remedy(
            RemedyKind.CREDENTIALS,
            "Sign in again (`aws sso login`) or correct the credentials; then run it again.",
        ),
    ),
    (
        (
            boto.ProfileNotFound,
            boto.ConfigNotFound,
            boto.ConfigParseError,
            boto.InvalidConfigError,
            boto.InfiniteLoopConfigError,
        ),
        Remedy(
            RemedyKind.CREDENTIALS,
            "Correct AWS_PROFILE or the files under ~/.aws (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE); "
            "then run it again.",
        ),
    ),
    (
        (boto.ProxyConnectionError, boto.InvalidProxiesConfigError),
        Remedy(RemedyKind.UNREACHABLE, "Check HTTPS_PROXY and NO_PROXY, then run it again."),
    ),
    (
        (
            boto.EndpointConnectionError,
            boto.ConnectionError,
            boto.HTTPClientError,
            boto.ReadTimeoutError,
            boto.IncompleteReadError,
            boto.ResponseStreamingError,
            ResponseParserError,
            urllib3.exceptions.HTTPError,
            TimeoutError,
            ConnectionError,
        ),
        Remedy(
            RemedyKind.UNREACHABLE,
            "Check the network, the region and AWS_ENDPOINT_URL, then run it again.",
        ),
    ),
    (
        (boto.FlexibleChecksumError, boto.ChecksumError),
        Remedy(
            RemedyKind.UNREACHABLE,
            "The bytes changed on the way: try again; check the network or the proxy.",
        ),
    ),
    (
        (
            boto.NoRegionError,
            boto.InvalidRegionError,
            boto.UnknownServiceError,
            boto.UnknownEndpointError,
            boto.BaseEndpointResolverError,
        ),
        Remedy(RemedyKind.REFUSED, "Correct the region, or AWS_ENDPOINT_URL."),
    ),
)

_untrusted = Remedy(
    RemedyKind.REFUSED,
    "The server's certificate is not trusted here: behind a proxy that re-signs traffic, set "
    "AWS_CA_BUNDLE to its certificate.",
)

_actions: Mapping[str, str] = {
    "HeadObject": "s3:GetObject (and s3:ListBucket, without which a missing object looks denied)",
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "GetBucketLocation": "s3:GetBucketLocation",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListParts": "s3:ListMultipartUploadParts",
    "Converse": "bedrock:InvokeModel",
    "ConverseStream": "bedrock:InvokeModelWithResponseStream",
}
"""Operations whose IAM action is not named after them."""

_signing_in = {
    "AssumeRole": "sts",
    "AssumeRoleWithWebIdentity": "sts",
    "GetRoleCredentials": "sso",
    "CreateToken": "sso-oidc",
}
"""Operations that boto3 calls on its own to get credentials, whichever service is being called."""


@contextmanager
def explained(service: str, operation: str) -> Iterator[None]:
    """Exceptions of boto3 raised inside the block are re-raised as AwsFailure."""
    try:
        yield
    except (
        boto.BotoCoreError,
        boto.ClientError,
        Boto3Error,
        ResponseParserError,
        urllib3.exceptions.HTTPError,
        TimeoutError,
        ConnectionError,
    ) as error:
        raise explain(error, service, operation) from error


def explain(error: Exception, service: str, operation: str) -> AwsFailure:
    """The AwsFailure for an exception of boto3, botocore or the underlying connection."""
    if isinstance(error, boto.ClientError):
        # A call can fail in the AssumeRole that boto3 sends before it: report the operation that did fail.
        called = error.operation_name or operation
        return _from_reply(error.response, _signing_in.get(called, service), called)
    remedy = _client_remedy(error)
    code = type(error).__name__
    return _failure(remedy, remedy.advice, code=code, operation=operation, service=service, said=str(error))


def incomplete(service: str, operation: str, lacking: list[str]) -> AwsFailure:
    """The failure for a reply that lacks members which the service's model guarantees."""
    remedy = REMEDIES["IncompleteAnswer"]
    said = f"the reply lacks {', '.join(lacking)}"
    return _failure(
        remedy, remedy.advice, code="IncompleteAnswer", operation=operation, service=service, said=said
    )


def _client_remedy(error: Exception) -> Remedy:
    # SSLError is also a ConnectionError, but an untrusted certificate does not go away with a retry.
    if isinstance(error, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return _untrusted
    for classes, remedy in _client_side:
        if isinstance(error, classes):
            return remedy
    return Remedy(RemedyKind.REFUSED, "Correct what the message names.")


def _from_reply(reply: Mapping[str, Any], service: str, operation: str) -> AwsFailure:
    error = reply.get("Error", {})
    # Endpoints other than AWS (proxies, emulators) may reply without a code, or with `message` at the top.
    code = str(error.get("Code") or "Unknown")
    said = str(error.get("Message") or reply.get("message") or "")
    status = int(reply.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    remedy = remedy_for(code, said, status)
    advice = remedy.advice
    if remedy.kind is RemedyKind.DENIED:
        advice = f"Missing permission: {_action(service, operation, said)}. {advice}"
    return _failure(remedy, advice, code=code, operation=operation, service=service, status=status, said=said)


def _failure(remedy: Remedy, advice: str, *, said: str, **facts: Any) -> AwsFailure:
    described = " ".join(said.split()).rstrip(".")
    message = f"{facts['service']} {facts['operation']}: {facts['code']}: {described}. {advice}"
    return _classes[remedy.kind](message, said=said, **facts)


def _action(service: str, operation: str, said: str) -> str:
    # AWS's own message is more exact than the operation's name, but not every service names the action.
    named = re.search(r"not authorized to perform:? ([\w-]+:\w+)(?: on resource:? (\S+))?", said)
    if named:
        action, resource = named.groups()
        return f"{action} on {resource.rstrip('.')}" if resource else str(action)
    # Both of Bedrock's endpoints share one IAM prefix.
    prefix = "bedrock" if service == "bedrock-runtime" else service
    return _actions.get(operation, f"{prefix}:{operation}")
