"""JSONL files below a prefix in S3, in key order; rows are read like those of the `jsonl` source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from polytune.aws.stated import credentials_obstacle
from polytune.engine.step import Scope
from polytune.errors import DataError, Obstacle
from polytune.sources._lines import numbered_lines
from polytune.sources._rows import At, FieldsSpec, record_of_line
from polytune.sources.interface import Found, Source, SourceSpec

if TYPE_CHECKING:
    from polytune.sources._objects import Shelf

endings = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


class S3Spec(SourceSpec):
    """Objects in S3 with one JSON object per line, `.jsonl` or `.jsonl.gz`."""

    uri: Annotated[str, Field(pattern=r"^s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](/.*)?$")]
    """The prefix of the objects' addresses: s3://bucket/prefix/."""
    region: str = ""
    """The bucket's region. Default: AWS_REGION."""
    fields: FieldsSpec = FieldsSpec()
    """The keys of the parts of a record, for custom layouts."""


class S3(Source):
    """Reads the objects below a prefix."""

    Spec = S3Spec

    def __init__(self, spec: S3Spec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec

    @property
    def _shelf(self) -> Shelf:
        # boto3 takes a fifth of a second to import; plans that do not list the bucket avoid that.
        from polytune.sources._objects import shelf

        spec = self.spec
        return shelf(spec.uri, spec.region, self.scope.settings, lambda key: key.endswith(endings))

    @property
    def is_here(self) -> bool:
        """Never: the objects are in S3."""
        return False

    def missing(self) -> Obstacle | None:
        """Credentials that nobody left on this machine."""
        return credentials_obstacle(self.scope.settings.environment)

    def listing(self) -> str:
        """A digest of the current objects below the prefix."""
        return self._shelf.digest()

    def records(self) -> Iterator[Found]:
        """One record per line, object after object. Raises DataError when there are none."""
        empty = True
        for fetched in self._shelf.fetched():
            empty = False
            for number, line in numbered_lines(fetched.path, fetched.uri):
                yield record_of_line(line, At(fetched.uri, number), self.spec.fields)
        if empty:
            raise DataError(f"{self.spec.uri}: no object ends in {', '.join(endings)}. Check the prefix.")
