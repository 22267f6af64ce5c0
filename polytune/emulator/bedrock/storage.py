"""S3 as a job sees it: only buckets of its own region, and the service's words when something is amiss."""

from __future__ import annotations

import re
from dataclasses import dataclass

from polytune.emulator.bedrock.world import ObjectStore
from polytune.errors import PolytuneError

access_check = ".write_access_check_file.temp"
"""The empty object with which a job tries whether it may write; as found in real buckets."""
access_check_named = "output/.write_access_check_file.tmp"
"""What the documented failure message calls it."""
place = re.compile(r"s3://(?P<bucket>[^/]+)/?(?P<key>.*)")


class JobRefused(Exception):
    """A job fails, with this as its failureMessage."""


@dataclass(frozen=True)
class JobStorage:
    """The buckets that a job in one region can reach."""

    objects: ObjectStore
    region: str

    def read(self, uri: str) -> bytes:
        """The object's content. Raises JobRefused in the service's words."""
        bucket, key = split(uri)
        try:
            if self.objects.bucket_region(bucket) == self.region:
                return self.objects.read(uri)
        except PolytuneError:
            pass
        raise unreadable(bucket, key)

    def below(self, prefix: str) -> list[str]:
        """The URIs of all objects below a prefix. Raises JobRefused when it is out of reach."""
        bucket, key = split(prefix)
        try:
            if self.objects.bucket_region(bucket) == self.region:
                return self.objects.list(prefix)
        except PolytuneError:
            pass
        raise unreadable(bucket, key)

    def check_media(self, uri: str, dataset: str) -> None:
        """A file that a dataset points to is there, in the dataset's own bucket. Raises JobRefused."""
        bucket, key = split(uri)
        try:
            if bucket == split(dataset)[0] and self.objects.exists(uri):
                return
        except PolytuneError:
            pass
        raise unreadable(bucket, key)

    def try_writing(self, output: str) -> None:
        """The output can be written to, and holds the empty object that shows it. Raises JobRefused."""
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
        """The object has this content. Raises JobRefused when it cannot be written."""
        try:
            self.objects.write(uri, content)
        except PolytuneError as error:
            raise JobRefused(
                "Encountered an unexpected error when processing the request, please try again"
            ) from error


def unreadable(bucket: str, key: str) -> JobRefused:
    """The refusal of an object that cannot be read, in the service's words."""
    return JobRefused(
        f"Could not validate GetObject permissions to access Amazon S3 bucket: {bucket} at key {key}"
    )


def split(uri: str) -> tuple[str, str]:
    """`s3://bucket/some/key` as bucket and key. Raises JobRefused for what is no such URI."""
    found = place.fullmatch(uri)
    if found is None:
        raise JobRefused(f"The provided S3 URI {uri} is invalid.")
    return found["bucket"], found["key"]


def name_of(uri: str) -> str:
    """The last part of an object's key."""
    return uri.rpartition("/")[2]
