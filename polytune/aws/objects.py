"""Objects in S3: read, listed, and written so that the same bytes travel once and wrong ones never stay."""

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
"""A larger file goes in parts."""
reading_attempts = 4
"""Tries at one object's body: boto3 itself does not repeat a download that broke off."""
digest_name = "sha256"
"""The metadata entry that holds the whole object's SHA-256, which S3 does not compute for parts."""
bare_codes = ("400", "403")
"""Codes of a reply to HEAD, which has no body to say more."""
overtaken = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
first_region = "us-east-1"

Value = TypeVar("Value")


class WrongBytes(PolytuneError):
    """An object's address names other bytes than it holds."""


@dataclass(frozen=True)
class Head:
    """What S3 says about an object without sending its content."""

    bytes: int
    sha256: str
    """64 hex digits, or "" when neither S3 nor the uploader recorded it."""
    etag: str


@dataclass(frozen=True)
class Entry:
    """One object of a listing."""

    uri: str
    bytes: int


class Objects:
    """The objects that an Access can see. Every method raises AwsFailure when S3 does not do as asked."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @property
    def _s3(self) -> Service:
        return self._access.service("s3")

    def read(self, uri: str) -> bytes:
        """The whole content; raises Missing for an object that is not there."""
        place = place_of(uri)

        def whole() -> bytes:
            return b"".join(self._chunks(place))

        return _repeated(whole)

    def fetch(self, uri: str, path: Path) -> None:
        """The file holds the object's content, or is as it was before."""
        place = place_of(uri)

        def whole() -> None:
            with published(path) as file:
                for chunk in self._chunks(place):
                    file.write(chunk)

        _repeated(whole)

    def write(self, uri: str, content: bytes) -> None:
        """The object holds `content`, whatever it held before; for what has no digest in its address."""
        place = new_place(uri)
        self._s3.call("PutObject", {**_names(place), "Body": content, "ChecksumSHA256": _checksum(content)})

    def exists(self, uri: str) -> bool:
        """Whether there is such an object."""
        return self.head(uri) is not None

    def head(self, uri: str) -> Head | None:
        """What S3 says about the object; None when there is none."""
        place = place_of(uri)
        try:
            reply = self._s3.call("HeadObject", {**_names(place), "ChecksumMode": "ENABLED"})
        except Missing:
            return None
        except AwsFailure as failure:
            if failure.code in bare_codes:
                self._raise_reason(place)
            raise
        return Head(
            bytes=int(reply.get("ContentLength", 0)),
            sha256=_recorded_digest(reply),
            etag=str(reply.get("ETag", "")).strip('"'),
        )

    def keys(self, prefix_uri: str) -> Iterator[Entry]:
        """The objects whose address starts with `prefix_uri`, in S3's order of keys."""
        prefix = place_of(prefix_uri)
        members = {"Bucket": prefix.bucket, "Prefix": prefix.key}
        for item in self._s3.pages("ListObjectsV2", members, "Contents"):
            yield Entry(uri=Place(prefix.bucket, str(item["Key"])).uri, bytes=int(item["Size"]))

    def bucket_region(self, bucket: str) -> str:
        """The region where the bucket is."""
        # HeadBucket needs s3:ListBucket; GetBucketLocation may be granted without it.
        try:
            region = self._s3.call("HeadBucket", {"Bucket": bucket}).get("BucketRegion")
        except Denied:
            region = None
        if region:
            return str(region)
        found = self._s3.call("GetBucketLocation", {"Bucket": bucket}).get("LocationConstraint")
        # The oldest regions have no name in this API, or an old one.
        return {"": first_region, "EU": "eu-west-1"}.get(str(found or ""), str(found))

    def put_file(self, path: Path, uri: str, sha256_hex: str, *, kms_key_arn: str = "") -> bool:
        """The object holds the file's bytes; False when it did before and nothing was sent.

        The SHA-256 travels along and S3 verifies it; an object that is already there is never replaced.
        Raises DataError when the file's bytes have another digest, WrongBytes when the object's have.
        """
        place = new_place(uri)
        size = path.stat().st_size
        if self._is_there(place, size, sha256_hex):
            return False
        settings = _settings(sha256_hex, kms_key_arn)
        try:
            checksum = self._put(path, place, sha256_hex, settings)
        except AwsFailure as failure:
            # Another run, or an earlier attempt whose reply was lost, has finished the same upload.
            raced = failure.code in overtaken or isinstance(failure, Missing)
            if raced and self._is_there(place, size, sha256_hex):
                return False
            raise
        # A server that returns no checksum may not have verified the bytes: look at what it has.
        if not checksum and not self._is_there(place, size, sha256_hex):
            raise WrongBytes(f"{uri}: S3 took the upload and does not have it; run again")
        return True

    def _put(self, path: Path, place: Place, sha256_hex: str, settings: Mapping[str, Any]) -> str:
        if path.stat().st_size > largest_single_put_bytes:
            return Upload(self._s3, path, place, sha256_hex, settings).send()
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
        """Raises what a GET, whose reply has a body, says about the refusal."""
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
    """The whole object's digest: S3's own where it says that it covers the whole, else the uploader's."""
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
