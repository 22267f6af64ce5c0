"""Uploads a large file to S3 in parts: hashed while it is read, resumed where an interrupted upload stopped.

reader (this thread): reads parts, hashes the whole file -> senders (threads): hash and send one part each
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytune.aws.failures import AwsFailure, Denied, Missing, NeedsCredentials
from polytune.aws.places import Place
from polytune.aws.service import Service
from polytune.errors import DataError

smallest_part_bytes = 16 << 20
"""Part size of every file below 160 GB; S3 itself takes parts from 5 MiB. Chosen by the measurement below."""
most_parts = 10_000
"""Maximum parts per upload (docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html, 2026)."""
senders = 6
"""Parts sent in parallel. Measured 2026-11 against SeaweedFS on two cores: with 16 MiB parts, 3 to 8 senders
differ by less than the noise; 8 and 32 MiB parts are slower."""


@dataclass(frozen=True)
class _Part:
    """A part that S3 has stored; `digest` (SHA-256) is empty when the listing does not state it."""

    number: int
    etag: str
    digest: bytes

    def __str__(self) -> str:
        return b64encode(self.digest).decode()


class Upload:
    """A multipart upload of a file whose SHA-256 is known; `settings` are passed to CreateMultipartUpload."""

    def __init__(
        self, s3: Service, path: Path, place: Place, sha256_hex: str, settings: Mapping[str, Any]
    ) -> None:
        self._s3 = s3
        self._path = path
        self._names = {"Bucket": place.bucket, "Key": place.key}
        self._sha256_hex = sha256_hex
        self._settings = settings
        # ListMultipartUploads does not state the KMS key of an unfinished upload, so an encrypted upload is
        # never resumed: it could end up under the wrong key.
        self._continues = "SSEKMSKeyId" not in settings

    def send(self) -> str:
        """The object holds the whole file; returns the checksum that S3 computed for it, or "".

        Parts that an earlier, interrupted upload already sent are not sent again. Raises DataError when the
        file does not match its digest, and AwsFailure with code `PreconditionFailed` when the key was created
        in the meantime; the object is unchanged in both cases.
        """
        upload_id, there = self._unfinished() if self._continues else ("", {})
        if not upload_id:
            created = self._s3.call(
                "CreateMultipartUpload", {**self._names, "ChecksumAlgorithm": "SHA256", **self._settings}
            )
            upload_id = str(created["UploadId"])
        try:
            return self._complete(upload_id, self._parts(upload_id, there))
        except (AwsFailure, DataError) as failure:
            # S3 bills the parts of an unfinished upload until it is aborted, so only resumable ones are kept.
            if not self._worth_keeping(failure):
                self._abort(upload_id)
            raise

    def _worth_keeping(self, failure: AwsFailure | DataError) -> bool:
        if isinstance(failure, NeedsCredentials):
            return self._continues
        return isinstance(failure, AwsFailure) and failure.transient and self._continues

    def _unfinished(self) -> tuple[str, dict[int, _Part]]:
        """The newest unfinished upload of this object and its parts by number; none if listing is denied."""
        place = {"Bucket": self._names["Bucket"], "Prefix": self._names["Key"]}
        try:
            uploads = [
                found
                for found in self._s3.pages("ListMultipartUploads", place, "Uploads")
                # A prefix also matches longer keys; parts without SHA-256 could not be completed with one.
                if found["Key"] == self._names["Key"] and found.get("ChecksumAlgorithm", "SHA256") == "SHA256"
            ]
            if not uploads:
                return "", {}
            newest = str(max(uploads, key=lambda found: found["Initiated"])["UploadId"])
            listed = self._s3.pages("ListParts", {**self._names, "UploadId": newest}, "Parts")
            return newest, {part.number: part for part in map(_held, listed)}
        except (Denied, Missing):
            return "", {}

    def _parts(self, upload_id: str, there: Mapping[int, _Part]) -> list[_Part]:
        whole = hashlib.sha256()
        done: list[_Part] = []
        waiting: deque[Future[_Part]] = deque()
        with ThreadPoolExecutor(senders, thread_name_prefix="polytune-upload") as pool:
            try:
                for number, content in self._read():
                    # Bounds memory: at most `senders` + 1 parts are held besides the one just read.
                    if len(waiting) > senders:
                        done.append(waiting.popleft().result())
                    waiting.append(pool.submit(self._send, upload_id, number, content, there.get(number)))
                    whole.update(content)
                done.extend(future.result() for future in waiting)
            finally:
                pool.shutdown(cancel_futures=True)
        # Checked before CompleteMultipartUpload, so that a changed file never becomes the object.
        if whole.hexdigest() != self._sha256_hex:
            raise changed(self._path, self._sha256_hex, whole.hexdigest())
        return done

    def _read(self) -> Iterator[tuple[int, bytes]]:
        # Ceiling division, so that the largest file still fits into the maximum number of parts.
        part_bytes = max(smallest_part_bytes, -(-self._path.stat().st_size // most_parts))
        with self._path.open("rb", buffering=0) as file:
            number = 0
            while content := file.read(part_bytes):
                number += 1
                yield number, content

    def _send(self, upload_id: str, number: int, content: bytes, there: _Part | None) -> _Part:
        digest = hashlib.sha256(content).digest()
        if there is not None and _holds(there, content, digest):
            return _Part(number, there.etag, digest)
        checksum = b64encode(digest).decode()
        names = {**self._names, "UploadId": upload_id, "PartNumber": number}
        reply = self._s3.call("UploadPart", {**names, "Body": content, "ChecksumSHA256": checksum})
        return _Part(number, str(reply["ETag"]), digest)

    def _complete(self, upload_id: str, parts: list[_Part]) -> str:
        listed = [
            {"PartNumber": part.number, "ETag": part.etag, "ChecksumSHA256": str(part)} for part in parts
        ]
        # IfNoneMatch: a concurrent run may have finished the same upload; an existing object is not replaced.
        names = {**self._names, "UploadId": upload_id, "IfNoneMatch": "*"}
        reply = self._s3.call("CompleteMultipartUpload", {**names, "MultipartUpload": {"Parts": listed}})
        # S3's composite checksum: the SHA-256 of the parts' SHA-256 digests, then "-" and the part count.
        # Some S3-compatible servers leave the suffix out.
        computed = hashlib.sha256(b"".join(part.digest for part in parts)).digest()
        expected = f"{b64encode(computed).decode()}-{len(parts)}"
        stored = str(reply.get("ChecksumSHA256") or "")
        if stored and stored not in (expected, expected.rpartition("-")[0]):
            raise DataError(
                f"{self._path}: S3 stored other bytes than were sent ({stored}): delete the object, "
                "then run it again"
            )
        return stored

    def _abort(self, upload_id: str) -> None:
        try:
            self._s3.call("AbortMultipartUpload", {**self._names, "UploadId": upload_id})
        except AwsFailure:
            # The failure that led here is the one to report.
            return


def changed(path: Path, expected: str, found: str) -> DataError:
    """The error for a file that does not match its recorded digest."""
    return DataError(
        f"{path}: its SHA-256 is {found}, not {expected}: it changed after it was recorded. Nothing was "
        "uploaded; run the step that made it again."
    )


def _held(listed: Mapping[str, Any]) -> _Part:
    digest = b64decode(str(listed.get("ChecksumSHA256") or ""))
    return _Part(int(listed["PartNumber"]), str(listed["ETag"]), digest)


def _holds(part: _Part, content: bytes, digest: bytes) -> bool:
    if part.digest:
        return part.digest == digest
    # Without a checksum, compare the ETag: for a part that no KMS key encrypts it is the content's MD5.
    return part.etag.strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest()
