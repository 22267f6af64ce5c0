"""What each error code of AWS means for a run, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """How a run reacts to a failure."""

    REFUSED = auto()
    """The request is wrong, or not possible; the same call fails again."""
    CREDENTIALS = auto()
    """Nobody, or nobody valid, signed the call: a run pauses."""
    DENIED = auto()
    """The signer may not do this."""
    UNREACHABLE = auto()
    """The service did not answer properly; the same call may work later."""
    MISSING = auto()
    """What the call names does not exist."""
    TAKEN = auto()
    """The name is in use, perhaps by an earlier attempt of this very run."""


@dataclass(frozen=True)
class Remedy:
    """One kind of failure and the advice that its message ends with."""

    kind: Kind
    advice: str


def _group(kind: Kind, advice: str, codes: str) -> dict[str, Remedy]:
    return dict.fromkeys(codes.split(), Remedy(kind, advice))


_groups = (
    _group(
        Kind.CREDENTIALS,
        "Sign in again (`aws sso login`, or fresh keys in the environment or .env), then run it again.",
        """
            ExpiredToken ExpiredTokenException ExpiredTradeInTokenException RequestExpired
            TokenRefreshRequired UnauthorizedException
        """,
    ),
    _group(
        Kind.CREDENTIALS,
        "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN or the profile, then "
        "run it again.",
        """
            InvalidClientTokenId InvalidAccessKeyId InvalidToken InvalidSecurity SignatureDoesNotMatch
            InvalidSignatureException IncompleteSignature IncompleteSignatureException
            UnrecognizedClientException MissingAuthenticationToken MissingAuthenticationTokenException
            MissingSecurityHeader NotSignedUp OptInRequired AuthFailure
        """,
    ),
    _group(
        Kind.CREDENTIALS,
        "Set this machine's clock (signatures are valid for minutes), then run it again.",
        """
            RequestTimeTooSkewed RequestInTheFuture
        """,
    ),
    _group(
        Kind.CREDENTIALS,
        "Check the identity provider and its token, then run it again.",
        """
            IDPRejectedClaim InvalidIdentityToken InvalidIdentityTokenException
        """,
    ),
    _group(
        Kind.DENIED,
        "Grant it; `polytune iam` prints the policies that an experiment needs.",
        """
            AccessDenied AccessDeniedException 403 Forbidden ForbiddenException UnauthorizedOperation
            AllAccessDisabled AccountProblem NotAuthorized AuthorizationError EC2AccessDeniedException
        """,
    ),
    _group(
        Kind.DENIED,
        "Check the KMS key: that it is enabled, in this region, and that its policy lets the role use it.",
        """
            KMSAccessDeniedException KMS.AccessDeniedException
        """,
    ),
    _group(
        Kind.DENIED,
        "Enable the region for the account (Account > AWS Regions), or work in another one.",
        """
            RegionDisabledException RegionDisabled
        """,
    ),
    _group(
        Kind.DENIED,
        "Shorten the session or raise the role's maximum session duration.",
        """
            SessionDurationEscalationException
        """,
    ),
    _group(
        Kind.DENIED,
        "polytune does not use this feature itself: look at the account's settings in the AWS console.",
        """
            OutboundWebIdentityFederationDisabledException CallerIsNotManagementAccountException
            AccountNotManagementOrDelegatedAdministratorException ServiceAccessNotEnabledException
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "AWS asks to slow down: wait and run it again, or lower the concurrency or ask for a higher quota.",
        """
            Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException
            RequestLimitExceeded BandwidthLimitExceeded TooManyRequestsException
            ProvisionedThroughputExceededException PriorRequestNotComplete
            TransactionInProgressException SlowDown 429 EC2ThrottledException
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "A fault inside AWS: wait and run it again; status: health.aws.amazon.com.",
        """
            InternalServerException InternalServerError InternalFailure InternalError
            InternalErrorException ServiceUnavailable ServiceUnavailableException ServiceException
            ServiceFailure ServerError UnknownError 500 502 503 504 EC2UnexpectedException
            PolicyEvaluation
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "The connection was too slow: check the network, then run it again.",
        """
            RequestTimeout RequestTimeoutException 408
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "The answer was cut off on the way; it was asked for again in vain. Check the network or the "
        "proxy, then run it again.",
        """
            TruncatedResponse
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "The answer lacks members that the service promises; wait and run it again. If it keeps "
        "happening, update boto3.",
        """
            IncompleteAnswer
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "The model is being loaded: try again in a few minutes.",
        """
            ModelNotReadyException
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "The model took too long: try again, ask for fewer tokens, or set a longer read timeout.",
        """
            ModelTimeoutException
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "The model broke off while streaming: try again.",
        """
            ModelStreamErrorException
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "Check the identity provider and its token, then run it again.",
        """
            IDPCommunicationError OpenIdIdpCommunicationError
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "Something else is changing it: wait until that is done, then run it again.",
        """
            OperationAborted ConditionalRequestConflict ConcurrentModification
            EntityTemporarilyUnmodifiable ResourceNotReadyException SnapStartNotReadyException
            ENINotReadyException CodeArtifactUserPendingException CallbackTimeoutException
            SnapStartTimeoutException EFSMountTimeoutException S3FilesMountTimeoutException
            ReportInProgress
        """,
    ),
    _group(
        Kind.UNREACHABLE,
        "Call again; if it keeps happening, something between here and AWS changes the bytes.",
        """
            BadDigest InvalidDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch IncompleteBody
            FlexibleChecksumError
        """,
    ),
    _group(
        Kind.MISSING,
        "Correct the name, the ARN or the region; the thing may also have been deleted.",
        """
            ResourceNotFoundException ResourceNotFound NotFoundException NotFound 404 NoSuchBucket
            NoSuchKey NoSuchUpload NoSuchVersion NoSuchAnnotation NoSuchBucketPolicy NoSuchTagSet
            NoSuchEntity NoSuchResourceException RuntimeAliasDeletedException
            RuntimeVersionDeletedException ProvisionedConcurrencyConfigNotFoundException
            CodeSigningConfigNotFoundException NoPublishedVersionException ReportNotPresent
            ReportExpired OrganizationNotFoundException
        """,
    ),
    _group(
        Kind.MISSING,
        "Check the KMS key: that it is enabled, in this region, and that its policy lets the role use it.",
        """
            KMSNotFoundException KMS.NotFoundException
        """,
    ),
    _group(
        Kind.TAKEN,
        "Look at what holds the name: adopt it, delete it, or choose another name.",
        """
            ConflictException ResourceInUseException ResourceConflictException
            ResourceAlreadyExistsException EntityAlreadyExists NameConflict BucketAlreadyExists
            BucketAlreadyOwnedByYou DurableExecutionAlreadyStartedException DuplicateCertificate
            DuplicateSSHPublicKey PreconditionFailed 412
        """,
    ),
    _group(
        Kind.REFUSED,
        "Correct the value that the message names.",
        """
            ValidationException ValidationError InvalidInput InvalidRequest
            InvalidRequestContentException InvalidParameter InvalidParameterCombination
            InvalidParameterException InvalidParameterValue InvalidParameterValueException
            InvalidArgument InvalidQueryParameter InvalidPrefix InvalidURI InvalidNextTokenException
            ExpiredNextTokenException MalformedQueryString MalformedXML MissingParameter MissingAction
            MethodNotAllowed 400 405 UnsupportedMediaType UnsupportedMediaTypeException
            ModeNotSupportedException SerializationException
        """,
    ),
    _group(
        Kind.REFUSED,
        "Delete what is no longer used, or ask for a higher quota in the Service Quotas console.",
        """
            ServiceQuotaExceededException LimitExceeded LimitExceededException
            AliasLimitExceededException CapacityProviderLimitExceededException
            FunctionVersionsPerCapacityProviderLimitExceededException CodeStorageExceededException
            ReportGenerationLimitExceeded TooManyBuckets 402
        """,
    ),
    _group(
        Kind.REFUSED,
        "At most 50 tags are kept on one thing (200 in one request): give fewer `tags:`.",
        """
            TooManyTagsException
        """,
    ),
    _group(
        Kind.REFUSED,
        "The model could not process this input: shorten it or change it; the message names the "
        "model's own error.",
        """
            ModelErrorException
        """,
    ),
    _group(
        Kind.REFUSED,
        "This endpoint does not know the operation: check AWS_ENDPOINT_URL and the region.",
        """
            InvalidAction UnknownOperationException UnknownOperation NotImplemented NotSupportedService
        """,
    ),
    _group(
        Kind.REFUSED,
        "The bucket is in another region: use a bucket in the job's region.",
        """
            PermanentRedirect TemporaryRedirect AuthorizationHeaderMalformed
            IllegalLocationConstraintException 301 307
        """,
    ),
    _group(
        Kind.REFUSED,
        "Correct the object or bucket settings that the message names.",
        """
            InvalidBucketName InvalidObjectName KeyTooLongError InvalidStorageClass
            EncryptionTypeMismatch IdempotencyParameterMismatch MetadataTooLarge InvalidTag
            AnnotationLimitExceeded AnnotationNameTooLong InvalidAnnotationName
        """,
    ),
    _group(
        Kind.REFUSED,
        "Run it again: that starts a new upload.",
        """
            InvalidPart InvalidPartOrder EntityTooSmall TooManyParts InvalidWriteOffset InvalidRange 416
            MissingContentLength 411
        """,
    ),
    _group(
        Kind.REFUSED,
        "Split the data: one object holds at most 5 TiB (5 GiB in one request).",
        """
            EntityTooLarge RequestTooLargeException SerializedRequestEntityTooLargeException 413
        """,
    ),
    _group(
        Kind.REFUSED,
        "The object is archived: restore it to a readable storage class first.",
        """
            InvalidObjectState ObjectAlreadyInActiveTierError ObjectNotInActiveTierError
        """,
    ),
    _group(
        Kind.REFUSED,
        "Check the KMS key: that it is enabled, in this region, and that its policy lets the role use it.",
        """
            KMSDisabledException KMSInvalidStateException KMS.DisabledException
            KMS.KMSInvalidStateException
        """,
    ),
    _group(
        Kind.REFUSED,
        "Check the subnets and security groups, that they are in this region and account, and free "
        "addresses.",
        """
            InvalidSecurityGroupIDException InvalidSubnetIDException
            SubnetIPAddressLimitReachedException ENILimitReachedException EFSIOException
            EFSMountConnectivityException EFSMountFailureException S3FilesMountConnectivityException
            S3FilesMountFailureException
        """,
    ),
    _group(
        Kind.REFUSED,
        "The function package is refused: make it again, smaller or in the layout that Lambda wants.",
        """
            InvalidZipFileException InvalidRuntimeException InvalidCodeSignatureException
            CodeVerificationFailedException CodeArtifactUserDeletedException
            CodeArtifactUserFailedException SnapStartException SnapStartRegenerationFailureException
            RecursiveInvocationException
        """,
    ),
    _group(
        Kind.REFUSED,
        "Correct the policy document: valid JSON, known actions, below the size limit.",
        """
            MalformedPolicyDocument MalformedPolicyDocumentException PackedPolicyTooLarge
            PolicyLengthExceededException PolicyNotAttachable PublicPolicyException
            JWTPayloadSizeExceededException
        """,
    ),
    _group(
        Kind.REFUSED,
        "Somebody changed it in between: look at it, then run it again.",
        """
            PreconditionFailedException RoleModified DeleteConflict UnmodifiableEntity
        """,
    ),
    _group(
        Kind.REFUSED,
        "polytune does not use this feature itself: look at the account's settings in the AWS console.",
        """
            InvalidAuthorizationMessageException FeatureDisabled FeatureEnabled
            InvalidAuthenticationCode InvalidCertificate InvalidPublicKey InvalidUserType
            KeyPairMismatch MalformedCertificate OrganizationNotInAllFeaturesModeException
            PasswordPolicyViolation RoleTemplateDisabled UnrecognizedPublicKeyEncoding
        """,
    ),
)

REMEDIES: Mapping[str, Remedy] = {code: remedy for group in _groups for code, remedy in group.items()}
"""By error code, or by the HTTP status that stands in for one where the answer has no body."""
