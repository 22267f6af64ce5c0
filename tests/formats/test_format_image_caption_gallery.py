"""Rows of image-caption that are wrong, and the files that rows point to."""

from __future__ import annotations

import json

import pytest

from polytune.errors import DataError
from polytune.fingerprint import Json
from polytune.formats.interface import FORMATS, Conversation, Turn

LAYOUT = FORMATS.load("image-caption")()
URI = "s3://bucket/pictures/cat.png"

GALLERY: list[tuple[Json, list[str]]] = [
    ([], ["not-an-object : expected an object, found a list"]),
    ({}, ["missing-key image-ref: 'image-ref' is missing", "missing-key caption: 'caption' is missing"]),
    ({"image-ref": URI, "caption": ""}, ["empty-text caption: the text is empty"]),
    ({"image-ref": URI, "caption": 3}, ["wrong-type caption: expected a string, found a number"]),
    ({"image-ref": "", "caption": "a cat"}, ["empty-text image-ref: the text is empty"]),
    ({"image-ref": "cat.png", "caption": "a cat"}, ["media-uri image-ref: no usable S3 URI"]),
    ({"image-ref": "s3://b/a cat.png", "caption": "a cat"}, ["media-uri image-ref: no usable S3 URI"]),
    (
        {"image-ref": "s3://b/cat.gif", "caption": "a cat"},
        ["media-format image-ref: unknown image format 'gif'"],
    ),
    ({"image-ref": URI, "caption": "a cat", "id": 1}, ["unknown-key id: unknown key 'id'"]),
]


@pytest.mark.parametrize(("row", "expected"), GALLERY, ids=lambda value: json.dumps(value)[:40])
def test_a_bad_row_is_explained_exactly(row: Json, expected: list[str]) -> None:
    """Each bad row gets these errors, in this order, and is not clean."""
    line = json.dumps(row).encode()

    findings = LAYOUT.check(line, 3).findings

    assert [f"{finding.rule} {finding.field}: {finding.message}" for finding in findings] == expected
    assert {(finding.severity, finding.line) for finding in findings} == {("error", 3)}
    assert LAYOUT.clean(line) is None


@pytest.mark.parametrize(
    ("uri", "kind"), [(URI, "png"), ("s3://b/k.JPG", "jpeg"), ("s3://b/k.jpeg", "jpeg"), ("s3://b.c/k", "")]
)
def test_the_image_is_the_row_s_one_reference(uri: str, kind: str) -> None:
    """Its address and, where it has an ending, its format."""
    line = json.dumps({"image-ref": uri, "caption": "a cat"}).encode()

    (reference,) = LAYOUT.references_of(line)

    assert LAYOUT.check(line, 1).findings == ()
    assert (reference.field, reference.kind, reference.uri, reference.format) == (
        "image-ref",
        "image",
        uri,
        kind,
    )
    assert [passage.field for passage in LAYOUT.passages_of(line)] == ["caption"]


@pytest.mark.parametrize(
    "conversation",
    [
        Conversation(None, (Turn("user", "a prompt"), Turn("assistant", "an answer"))),
        Conversation("s", (Turn("user", URI), Turn("assistant", "a cat"))),
        Conversation(None, (Turn("user", URI),)),
    ],
)
def test_texts_are_no_rows(conversation: Conversation) -> None:
    """What has no image, or more than an image and its caption, is refused with the reason."""
    with pytest.raises(DataError, match="image-caption: a row is the S3 address of a PNG or JPEG image"):
        LAYOUT.encode(conversation)
