"""What AWS errors mean for a run and how to fix them: by error code, by message, by a job's failure message.

Covers what polytune's own calls can raise: the codes that botocore's models declare for the operations it
calls, the protocols' common error codes, and messages that are more specific than their code. Services add
codes at any time: an unlisted one is classified by its HTTP status, or gets the general remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class RemedyKind(Enum):
    """How a run reacts to a failure."""

    REFUSED = auto()
    """The request is invalid or not possible; the same call would fail again."""
    CREDENTIALS = auto()
    """The call was not signed, or its signature is not valid; the run pauses."""
    DENIED = auto()
    """The caller lacks a permission."""
    UNREACHABLE = auto()
    """The service sent no valid reply; the same call may work later."""
    MISSING = auto()
    """The named resource does not exist."""
    TAKEN = auto()
    """The name is in use, perhaps by an earlier attempt of the same run."""


@dataclass(frozen=True)
class Remedy:
    """A kind of failure and the advice that its message ends with."""

    kind: RemedyKind
    advice: str


REFUSED, CREDENTIALS, DENIED = RemedyKind.REFUSED, RemedyKind.CREDENTIALS, RemedyKind.DENIED
UNREACHABLE, MISSING, TAKEN = RemedyKind.UNREACHABLE, RemedyKind.MISSING, RemedyKind.TAKEN

sign_in = "Sign in again (`aws sso login`, or fresh keys in the environment or .env), then run it again."
slow_down = (
    "AWS asks to slow down: wait and run it again, or lower the concurrency or ask for a higher quota."
)
busy = "Something else is changing it: wait until that is done, then run it again."
check_key = "Check the KMS key: that it is enabled, in this region, and that its policy lets the role use it."
in_use = "Look at what holds the name: adopt it, delete it, or choose another name."

GENERAL = Remedy(
    REFUSED, "polytune does not know this error: correct what AWS's message names, then run it again."
)
"""For an unlisted code whose HTTP status says nothing either."""

# Codes are separated by spaces: one string per remedy is easier to review than a list of 150 entries.
_groups: tuple[tuple[RemedyKind, str, str], ...] = (
    (
        CREDENTIALS,
        sign_in,
        "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired UnauthorizedException",
    ),
    (
        CREDENTIALS,
        # Errors of IAM Identity Center while botocore renews a token on its own.
        "Sign in again: `aws sso login`, then run it again.",
        "InvalidGrantException InvalidClientException UnauthorizedClientException InvalidScopeException "
        "UnsupportedGrantTypeException AuthorizationPendingException",
    ),
    (
        CREDENTIALS,
        "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN or the profile, then "
        "run it again.",
        "InvalidClientTokenId InvalidAccessKeyId InvalidToken InvalidSecurity SignatureDoesNotMatch "
        "InvalidSignatureException IncompleteSignature IncompleteSignatureException "
        "UnrecognizedClientException MissingAuthenticationToken MissingAuthenticationTokenException "
        "MissingSecurityHeader NotSignedUp OptInRequired AuthFailure 401",
    ),
    (
        CREDENTIALS,
        "Set this machine's clock (signatures are valid for minutes), then run it again.",
        "RequestTimeTooSkewed RequestInTheFuture",
    ),
    (
        CREDENTIALS,
        "Check the identity provider and its token, then run it again.",
        "IDPRejectedClaim InvalidIdentityToken",
    ),
    (
        DENIED,
        "Grant it; `polytune iam` prints the policies that an experiment needs.",
        "AccessDenied AccessDeniedException 403 Forbidden ForbiddenException UnauthorizedOperation "
        "AllAccessDisabled AccountProblem NotAuthorized AuthorizationError",
    ),
    (DENIED, check_key, "KMS.AccessDeniedException"),
    (
        DENIED,
        "Enable the region for the account (Account > AWS Regions), or work in another one.",
        "RegionDisabledException",
    ),
    (
        UNREACHABLE,
        slow_down,
        "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException "
        "RequestLimitExceeded BandwidthLimitExceeded TooManyRequestsException SlowDown SlowDownException 429",
    ),
    (
        UNREACHABLE,
        "AWS failed: wait and run it again; status: health.aws.amazon.com.",
        "InternalServerException InternalServerError InternalServiceError InternalFailure InternalError "
        "InternalErrorException KMSInternalException DependencyTimeoutException ServiceUnavailable "
        "ServiceUnavailableException ServiceException ServiceFailure 500 502 503 504",
    ),
    (
        UNREACHABLE,
        "The connection was too slow: check the network, then run it again.",
        "RequestTimeout RequestTimeoutException 408",
    ),
    (
        UNREACHABLE,
        "The reply was cut off, and so was every retry. Check the network or the proxy, then run it again.",
        "TruncatedResponse",
    ),
    (
        UNREACHABLE,
        "The reply lacks fields that the service guarantees; wait and run it again. If it keeps "
        "happening, update boto3.",
        "IncompleteAnswer",
    ),
    (
        UNREACHABLE,
        "The model is being loaded: try again in a few minutes.",
        "ModelNotReadyException",
    ),
    (
        UNREACHABLE,
        "The model took too long: try again, ask for fewer tokens, or set a longer read timeout.",
        "ModelTimeoutException",
    ),
    (UNREACHABLE, "The model stopped while streaming: try again.", "ModelStreamErrorException"),
    (
        UNREACHABLE,
        "The identity provider did not answer: check it and its token, then run it again.",
        "IDPCommunicationError",
    ),
    (UNREACHABLE, busy, "OperationAborted ConditionalRequestConflict ConcurrentModification"),
    (
        UNREACHABLE,
        "Run it again; if it keeps happening, something between here and AWS changes the bytes.",
        "BadDigest InvalidDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch IncompleteBody",
    ),
    (
        MISSING,
        "Correct the name, the ARN or the region; it may also have been deleted.",
        "ResourceNotFoundException ResourceNotFound NotFoundException NotFound 404 NoSuchBucket NoSuchKey "
        "NoSuchUpload NoSuchVersion NoSuchBucketPolicy NoSuchEntity CodeSigningConfigNotFoundException",
    ),
    (MISSING, check_key, "KMS.NotFoundException"),
    (
        TAKEN,
        in_use,
        "ConflictException ResourceConflictException BucketAlreadyExists BucketAlreadyOwnedByYou "
        "EntityAlreadyExists PreconditionFailed 412",
    ),
    (
        REFUSED,
        "Correct the value that the message names.",
        "ValidationException ValidationError InvalidInput InvalidRequest InvalidRequestException "
        "InvalidArnException InvalidContextAssertion InvalidParameter "
        "InvalidParameterCombination InvalidParameterException InvalidParameterValue "
        "InvalidParameterValueException InvalidArgument InvalidQueryParameter InvalidPrefix InvalidURI "
        "InvalidNextTokenException ExpiredNextTokenException MalformedQueryString MalformedXML "
        "MissingParameter MissingAction MethodNotAllowed 400 405 SerializationException",
    ),
    (
        REFUSED,
        "Delete what is no longer used, or ask for a higher quota in the Service Quotas console.",
        "ServiceQuotaExceededException LimitExceeded LimitExceededException CodeStorageExceededException "
        "FunctionVersionsPerCapacityProviderLimitExceededException",
    ),
    (
        REFUSED,
        "One resource takes 50 tags at most (200 in one request): give fewer `tags:`.",
        "TooManyTagsException",
    ),
    (
        REFUSED,
        "The model could not process this input: shorten it or change it; the message names the "
        "model's own error.",
        "ModelErrorException",
    ),
    (
        REFUSED,
        "This endpoint does not know the operation: check AWS_ENDPOINT_URL and the region.",
        "InvalidAction UnknownOperationException UnknownOperation NotImplemented",
    ),
    (
        REFUSED,
        "The bucket is in another region: use a bucket in the job's region.",
        "PermanentRedirect TemporaryRedirect AuthorizationHeaderMalformed 301 307",
    ),
    (
        REFUSED,
        "Correct the object or bucket settings that the message names.",
        "InvalidBucketName InvalidObjectName KeyTooLongError EncryptionTypeMismatch MetadataTooLarge",
    ),
    (
        REFUSED,
        "Run it again: that starts a new upload.",
        "InvalidPart InvalidPartOrder EntityTooSmall TooManyParts InvalidWriteOffset InvalidRange 416 "
        "MissingContentLength 411",
    ),
    (
        REFUSED,
        "Split the data: one object holds at most 5 TiB (5 GiB in one request).",
        "EntityTooLarge 413",
    ),
    (
        REFUSED,
        "The object is archived: restore it to a readable storage class first.",
        "InvalidObjectState",
    ),
    (REFUSED, check_key, "KMS.DisabledException KMS.KMSInvalidStateException"),
    (
        REFUSED,
        "Lambda refuses the function package: make it again, signed as the function's configuration demands.",
        "InvalidCodeSignatureException CodeVerificationFailedException",
    ),
    (
        REFUSED,
        "Correct the policy document: valid JSON, known actions, below the size limit.",
        "MalformedPolicyDocument PackedPolicyTooLarge",
    ),
    (
        REFUSED,
        "It was changed in the meantime: look at it, then run it again.",
        "PreconditionFailedException",
    ),
)

REMEDIES: Mapping[str, Remedy] = {
    code: Remedy(kind, advice) for kind, advice, codes in _groups for code in codes.split()
}
"""By error code, or by the HTTP status that botocore uses as the code of a reply without a body."""


@dataclass(frozen=True)
class Wording:
    """A pattern in a message and what it means."""

    pattern: re.Pattern[str]
    remedy: Remedy


def _wording(pattern: str, kind: RemedyKind, advice: str) -> Wording:
    return Wording(re.compile(pattern, re.IGNORECASE), Remedy(kind, advice))


WORDINGS: tuple[Wording, ...] = (
    _wording(
        r"security token .*(expired|invalid)|credentials? (has|have|is|are) expired", CREDENTIALS, sign_in
    ),
    _wording(r"name is currently in use|already in use|name .*already exists|already exist", TAKEN, in_use),
    _wording(
        r"with an explicit deny in a service control policy",
        DENIED,
        "A service control policy of the organization forbids it: no policy of this account can grant"
        " it, only the organization's administrator can.",
    ),
    _wording(
        r"explicit deny",
        DENIED,
        "A policy denies it explicitly, and no grant overrides that: find the Deny statement and remove it.",
    ),
    _wording(
        r"don't have access to the model|access to the model with the specified model id",
        DENIED,
        "Enable access to the model for this account (Bedrock console > Model access) in this region.",
    ),
    _wording(
        r"could not assume|unable to assume|cannot be assumed",
        REFUSED,
        "The role's trust policy must let bedrock.amazonaws.com assume it for this account and "
        "region; `polytune iam` prints it. A new role needs about ten seconds before it works.",
    ),
    _wording(
        r"on-demand throughput isn.t supported",
        REFUSED,
        "Name an inference profile instead (such as us.amazon.nova-lite-v1:0), or a deployment's ARN.",
    ),
    _wording(r"mutating state|is being (created|updated|deleted)|not in (a|an) .*state", UNREACHABLE, busy),
    _wording(r"too many connections|rate exceeded|too many requests|too many tokens", UNREACHABLE, slow_down),
    _wording(
        r"input is too long|too many input tokens|maximum context",
        REFUSED,
        "Shorten the input: it exceeds what the model can read in one call.",
    ),
)
"""Messages of failed calls; the first match wins. As quoted in AWS's pages and in public issues, 2026-11."""

JOB_WORDINGS: tuple[tuple[str, str], ...] = (
    (
        r"GetObject permissions",
        "The service role must be able to read the bucket: s3:GetObject and s3:ListBucket, a trust policy for"
        " bedrock.amazonaws.com, kms:Decrypt if the bucket is encrypted with a key, and the same region",
    ),
    (
        r"PutObject",
        "The service role must be able to write the output place: s3:PutObject on it, and the key's"
        " kms:GenerateDataKey if there is one",
    ),
    (
        r"Unable to parse Amazon S3 file|must conform to JSONL|must follow",
        "The rows are not in the layout that this base model takes: `polytune validate` names them",
    ),
    (
        r"token (count|length)|Input size exceeded",
        "Rows are longer than the base model takes: `polytune validate` names them; drop or shorten them",
    ),
    (
        r"third-party license terms",
        "AWS screened the data and refuses it; only AWS support can say which rows",
    ),
    (
        r"unexpected error|internal error",
        "AWS failed, nothing was trained and nothing is billed: run again, which submits a new attempt",
    ),
    (
        r"explicit deny",
        "A service control policy of the organisation forbids it; its administrator can allow it",
    ),
    (
        r"reserved|invalid tokens|keywords",
        "The data holds strings reserved by the model: `polytune data lint`",
    ),
)
"""Failure messages of Bedrock jobs, as patterns, and the likely fix; the first match wins. From AWS's
troubleshooting guide and from recorded jobs."""


def remedy_for(code: str, said: str = "", status: int = 0) -> Remedy:
    """What a code and a message mean; an unlisted code is classified by its HTTP status."""
    # Inside an event stream, codes begin with a lower-case letter.
    known = REMEDIES.get(code) or REMEDIES.get(code[:1].upper() + code[1:])
    for wording in WORDINGS:
        if wording.pattern.search(said) and _may_override(known, wording.remedy):
            return wording.remedy
    return known or _by_status(status)


def _by_status(status: int) -> Remedy:
    if status >= 500:
        return REMEDIES["500"]
    # REMEDIES["400"] advises correcting the value that the message names, but an unknown code may mean
    # anything: 400 itself says only that AWS rejects the request.
    return GENERAL if status == 400 else REMEDIES.get(str(status), GENERAL)


def _may_override(known: Remedy | None, better: Remedy) -> bool:
    """Whether a message may override a code: a code that names a cause is more reliable than a phrase."""
    if known is None or better.kind is CREDENTIALS:
        return True
    return known.kind in (REFUSED, TAKEN, better.kind)


def job_fix(message: str) -> str:
    """The likely fix for the failure message of a Bedrock job; '' when none is known."""
    found = (fix for pattern, fix in JOB_WORDINGS if re.search(pattern, message, re.IGNORECASE))
    return next(found, "")
