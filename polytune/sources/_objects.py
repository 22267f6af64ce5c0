"""The objects below a prefix in S3: lists them, and downloads them in order, a few ahead of the reader."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from polytune.aws.access import Access
from polytune.aws.failures import NeedsCredentials
from polytune.aws.objects import Objects
from polytune.aws.places import Place, place_of
from polytune.errors import Paused, PolytuneError
from polytune.fingerprint import canonical
from polytune.settings import Settings

fetched_ahead = 8
"""Objects that are being downloaded, or downloaded and not read yet."""


@dataclass(frozen=True)
class Listed:
    """One object in the listing."""

    uri: str
    bytes: int
    etag: str
    """Changes with the content."""


@dataclass(frozen=True)
class Fetched:
    """One downloaded object."""

    uri: str
    path: Path
    """A temporary file; deleted when the next object is requested."""


class Shelf:
    """The objects below a prefix whose keys satisfy `wanted`."""

    def __init__(self, access: Access, prefix_uri: str, wanted: Callable[[str], bool]) -> None:
        self._access = access
        self._prefix = place_of(prefix_uri)
        self._wanted = wanted

    def digest(self) -> str:
        """A digest that changes when the listing changes; '' when the prefix cannot be listed."""
        running = hashlib.sha256()
        try:
            for each in self.listed():
                running.update(canonical([each.uri, each.bytes, each.etag]) + b"\n")
        except PolytuneError:
            # Planning works without credentials: the step then reports the problem when it runs.
            return ""
        return running.hexdigest()

    def listed(self) -> Iterator[Listed]:
        """The objects, in S3's key order. Raises AwsFailure; Paused without credentials."""
        members = {"Bucket": self._prefix.bucket, "Prefix": self._prefix.key}
        with _pausing():
            for item in self._access.service("s3").pages("ListObjectsV2", members, "Contents"):
                place = Place(self._prefix.bucket, str(item["Key"]))
                # Empty objects are mostly the "folders" that the S3 console creates.
                if item["Size"] and self._wanted(place.key):
                    yield Listed(place.uri, int(item["Size"]), str(item.get("ETag", "")))

    def fetched(self) -> Iterator[Fetched]:
        """Each object in order, downloaded to a file. Raises AwsFailure; Paused without credentials."""
        objects, numbers, waiting = Objects(self._access), count(), deque[Future[Fetched]]()
        with TemporaryDirectory(prefix="polytune-") as folder, ThreadPoolExecutor(fetched_ahead) as threads:

            def fetch(listed: Listed) -> Fetched:
                # The number makes the file's name unique; the end of the key keeps its extension.
                name = listed.uri.rpartition("/")[2]
                path = Path(folder, f"{next(numbers)}-{name[-64:]}")
                objects.fetch(listed.uri, path)
                return Fetched(listed.uri, path)

            listed = self.listed()
            with _pausing():
                while True:
                    more = islice(listed, fetched_ahead - len(waiting))
                    waiting.extend(threads.submit(fetch, each) for each in more)
                    if not waiting:
                        return
                    found = waiting.popleft().result()
                    yield found
                    found.path.unlink(missing_ok=True)


def shelf(uri: str, region: str, settings: Settings, wanted: Callable[[str], bool]) -> Shelf:
    """The objects below an address, with the environment's credentials and, by default, its region."""
    given = settings.environment
    found = region or given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or "us-east-1"
    return Shelf(Access(found, environment=given), uri, wanted)


@contextmanager
def _pausing() -> Iterator[None]:
    try:
        yield
    except NeedsCredentials as failure:
        raise Paused(str(failure)) from failure
