"""The objects below a prefix in S3: listed, and brought here in turn, a few ahead of the reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
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
from polytune.errors import Paused
from polytune.settings import Settings

fetched_ahead = 8
"""Objects that are on their way, or lie here unread."""


@dataclass(frozen=True)
class Listed:
    """One object as the listing tells it."""

    uri: str
    bytes: int
    etag: str
    """Changes with the content."""


@dataclass(frozen=True)
class Fetched:
    """One object's content."""

    uri: str
    path: Path
    """Gone when the next one is asked for."""


class Shelf:
    """The objects whose addresses begin with a prefix and end in one of some ways."""

    def __init__(self, access: Access, prefix_uri: str, endings: tuple[str, ...]) -> None:
        self._access = access
        self._prefix = place_of(prefix_uri)
        self._endings = endings

    def listed(self) -> Iterator[Listed]:
        """In S3's order of keys. Raises AwsFailure; Paused without credentials."""
        members = {"Bucket": self._prefix.bucket, "Prefix": self._prefix.key}
        with _pausing():
            for item in self._access.service("s3").pages("ListObjectsV2", members, "Contents"):
                place = Place(self._prefix.bucket, str(item["Key"]))
                if place.key.endswith(self._endings) and item["Size"]:
                    yield Listed(place.uri, int(item["Size"]), str(item.get("ETag", "")))

    def fetched(self) -> Iterator[Fetched]:
        """Each object's content in a file of its own. Raises AwsFailure; Paused without credentials."""
        objects, numbers, waiting = Objects(self._access), count(), deque[Future[Fetched]]()
        with TemporaryDirectory(prefix="polytune-") as folder, ThreadPoolExecutor(fetched_ahead) as threads:

            def fetch(listed: Listed) -> Fetched:
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


def shelf(uri: str, region: str, settings: Settings, endings: tuple[str, ...]) -> Shelf:
    """The objects below an address, with the credentials and, unless stated, the region in force."""
    given = settings.environment
    found = region or given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or "us-east-1"
    return Shelf(Access(found, environment=given), uri, endings)


@contextmanager
def _pausing() -> Iterator[None]:
    try:
        yield
    except NeedsCredentials as failure:
        raise Paused(str(failure)) from failure
