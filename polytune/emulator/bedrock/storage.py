"""S3 as a job sees it: only buckets in its own region; failures carry the service's own messages."""

from __future__ import annotations

import re
from dataclasses import dataclass

from polytune.emulator.bedrock.world import ObjectStore
from polytune.errors import PolytuneError

access_check = ".write_access_check_file.temp"
"""The empty object that a job writes to test write access; the name is the one found in real buckets."""
access_check_named = "output/.write_access_check_file.tmp"
"""The name that the documented failure message gives that object."""
place = re.compile(r"s3://(?P<bucket>[^/]+)/?(?P<key>.*)")


class JobRefused(Exception):
    """The job fails with this message as its failureMessage."""


@dataclass(frozen=True)
class JobStorage:
    """The buckets that a job can access: those in its own region."""

    objects: ObjectStore
    region: str

    def read(self, uri: str) -> bytes:
        """The object's content. Raises JobRefused with the service's message."""
        bucket, key = split(uri)
        # AWS documents one message for missing permissions and a wrong region. Use it for every failed read.
        try:
            if self.objects.bucket_region(bucket) == self.region:
                return self.objects.read(uri)
        except PolytuneError:
            pass
        raise unreadable(bucket, key)

    def below(self, prefix: str) -> list[str]:
        """The URIs of all objects under a prefix. Raises JobRefused if the bucket is not accessible."""
        bucket, key = split(prefix)
        try:
            if self.objects.bucket_region(bucket) == self.region:
                return self.objects.list(prefix)
        except PolytuneError:
            pass
        raise unreadable(bucket, key)

    def check_media(self, uri: str, dataset: str) -> None:
        """Raises JobRefused unless a file that a dataset references exists, in the dataset's own bucket."""
        # AWS requires media in the bucket of the JSONL file.
        bucket, key = split(uri)
        try:
            if bucket == split(dataset)[0] and self.objects.exists(uri):
                return
        except PolytuneError:
            pass
        raise unreadable(bucket, key)

    def try_writing(self, output: str) -> None:
        """The output location is writable and holds the empty test object. Raises JobRefused."""
        bucket, _ = split(output)
        try:
            if self.objects.bucket_region(bucket) == self.region:
                self.objects.write(f"{output.rstrip('/')}/{access_check}", b"")
                return
        except PolytuneError:
            pass
        raise JobRefused(
            "Amazon S3 perms missing (PutObject): Could not validate PutObject permissions to access "
            f"S3 bucket: {bucket} at key {access_check_named}"
        )

    def write(self, uri: str, content: bytes) -> None:
        """The object exists with this content. Raises JobRefused if it cannot be written."""
        try:
            self.objects.write(uri, content)
        except PolytuneError as error:
            raise JobRefused(
                "Encountered an unexpected error when processing the request, please try again"
            ) from error


def unreadable(bucket: str, key: str) -> JobRefused:
    """The error for an object that cannot be read, with the service's message."""
    return JobRefused(
        f"Could not validate GetObject permissions to access Amazon S3 bucket: {bucket} at key {key}"
    )


def split(uri: str) -> tuple[str, str]:
    """Splits `s3://bucket/some/key` into bucket and key. Raises JobRefused if it is not an S3 URI."""
    found = place.fullmatch(uri)
    if found is None:
        raise JobRefused(f"The provided S3 URI {uri} is invalid.")
    return found["bucket"], found["key"]


def name_of(uri: str) -> str:
    """The last part of an object's key."""
    return uri.rpartition("/")[2]
