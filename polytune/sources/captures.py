"""Answers that an application captured in production, with user ratings: the good ones become training data.

    {"prompt": "A slow waltz", "answer": "note(\\"c e g\\")", "rating": 5}
    {"prompt": "Something dark", "answer": "...", "rating": false}

A rating is a number, a boolean, or a word for which the spec gives a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from polytune.data.reading import row_of
from polytune.engine.step import Scope
from polytune.formats.interface import kind_of, shown
from polytune.sources._lines import numbered_lines
from polytune.sources._rows import (
    At,
    FieldsSpec,
    object_of,
    part_of,
    record_of_object,
    record_of_row,
    usual,
)
from polytune.sources.interface import BadRecord, Found, PassedOver, Record, Source, SourceSpec
from polytune.spec.model import InputFile


class CapturesSpec(SourceSpec):
    """A JSONL file of captured answers, each with a rating."""

    path: InputFile
    """The file; `.gz` files are decompressed."""
    minimum_rating: float
    """Records with a lower rating, or without one, are left out. True counts as 1, false as 0."""
    ratings: dict[str, float] = {}
    """The numbers that rating words stand for, such as `{up: 1, down: 0}`."""
    fields: FieldsSpec = FieldsSpec()
    """The keys of the parts of a record, for custom layouts."""


class Captures(Source):
    """Reads the captures with a sufficient rating."""

    Spec = CapturesSpec

    def __init__(self, spec: CapturesSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec

    def records(self) -> Iterator[Found]:
        """One record per line."""
        path = self.files["path"]
        file = self.shown(path)
        for number, line in numbered_lines(path, file):
            yield self._record(line, At(file, number))

    def _record(self, line: bytes, at: At) -> Found:
        value = object_of(line, at)
        if isinstance(value, BadRecord):
            return value
        rating = self._rating(value, at)
        if not isinstance(rating, float):
            return rating
        if rating < self.spec.minimum_rating:
            return PassedOver(f"rated below {self.spec.minimum_rating:g}")
        if "messages" in value and not self.spec.fields.stated:
            # `reading` takes only numbers for ratings; the rating was read above and is set below.
            rest = {key: item for key, item in value.items() if key not in usual["rating"]}
            found = record_of_row(row_of(msgspec.json.encode(rest), at.line), at)
        else:
            found = record_of_object(value, at, self.spec.fields)
        return msgspec.structs.replace(found, rating=rating) if isinstance(found, Record) else found

    def _rating(self, value: Mapping[str, Any], at: At) -> float | BadRecord | PassedOver:
        place, stated = part_of(value, "rating", self.spec.fields)
        if stated is None:
            return PassedOver("not rated")
        if isinstance(stated, int | float):
            return float(stated)
        if isinstance(stated, str) and stated in self.spec.ratings:
            return self.spec.ratings[stated]
        what = f"'{shown(stated)}'" if isinstance(stated, str) else kind_of(stated)
        fix = "Write a number, or say what the word is worth: `ratings: {up: 1, down: 0}`."
        return at.bad(place, f"{what} is not a rating", fix)
