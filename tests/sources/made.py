"""Sources made from files that a test writes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from polytune.engine.step import Scope
from polytune.settings import Settings
from polytune.sources.interface import SOURCES, BadRecord, Found, PassedOver, Record, Source, SourceSpec


def source(root: Path, kind: str, environment: Mapping[str, str] | None = None, **stated: Any) -> Source:
    """The source that an experiment file in `root` would get."""
    cls = SOURCES.load(kind)
    spec: SourceSpec = cls.Spec(kind=kind, **stated)
    scope = Scope(root, root, "test", "default", Settings(environment=dict(environment or {})))
    files: dict[str, Path] = {name: root / stated[name] for name in ("path", "folder") if name in stated}
    return cls(spec, files, scope)


def write_lines(path: Path, rows: Iterable[object]) -> Path:
    """A file of JSON lines, gzipped if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    """A Parquet file with the rows is there."""
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.Table.from_pylist(rows), path)


def records(found: Iterable[Found]) -> list[Record]:
    """The records, where nothing else may be."""
    listed = list(found)
    assert all(isinstance(each, Record) for each in listed), listed
    return [each for each in listed if isinstance(each, Record)]


def pairs(found: Iterable[Found]) -> list[tuple[str, str]]:
    """Question and answer of each record."""
    return [(each.prompt, each.answer) for each in found if isinstance(each, Record)]


def complaints(found: Iterable[Found]) -> list[str]:
    """What cannot be used, as it is told."""
    return [str(each) for each in found if isinstance(each, BadRecord)]


def left_out(found: Iterable[Found]) -> list[str]:
    """Why records are passed over."""
    return [each.reason for each in found if isinstance(each, PassedOver)]
