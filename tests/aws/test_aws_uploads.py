"""Uploads to moto, over plain http and over TLS as in production."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from polytune.aws.failures import AwsFailure, Missing
from polytune.aws.objects import Entry, Head, Objects, WrongBytes, largest_single_put_bytes
from polytune.aws.places import content_uri, new_place, place_of
from polytune.errors import DataError, UsageError
from tests.aws.faulty import Answer, faulty
from tests.aws.relay import relayed
from tests.aws.stands import Stand
from tests.messages import matching

bucket = "polytune-uploads"
large = largest_single_put_bytes + 5


@pytest.fixture(params=["moto", "moto_tls"])
def stand(request: pytest.FixtureRequest) -> Stand:
    """moto both ways, with the bucket."""
    found: Stand = request.getfixturevalue(request.param)
    found.access().service("s3").call("CreateBucket", {"Bucket": bucket})
    return found


def written(folder: Path, size: int) -> tuple[Path, str]:
    """A file of fresh random bytes, and its digest."""
    content = os.urandom(size)
    path = folder / "train.jsonl"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1000, large])
def test_a_file_arrives_and_is_never_sent_again(stand: Stand, tmp_path: Path, size: int) -> None:
    """The second time only the address is looked at."""
    path, digest = written(tmp_path, size)
    prefix = "over-tls" if stand.ca_bundle else "over-http"
    uri = content_uri(bucket, prefix, "strudel", digest, "train.jsonl")
    assert Objects(stand.access()).put_file(path, uri, digest)

    with relayed(stand.url) as relay:
        again = Objects(Stand(relay.url, stand.ca_bundle).access())
        assert not again.put_file(path, uri, digest)
        assert relay.sent_bytes < 6000

    objects = Objects(stand.access())
    assert objects.read(uri) == path.read_bytes()
    head = objects.head(uri)
    assert head is not None
    assert (head.bytes, head.sha256) == (size, digest)


@pytest.mark.parametrize("size", [1000, large])
def test_other_bytes_under_a_digest_are_refused(stand: Stand, tmp_path: Path, size: int) -> None:
    """Whoever wrote there, it is told and left alone."""
    path, digest = written(tmp_path, size)
    uri = content_uri(bucket, "data", "strudel", digest, "train.jsonl")
    objects = Objects(stand.access())
    objects.write(uri, b"x" * size)

    with pytest.raises(WrongBytes, match=matching("aws/holds-other-bytes")):
        objects.put_file(path, uri, digest)
    assert objects.read(uri) == b"x" * size


@pytest.mark.parametrize("size", [1000, large])
def test_a_file_that_changed_is_refused(stand: Stand, tmp_path: Path, size: int) -> None:
    """Nothing is stored, whole or in parts."""
    path, _ = written(tmp_path, size)
    digest = hashlib.sha256(b"as it was").hexdigest()
    uri = content_uri(bucket, "changed", "strudel", digest, "train.jsonl")
    objects = Objects(stand.access())

    with pytest.raises(DataError, match=r"train\.jsonl: its SHA-256 is .*it changed"):
        objects.put_file(path, uri, digest)
    assert not objects.exists(uri)
    assert not list(stand.access().service("s3").pages("ListMultipartUploads", {"Bucket": bucket}, "Uploads"))


def test_the_same_bytes_without_a_recorded_digest_are_accepted(moto: Stand, tmp_path: Path) -> None:
    """An object that another tool wrote is read once and compared."""
    s3 = moto.access().service("s3")
    s3.call("CreateBucket", {"Bucket": bucket})
    path, digest = written(tmp_path, 1000)
    s3.call("PutObject", {"Bucket": bucket, "Key": "foreign", "Body": path.read_bytes()})

    assert not Objects(moto.access()).put_file(path, f"s3://{bucket}/foreign", digest)


def test_an_upload_overtaken_by_the_same_bytes_is_accepted(tmp_path: Path) -> None:
    """Somebody put the object between the look and the write."""
    path, digest = written(tmp_path, 100)
    found = Answer(200, path.read_bytes(), {"ETag": '"x"', "x-amz-meta-sha256": digest})
    taken = Answer(
        412, b"<Error><Code>PreconditionFailed</Code></Error>", {"Content-Type": "application/xml"}
    )
    with faulty([Answer(404, b"", {}), taken, found]) as server:
        sent = Objects(Stand(server.url).access()).put_file(path, "s3://bucket/key", digest)

    assert not sent
    assert [request.line.split()[0] for request in server.got] == ["HEAD", "PUT", "HEAD"]
    assert server.got[1].headers["if-none-match"] == "*"
    assert server.got[1].headers["x-amz-checksum-sha256"]


def test_a_key_of_kms_encrypts(moto: Stand, tmp_path: Path) -> None:
    """Small and large objects alike name it."""
    key = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    s3 = moto.access().service("s3")
    s3.call("CreateBucket", {"Bucket": bucket})
    for size in (10, large):
        path, digest = written(tmp_path, size)
        Objects(moto.access()).put_file(path, f"s3://{bucket}/kms/{digest}", digest, kms_key_arn=key)
        head = s3.call("HeadObject", {"Bucket": bucket, "Key": f"kms/{digest}"})
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_objects_are_listed_read_and_fetched(moto: Stand, tmp_path: Path) -> None:
    """Below a prefix, in order of keys, through all pages."""
    objects = Objects(moto.access())
    moto.access().service("s3").call("CreateBucket", {"Bucket": bucket})
    for number in range(3):
        objects.write(f"s3://{bucket}/list/{number}", b"ab"[:number])

    assert list(objects.keys(f"s3://{bucket}/list/")) == [
        Entry(f"s3://{bucket}/list/{number}", number) for number in range(3)
    ]
    objects.fetch(f"s3://{bucket}/list/2", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"ab"
    assert objects.head(f"s3://{bucket}/list/none") is None
    with pytest.raises(Missing, match="NoSuchKey"):
        objects.read(f"s3://{bucket}/list/none")


def test_a_fetch_that_fails_leaves_the_file_as_it_was(moto: Stand, tmp_path: Path) -> None:
    """And nothing beside it."""
    target = tmp_path / "copy"
    target.write_bytes(b"before")

    with pytest.raises(Missing, match="NoSuchBucket"):
        Objects(moto.access()).fetch("s3://no-such-bucket/key", target)
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    assert target.read_bytes() == b"before"


def test_a_bucket_tells_its_region(moto: Stand) -> None:
    """Whatever region asks."""
    for region in ("us-east-1", "us-west-2"):
        extra = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        moto.access(region=region).service("s3").call("CreateBucket", {"Bucket": f"in-{region}", **extra})

    assert Objects(moto.access()).bucket_region("in-us-east-1") == "us-east-1"
    assert Objects(moto.access()).bucket_region("in-us-west-2") == "us-west-2"
    with pytest.raises(Missing):
        Objects(moto.access()).bucket_region("in-no-region")


def test_a_certificate_nobody_vouches_for_is_told(moto_tls: Stand) -> None:
    """The remedy names AWS_CA_BUNDLE."""
    with pytest.raises(AwsFailure, match="AWS_CA_BUNDLE"):
        Stand(moto_tls.url).access().service("s3", attempts=1).call("ListBuckets", {})


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://bucket/key", matching("aws/is-not-s3-address")),
        ("s3://Bucket/key", matching("aws/is-not-bucket-name")),
        ("s3://bucket/a b", matching("aws/key-cannot-contain-space")),
        ("s3://bucket/a+b=c", matching("aws/key-cannot-contain-plus")),
        ("s3://bucket/a//b", matching("aws/key-needs-name-between-its-slashes")),
        ("s3://bucket/a/", matching("aws/key-needs-name")),
        ("s3://bucket/" + "a" * 1013, "1025 characters"),
    ],
)
def test_addresses_that_bedrock_refuses_are_refused(uri: str, told: str) -> None:
    """Before anything is sent, with the character at fault."""
    with pytest.raises(UsageError, match=told):
        new_place(uri)


def test_content_has_one_address() -> None:
    """Prefixes may be empty or end with a slash."""
    assert content_uri("bucket", "", "p", "ab", "n") == "s3://bucket/p/sha256-ab/n"
    assert content_uri("bucket", "a/b/", "p", "ab", "n") == "s3://bucket/a/b/p/sha256-ab/n"
    assert place_of("s3://bucket/any key+").uri == "s3://bucket/any key+"
    assert Head(1, "", "x").sha256 == ""
