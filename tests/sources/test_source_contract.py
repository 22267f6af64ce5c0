"""What every source promises, asked of every example of every member."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from polytune.aws.access import Access
from polytune.engine.step import Scope
from polytune.settings import Settings
from polytune.sources.interface import SOURCES, PassedOver, Record, Source
from polytune.spec.resolved import named_files
from tests.bedrock.cloud import Cloud
from tests.examples import Example, Named, examples_of, placed
from tests.sources.made import write_parquet


class SourceExample(Example, kw_only=True):
    """A source and what it holds."""

    holds: list[tuple[str, str]]
    """Question and answer of each record."""
    objects: dict[str, str] = {}
    """Key -> text of objects in an S3 bucket, which is `{bucket}` in the spec."""
    parquet: dict[str, list[dict[str, Any]]] = {}
    """File name -> rows of a Parquet file."""


@dataclass(frozen=True)
class Ready:
    """A source that can be read."""

    source: Source
    example: SourceExample
    folder: Path

    def records(self) -> list[Record]:
        """Its records; nothing else may be found but what its options pass over."""
        found = list(self.source.records())
        assert all(isinstance(each, Record | PassedOver) for each in found), found
        return [each for each in found if isinstance(each, Record)]


@pytest.fixture(params=examples_of(SOURCES, SourceExample), ids=str)
def ready(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ready]:
    """Each example in turn."""
    named: Named[SourceExample] = request.param
    example, settings, bucket = named.example, Settings(), ""
    for name, rows in example.parquet.items():
        write_parquet(tmp_path / name, rows)
    if example.objects:
        cloud: Cloud = request.getfixturevalue("cloud")
        bucket = cloud.rehearsal.bucket
        settings = Settings(environment=cloud.environment())
        s3 = Access("us-east-1", environment=settings.environment).service("s3")
        for key, text in example.objects.items():
            s3.call("PutObject", {"Bucket": bucket, "Key": key, "Body": text.encode()})
    with placed(named, tmp_path, settings) as place:
        cls = SOURCES.load(named.member)
        fields = {
            name: value.replace("{bucket}", bucket) if isinstance(value, str) else value
            for name, value in place.fields.items()
        }
        spec = cls.Spec.model_validate(fields)
        files = {name: tmp_path / str(getattr(spec, name)) for name in named_files(spec)}
        scope = Scope(tmp_path, tmp_path, "test", "default", place.settings)
        yield Ready(cls(spec, files, scope), example, tmp_path)


def test_records_come_in_order(ready: Ready) -> None:
    """Every question comes with its answer, in the order of the files, the same each time."""
    records = ready.records()

    assert [(each.prompt, each.answer) for each in records] == ready.example.holds
    assert ready.records() == records


def test_a_record_says_where_it_is_from(ready: Ready) -> None:
    """Files of the workspace are named relative to it, and no two records are of one place."""
    records = ready.records()

    assert len({(each.file, each.line) for each in records}) == len(records)
    for each in records:
        assert each.line >= 1
        assert each.file.startswith("s3://") or (ready.folder / each.file).is_file()


def test_nothing_is_missing_and_the_listing_is_stable(ready: Ready) -> None:
    """With its files at hand a source has nothing to ask for, and what is there is listed alike each time."""
    assert ready.source.missing() is None
    assert ready.source.listing() == ready.source.listing()
