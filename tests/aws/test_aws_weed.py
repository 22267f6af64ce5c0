"""Uploads to SeaweedFS, which verifies signatures, checksums and preconditions."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest

from polytune.aws.failures import AwsFailure, NameTaken, NeedsCredentials
from polytune.aws.multipart import smallest_part_bytes
from polytune.aws.objects import Objects, WrongBytes
from tests.aws.relay import relayed
from tests.aws.stands import Stand
from tests.messages import matching

pytestmark = pytest.mark.xdist_group("weed")

bucket = "polytune-weed"
parts = 5
killed_upload = """
import os, sys
from pathlib import Path
from polytune.aws.objects import Objects
from tests.aws.stands import Stand

Objects(Stand(sys.argv[1]).access()).put_file(Path(sys.argv[2]), sys.argv[3], sys.argv[4])
"""


@pytest.fixture
def objects(weed: Stand) -> Objects:
    """The bucket's objects."""
    with suppress(NameTaken):
        weed.access().service("s3").call("CreateBucket", {"Bucket": bucket})
    return Objects(weed.access())


def written(folder: Path, size: int) -> tuple[Path, str, str]:
    """A file of fresh random bytes, its digest and its address."""
    content = os.urandom(size)
    path = folder / "train.jsonl"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return path, digest, f"s3://{bucket}/sha256-{digest}/train.jsonl"


@pytest.mark.parametrize("size", [1000, smallest_part_bytes + 1])
def test_the_same_bytes_are_sent_once(weed: Stand, objects: Objects, tmp_path: Path, size: int) -> None:
    """In one piece or in parts; the second time next to nothing travels."""
    path, digest, uri = written(tmp_path, size)
    assert objects.put_file(path, uri, digest)

    with relayed(weed.url) as relay:
        assert not Objects(Stand(relay.url).access()).put_file(path, uri, digest)
        assert relay.sent_bytes < 2000

    assert hashlib.sha256(objects.read(uri)).hexdigest() == digest


def test_the_server_checks_what_arrives(weed: Stand, objects: Objects) -> None:
    """A body that is not what its SHA-256 says is refused: the checksum is not an ornament."""
    checksum = b64encode(hashlib.sha256(b"right").digest()).decode()

    with pytest.raises(AwsFailure, match=r"BadDigest|ChecksumMismatch|InvalidRequest"):
        weed.access().service("s3", attempts=1).call(
            "PutObject", {"Bucket": bucket, "Key": "bad", "Body": b"wrong", "ChecksumSHA256": checksum}
        )
    assert not objects.exists(f"s3://{bucket}/bad")


@pytest.mark.parametrize("size", [1000, smallest_part_bytes + 1])
def test_other_bytes_under_a_digest_are_refused(objects: Objects, tmp_path: Path, size: int) -> None:
    """They are neither accepted nor replaced."""
    path, digest, uri = written(tmp_path, size)
    objects.write(uri, b"x" * size)

    with pytest.raises(WrongBytes, match=matching("aws/holds-other-bytes")):
        objects.put_file(path, uri, digest)
    assert objects.read(uri) == b"x" * size


def test_nobody_replaces_an_object_between_look_and_write(weed: Stand, objects: Objects) -> None:
    """The precondition that put_file sends is honoured, so a race cannot destroy anything."""
    objects.write(f"s3://{bucket}/taken", b"first")

    with pytest.raises(AwsFailure) as caught:
        weed.access().service("s3").call(
            "PutObject", {"Bucket": bucket, "Key": "taken", "Body": b"second", "IfNoneMatch": "*"}
        )
    assert caught.value.status == 412
    assert objects.read(f"s3://{bucket}/taken") == b"first"


def test_a_wrong_secret_asks_for_credentials(weed: Stand, objects: Objects, tmp_path: Path) -> None:
    """Though S3 answers HEAD with a bare 403, which might mean anything."""
    path, digest, uri = written(tmp_path, 100)

    with pytest.raises(NeedsCredentials, match=r"SignatureDoesNotMatch.*run it again"):
        Objects(weed.access(secret_key="another")).put_file(path, uri, digest)
    assert not objects.exists(uri)


def test_an_upload_killed_halfway_goes_on_where_it_stopped(
    weed: Stand, objects: Objects, tmp_path: Path
) -> None:
    """kill -9 while parts travel: no object, then the rest of the parts, then the whole object."""
    size = parts * smallest_part_bytes
    path, digest, uri = written(tmp_path, size)
    with relayed(weed.url, holds_after_bytes=3 * smallest_part_bytes) as relay:
        process = subprocess.Popen([sys.executable, "-c", killed_upload, relay.url, str(path), uri, digest])
        assert relay.holding.wait(timeout=60)
        _wait_for_a_part(weed)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not objects.exists(uri)
    kept = _parts_there(weed)

    with relayed(weed.url) as relay:
        assert Objects(Stand(relay.url).access()).put_file(path, uri, digest)
        assert relay.sent_bytes < (parts - kept) * smallest_part_bytes + 100_000

    assert kept >= 1
    assert hashlib.sha256(objects.read(uri)).hexdigest() == digest
    assert _uploads(weed) == []


def test_two_uploads_of_the_same_bytes_at_once_both_succeed(
    weed: Stand, objects: Objects, tmp_path: Path
) -> None:
    """Whoever comes second finds the object there, and it is whole."""
    path, digest, uri = written(tmp_path, smallest_part_bytes + 1)
    together = Barrier(2)

    def upload(_: int) -> bool:
        mine = Objects(weed.access())
        together.wait()
        return mine.put_file(path, uri, digest)

    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(upload, range(2)))

    assert True in sent
    assert hashlib.sha256(objects.read(uri)).hexdigest() == digest


def _wait_for_a_part(weed: Stand) -> None:
    for _ in range(1000):
        if _parts_there(weed):
            return
    raise AssertionError("no part arrived")


def _parts_there(weed: Stand) -> int:
    s3 = weed.access().service("s3")
    return sum(
        len(
            list(
                s3.pages(
                    "ListParts",
                    {"Bucket": bucket, "Key": found["Key"], "UploadId": found["UploadId"]},
                    "Parts",
                )
            )
        )
        for found in _uploads(weed)
    )


def _uploads(weed: Stand) -> list[dict[str, str]]:
    return list(weed.access().service("s3").pages("ListMultipartUploads", {"Bucket": bucket}, "Uploads"))
