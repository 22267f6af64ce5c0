"""Reads, lists and writes S3 objects: the same bytes are sent once, and wrong bytes never stay."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Denied, Missing, explained
from polytune.aws.multipart import Upload, changed
from polytune.aws.places import Place, new_place, place_of
from polytune.aws.service import Service
from polytune.errors import PolytuneError
from polytune.files import chunk_bytes, published

largest_single_put_bytes = 16 << 20
"""Larger files are uploaded in parts."""
reading_attempts = 4
"""Attempts at reading an object's body: boto3 does not retry a download that breaks off after its headers."""
digest_name = "sha256"
"""The metadata entry with the whole object's SHA-256; for multipart uploads, S3's own is a composite one."""
bare_codes = ("400", "403")
"""Error codes of HEAD replies, which have no body and so no specific code."""
# IfNoneMatch fails with 412 when the object exists, with 409 while a concurrent upload is completing.
overtaken = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
first_region = "us-east-1"

Value = TypeVar("Value")


class WrongBytes(PolytuneError):
    """An object does not hold the bytes that its address names."""


@dataclass(frozen=True)
class Head:
    """What S3 states about an object without sending its content."""

    bytes: int
    sha256: str
    """64 hex digits, or "" when neither S3 nor the uploader recorded it."""
    etag: str


@dataclass(frozen=True)
class Entry:
    """One object in a listing."""

    uri: str
    bytes: int


class Objects:
    """The S3 objects that an Access can reach. Every method raises AwsFailure when a call fails."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @property
    def _s3(self) -> Service:
        return self._access.service("s3")

    def read(self, uri: str) -> bytes:
        """The whole content; raises Missing if the object does not exist."""
        place = place_of(uri)

        def whole() -> bytes:
            return b"".join(self._chunks(place))

        return _repeated(whole)

    def fetch(self, uri: str, path: Path) -> None:
        """The file holds the object's content; on failure the file is unchanged."""
        place = place_of(uri)

        def whole() -> None:
            with published(path) as file:
                for chunk in self._chunks(place):
                    file.write(chunk)

        _repeated(whole)

    def write(self, uri: str, content: bytes) -> None:
        """The object holds `content`; existing content is replaced. For addresses without a digest."""
        place = new_place(uri)
        self._s3.call("PutObject", {**_names(place), "Body": content, "ChecksumSHA256": _checksum(content)})

    def exists(self, uri: str) -> bool:
        """Whether the object exists."""
        return self.head(uri) is not None

    def head(self, uri: str) -> Head | None:
        """What S3 states about the object; None when it does not exist."""
        place = place_of(uri)
        try:
            reply = self._s3.call("HeadObject", {**_names(place), "ChecksumMode": "ENABLED"})
        except Missing:
            return None
        except AwsFailure as failure:
            # HEAD cannot say whether credentials expired or a permission is missing; a GET can.
            if failure.code in bare_codes:
                self._raise_reason(place)
            raise
        return Head(
            bytes=int(reply.get("ContentLength", 0)),
            sha256=_recorded_digest(reply),
            etag=str(reply.get("ETag", "")).strip('"'),
        )

    def keys(self, prefix_uri: str) -> Iterator[Entry]:
        """The objects whose address starts with `prefix_uri`, in S3's key order."""
        prefix = place_of(prefix_uri)
        members = {"Bucket": prefix.bucket, "Prefix": prefix.key}
        for item in self._s3.pages("ListObjectsV2", members, "Contents"):
            yield Entry(uri=Place(prefix.bucket, str(item["Key"])).uri, bytes=int(item["Size"]))

    def bucket_region(self, bucket: str) -> str:
        """The bucket's region."""
        # HeadBucket needs s3:ListBucket; GetBucketLocation may be granted without it.
        try:
            region = self._s3.call("HeadBucket", {"Bucket": bucket}).get("BucketRegion")
        except Denied:
            region = None
        if region:
            return str(region)
        found = self._s3.call("GetBucketLocation", {"Bucket": bucket}).get("LocationConstraint")
        # This API returns nothing for us-east-1, and an old name for eu-west-1.
        return {"": first_region, "EU": "eu-west-1"}.get(str(found or ""), str(found))

    def put_file(self, path: Path, uri: str, sha256_hex: str, *, kms_key_arn: str = "") -> bool:
        """The object holds the file's bytes; returns False if it already did and nothing was sent.

        The SHA-256 is sent along and S3 verifies it. An existing object is never replaced. Raises DataError
        when the file has another digest, WrongBytes when the object has.
        """
        place = new_place(uri)
        size = path.stat().st_size
        if self._is_there(place, size, sha256_hex):
            return False
        settings = _settings(sha256_hex, kms_key_arn)
        try:
            checksum = self._put(path, place, sha256_hex, settings)
        except AwsFailure as failure:
            # Another run, or an earlier attempt whose reply was lost, may have finished the same upload.
            # Missing here means NoSuchUpload: the upload ID is no longer valid once it was completed.
            raced = failure.code in overtaken or isinstance(failure, Missing)
            if raced and self._is_there(place, size, sha256_hex):
                return False
            raise
        # A server that returns no checksum may not have verified the bytes, so check what it stored.
        if not checksum and not self._is_there(place, size, sha256_hex):
            raise WrongBytes(f"{uri}: S3 took the upload and does not have it; run again")
        return True

    def _put(self, path: Path, place: Place, sha256_hex: str, settings: Mapping[str, Any]) -> str:
        if path.stat().st_size > largest_single_put_bytes:
            return Upload(self._s3, path, place, sha256_hex, settings).send()
        # Read once, so that the bytes that are hashed are the bytes that are sent.
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256_hex:
            raise changed(path, sha256_hex, found)
        sent = {**_names(place), "Body": content, "ChecksumSHA256": _checksum(content), "IfNoneMatch": "*"}
        reply = self._s3.call("PutObject", {**sent, **settings})
        return str(reply.get("ChecksumSHA256") or "")

    def _is_there(self, place: Place, size: int, sha256_hex: str) -> bool:
        head = self.head(place.uri)
        if head is None:
            return False
        # Sizes are compared first: downloading the object to hash it is the last resort.
        found = f"{head.bytes} bytes"
        if head.bytes == size:
            found = head.sha256 or self._digest(place)
        if found != sha256_hex:
            raise WrongBytes(
                f"{place.uri} has different content ({found}) than expected (SHA-256 {sha256_hex}, {size} "
                "bytes). It was not changed; delete it or choose another prefix."
            )
        return True

    def _digest(self, place: Place) -> str:
        def whole() -> str:
            running = hashlib.sha256()
            for chunk in self._chunks(place):
                running.update(chunk)
            return running.hexdigest()

        return _repeated(whole)

    def _chunks(self, place: Place) -> Iterator[bytes]:
        body = self._s3.call("GetObject", _names(place))["Body"]
        try:
            while True:
                with explained("s3", "GetObject"):
                    chunk = body.read(chunk_bytes)
                if not chunk:
                    return
                yield chunk
        finally:
            body.close()

    def _raise_reason(self, place: Place) -> None:
        """Raises the error of a GET, whose reply has a body that explains the refusal."""
        try:
            reply = self._s3.call("GetObject", {**_names(place), "Range": "bytes=0-0"})
        except Missing:
            return
        reply["Body"].close()


def _names(place: Place) -> dict[str, Any]:
    return {"Bucket": place.bucket, "Key": place.key}


def _settings(sha256_hex: str, kms_key_arn: str) -> dict[str, Any]:
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_arn} if kms_key_arn else {}
    return {"Metadata": {digest_name: sha256_hex}, **encryption}


def _checksum(content: bytes) -> str:
    return b64encode(hashlib.sha256(content).digest()).decode()


def _recorded_digest(reply: Mapping[str, Any]) -> str:
    """The whole object's digest: S3's own if it covers the whole object, else the uploader's."""
    checksum = str(reply.get("ChecksumSHA256") or "")
    stated = str(reply.get("Metadata", {}).get(digest_name, ""))
    whole = reply.get("ChecksumType") == "FULL_OBJECT" or not stated
    return b64decode(checksum).hex() if checksum and "-" not in checksum and whole else stated


def _repeated(reading: Callable[[], Value]) -> Value:
    for _ in range(reading_attempts - 1):
        try:
            return reading()
        except AwsFailure as failure:
            if not failure.transient:
                raise
    return reading()
