"""A large file sent to S3 in parts: hashed once as it is read, continued where a killed upload stopped.

reader (this thread): part after part, the whole file's digest -> senders (threads): each part's digest, send
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
most_parts = 10_000
"""Parts of one upload (docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html, 2026)."""
senders = 6
"""Parts on their way at once. Measured 2026-11 against SeaweedFS on two cores: 16 MiB parts by 3 to 8
senders differ by less than the noise, 8 and 32 MiB are slower."""


@dataclass(frozen=True)
class _Part:
    """A part that the service has; `digest` is empty where a listing does not state it."""

    number: int
    etag: str
    digest: bytes

    def __str__(self) -> str:
        return b64encode(self.digest).decode()


class Upload:
    """One multipart upload of a file whose SHA-256 is known; `settings` go to CreateMultipartUpload."""

    def __init__(
        self, s3: Service, path: Path, place: Place, sha256_hex: str, settings: Mapping[str, Any]
    ) -> None:
        self._s3 = s3
        self._path = path
        self._names = {"Bucket": place.bucket, "Key": place.key}
        self._sha256_hex = sha256_hex
        self._settings = settings
        # A listing does not say with which key an unfinished upload was begun, so such a one starts anew.
        self._continues = "SSEKMSKeyId" not in settings

    def send(self) -> str:
        """The whole file is the object now; returns the checksum that S3 computed for it, or "".

        A part that an earlier, interrupted upload already brought over is not sent again. Raises DataError
        when the file's bytes are not those of its digest, AwsFailure with code `PreconditionFailed` when the
        key was taken meanwhile; in neither case has the object changed.
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
            if not self._worth_keeping(failure):
                self._abort(upload_id)
            raise

    def _worth_keeping(self, failure: AwsFailure | DataError) -> bool:
        if isinstance(failure, NeedsCredentials):
            return self._continues
        return isinstance(failure, AwsFailure) and failure.transient and self._continues

    def _unfinished(self) -> tuple[str, dict[int, _Part]]:
        """The newest unfinished upload of this very object and its parts; none where listing is denied."""
        place = {"Bucket": self._names["Bucket"], "Prefix": self._names["Key"]}
        try:
            uploads = [
                found
                for found in self._s3.pages("ListMultipartUploads", place, "Uploads")
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
                    # No more parts are in memory than are on their way.
                    if len(waiting) > senders:
                        done.append(waiting.popleft().result())
                    waiting.append(pool.submit(self._send, upload_id, number, content, there.get(number)))
                    whole.update(content)
                done.extend(future.result() for future in waiting)
            finally:
                pool.shutdown(cancel_futures=True)
        if whole.hexdigest() != self._sha256_hex:
            raise changed(self._path, self._sha256_hex, whole.hexdigest())
        return done

    def _read(self) -> Iterator[tuple[int, bytes]]:
        # Rounded up, so that the largest file fits into the parts that one upload may have.
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
        names = {**self._names, "UploadId": upload_id, "IfNoneMatch": "*"}
        reply = self._s3.call("CompleteMultipartUpload", {**names, "MultipartUpload": {"Parts": listed}})
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
            return


def changed(path: Path, expected: str, found: str) -> DataError:
    """The error for a file that is not what its digest says."""
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
    # Without a checksum there is the ETag: of a part that no KMS key encrypts it is the content's MD5.
    return part.etag.strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest()
