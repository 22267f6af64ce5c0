"""Objects in S3 as records: in the order of their keys, whatever else lies there; new ones are noticed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure
from polytune.errors import DataError, Paused
from tests.bedrock.cloud import Cloud
from tests.messages import matching

from .made import pairs, records, source
from .test_sources_logs import converse, hour


class Bucket:
    """The account's bucket, below a prefix of the test's own."""

    def __init__(self, cloud: Cloud, prefix: str) -> None:
        self.environment = cloud.environment()
        self.name = cloud.rehearsal.bucket
        self.prefix = prefix
        self._s3 = Access("us-east-1", environment=self.environment).service("s3")

    @property
    def uri(self) -> str:
        return f"s3://{self.name}/{self.prefix}/"

    def put(self, name: str, *rows: object) -> None:
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        body = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
        self._s3.call("PutObject", {"Bucket": self.name, "Key": f"{self.prefix}/{name}", "Body": body})


@pytest.fixture
def bucket(cloud: Cloud, request: pytest.FixtureRequest) -> Bucket:
    """A place of the test's own."""
    return Bucket(cloud, request.node.name)


def row(n: int) -> dict[str, Any]:
    return {"prompt": f"Q{n}", "completion": "A"}


def test_objects_in_order(bucket: Bucket, tmp_path: Any) -> None:
    """More objects than are fetched ahead, plain and gzipped, come in the order of their keys."""
    for n in range(20):
        bucket.put(f"day-{n:02d}.jsonl{'.gz' if n % 2 else ''}", row(n), row(n + 100))
    bucket.put("notes.txt", "not read")

    found = records(source(tmp_path, "s3", bucket.environment, uri=bucket.uri).records())

    assert [each.prompt for each in found] == [f"Q{n + more}" for n in range(20) for more in (0, 100)]
    assert found[3].file == f"{bucket.uri}day-01.jsonl.gz"
    assert found[3].line == 2


def test_another_listing_is_noticed(bucket: Bucket, tmp_path: Any) -> None:
    """The digest changes with a new object and with other content of the same size, and with nothing else."""
    bucket.put("a.jsonl", row(1))
    made = source(tmp_path, "s3", bucket.environment, uri=bucket.uri)
    digests = [made.listing(), made.listing()]
    bucket.put("a.jsonl", row(2))
    digests.append(made.listing())
    bucket.put("b.txt", "not read")
    digests.append(made.listing())
    bucket.put("b.jsonl", row(3))
    digests.append(made.listing())

    assert all(len(each) == 64 for each in digests)
    assert [digests.index(each) for each in digests] == [0, 0, 2, 2, 4]


def test_logs_in_a_bucket(bucket: Bucket, tmp_path: Any) -> None:
    """Logging's own layout, without the large bodies beside the logs."""
    bucket.put(f"{hour}/a.json.gz", converse("one"), converse("two"))
    bucket.put(f"{hour}/data/x_input.json.gz", {"a": "body"})
    bucket.put("data/a.json.gz", converse("three"))

    made = source(tmp_path, "invocation_logs", bucket.environment, uri=f"{bucket.uri}AWSLogs/")
    below_data = source(tmp_path, "invocation_logs", bucket.environment, uri=f"{bucket.uri}data/")

    assert pairs(made.records()) == [("one", "A"), ("two", "A")]
    assert pairs(below_data.records()) == [("three", "A")]
    assert len(made.listing()) == 64


def test_reading_may_end_early(bucket: Bucket, tmp_path: Any) -> None:
    """Who stops after one record leaves no thread and no file behind."""
    for n in range(12):
        bucket.put(f"{n:02d}.jsonl", row(n))
    reading = source(tmp_path, "s3", bucket.environment, uri=bucket.uri).records()

    (first,) = records([next(reading)])
    reading.close()  # type: ignore[attr-defined]

    assert first.prompt == "Q0"


def test_nothing_there(bucket: Bucket, tmp_path: Any) -> None:
    """A prefix without files and a bucket that does not exist are told apart."""
    bucket.put("a.csv", "not read")

    with pytest.raises(DataError, match=matching("sources/no-object-ends-in-jsonl")):
        list(source(tmp_path, "s3", bucket.environment, uri=bucket.uri).records())
    missing = source(tmp_path, "s3", bucket.environment, uri="s3://polytune-no-such-bucket/x/")
    with pytest.raises(AwsFailure, match="NoSuchBucket"):
        list(missing.records())
    assert missing.listing() == ""


def test_no_credentials_pause(bucket: Bucket, tmp_path: Any) -> None:
    """Without credentials nothing fails: the run pauses, and the listing cannot be looked at."""
    without = {
        name: value
        for name, value in bucket.environment.items()
        if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }
    without |= {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    made = source(tmp_path, "s3", without, uri=bucket.uri)

    with pytest.raises(Paused, match="AWS_ACCESS_KEY_ID"):
        list(made.records())
    assert made.listing() == ""
