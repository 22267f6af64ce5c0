"""S3 addresses, limited to the characters that Bedrock accepts in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from polytune.errors import UsageError

longest_uri = 1024
_bucket = re.compile(r"[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]")
_key = re.compile(r"[-!_*'().a-zA-Z0-9]+(/[-!_*'().a-zA-Z0-9]+)*")
_foreign = re.compile(r"[^-!_*'().a-zA-Z0-9/]")
"""All three follow the pattern of S3 URIs in botocore's `bedrock` model, 2023-04-20; S3 allows more."""


@dataclass(frozen=True)
class Place:
    """An object or a key prefix in S3."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """s3://bucket/key"""
        return f"s3://{self.bucket}/{self.key}"


def place_of(uri: str) -> Place:
    """The bucket and key of any `s3://` address; raises UsageError for any other address."""
    scheme, found, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not found or not bucket:
        raise UsageError(f"'{uri}' is not an S3 address: write s3://bucket/prefix")
    return Place(bucket, key)


def new_place(uri: str) -> Place:
    """The bucket and key of an object to create; raises UsageError for characters that Bedrock rejects."""
    place = place_of(uri)
    if not _bucket.fullmatch(place.bucket):
        raise UsageError(
            f"'{uri}': '{place.bucket}' is not a bucket name: 3 to 63 lower-case letters, digits, . and -"
        )
    strange = sorted(set(_foreign.findall(place.key)))
    if strange:
        listed = " ".join("a space" if found == " " else found for found in strange)
        raise UsageError(
            f"'{uri}': a key for Bedrock cannot contain {listed}; use letters, digits, / and - ! _ * ' ( ) ."
        )
    if not _key.fullmatch(place.key):
        raise UsageError(f"'{uri}': a key needs a name between its slashes, and none at its end")
    if len(uri) > longest_uri:
        raise UsageError(
            f"'{uri}' has {len(uri)} characters; Bedrock takes {longest_uri}: shorten the prefix"
        )
    return place


def content_uri(bucket: str, prefix: str, project: str, digest: str, name: str) -> str:
    """s3://bucket/prefix/project/sha256-<digest>/name: the same bytes always have the same address.

    `digest` is the SHA-256 in 64 hex digits; `prefix` may be empty or end with a slash. Raises UsageError
    for characters that Bedrock rejects.
    """
    parts = (prefix.strip("/"), project, f"sha256-{digest}", name)
    return new_place(f"s3://{bucket}/" + "/".join(part for part in parts if part)).uri
