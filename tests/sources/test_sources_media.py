"""What the first bytes of media files say, and what a base model has against them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.engine.artifacts import Artifact, FileEntry
from polytune.formats.interface import FORMATS
from polytune.platforms.bedrock.media import Seen, problem_of, seen_in, telling
from polytune.platforms.interface import Medium
from polytune.steps import _media as media
from tests.messages import message

from .pictures import png

jpeg = b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(9) + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 30, 40)
webp = b"RIFF\0\0\0\0WEBP"


@pytest.mark.parametrize(
    ("head", "seen"),
    [
        (png("disc", "red", 48), Seen("png", 48, 48)),
        (b"GIF89a" + struct.pack("<HH", 40, 30), Seen("gif", 40, 30)),
        (jpeg, Seen("jpeg", 40, 30)),
        (b"\xff\xd8\xff\xe1\xff\xfe" + bytes(99), Seen("jpeg")),
        (webp + b"VP8X" + bytes(8) + b"\x27\0\0\x1d\0\0", Seen("webp", 40, 30)),
        (webp + b"VP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 39 | 29 << 14), Seen("webp", 40, 30)),
        (webp + b"VP8 " + bytes(10) + struct.pack("<HH", 40, 30), Seen("webp", 40, 30)),
        (b"\0\0\0\x20ftypisom", Seen("mp4")),
        (b"\0\0\0\x14ftypqt  ", Seen("mov")),
        (b"\x1a\x45\xdf\xa3\x9fB\x82\x84webm", Seen("webm")),
        (b"\x1a\x45\xdf\xa3\x9fB\x82\x88matroska", Seen("mkv")),
        (b"%PDF-1.7", Seen("pdf")),
        (b"<html>", Seen("")),
        (b"", Seen("")),
        (b"\x89PNG\r\n\x1a\n", Seen("png")),
    ],
)
def test_formats_and_sizes(head: bytes, seen: Seen) -> None:
    """Every format that some base model takes is known by its first bytes."""
    assert seen_in(head) == seen


def medium(base_model: str, format: str, kind: str = "image") -> Medium:
    allowed = BASE_MODELS.get(base_model).media_of(kind)
    return Medium(uri="s3://b/a", kind=kind, format=format, allowed=allowed)


@pytest.mark.parametrize(
    ("asked", "head", "size", "problem"),
    [
        (medium("nova-lite", "png"), png("disc", "red"), 99, ""),
        (medium("nova-lite", "jpeg"), png("disc", "red"), 99, message("sources/is-png")),
        (medium("nova-lite", "png"), b"<html>", 99, message("sources/is-no-image-of-known-format")),
        (medium("nova-lite", "png"), b"", 0, "is empty"),
        (
            medium("nova-lite", "png"),
            png("disc", "red"),
            10_000_001,
            message("sources/has-bytes", bytes="10,000,001", number="10,000,000"),
        ),
        (
            medium("nova-lite", "png"),
            png("disc", "red", 24),
            99,
            message("sources/picture-side-is-too-short", number=24, pixels=24, number2=25),
        ),
        (
            medium("nova-canvas", "png"),
            png("disc", "red"),
            99,
            message("sources/picture-side-is-too-short", number=32, pixels=32, number2=512),
        ),
        (
            medium("nova-canvas", "jpeg"),
            jpeg.replace(struct.pack(">HH", 30, 40), struct.pack(">HH", 512, 2049)),
            99,
            message("sources/picture-is-too-long", number=2049, pixels=512, times=4),
        ),
        (
            medium("nova-canvas", "jpeg"),
            jpeg.replace(struct.pack(">HH", 30, 40), struct.pack(">HH", 4096, 4096)),
            99,
            message(
                "sources/picture-has-too-many-pixels",
                number=4096,
                pixels=4096,
                number2="16,777,216",
                number3="12,582,912",
            ),
        ),
        (
            medium("nova-canvas", "jpeg"),
            jpeg.replace(struct.pack(">HH", 30, 40), struct.pack(">HH", 4097, 2000)),
            99,
            message("sources/picture-side-is-too-long", number=2000, pixels=4097, number2="4,096"),
        ),
        (medium("nova-lite", "mov", "video"), b"\0\0\0\x20ftypisom", 99, ""),
        (
            medium("nova-lite", "mkv", "video"),
            b"\0\0\0\x20ftypisom",
            99,
            message("sources/and-row-says-mkv", name="mp4"),
        ),
        (medium("nova-lite", "mov", "video"), b"\0\0\0\x08wide", 99, ""),
    ],
)
def test_what_a_base_model_does_not_take(asked: Medium, head: bytes, size: int, problem: str) -> None:
    """Format, bytes, pixels and proportions, by the catalogue's entry."""
    assert problem_of(asked, head[: telling(asked)], size) == problem


# rows and their files


def test_rows_are_given_other_addresses(tmp_path: Path) -> None:
    """Only addresses change, only those that are known, and a row without any keeps its bytes."""
    row = b'{ "image-ref": "file:a b.png", "caption": "file:a b.png" }'

    assert media.readdressed(row, {"file:a b.png": "s3://b/a.png"}.get) == (
        b'{"image-ref":"s3://b/a.png","caption":"file:a b.png"}'
    )
    assert media.readdressed(row, {"another": "s3://b/a.png"}.get) == row


@pytest.mark.parametrize("layout", ["image-caption", "bedrock-conversation-2024", "prompt-completion"])
def test_which_layouts_name_files(layout: str) -> None:
    """Text layouts are never searched."""
    assert media.names_files(FORMATS.load(layout)()) == (layout != "prompt-completion")


def test_an_address_that_waits_is_a_place_in_the_dataset() -> None:
    """An address says where the file lies until it is stored; any other address says nothing."""
    address = f"{media.waiting}sha256-00/a.png"
    entry = FileEntry(path="x", digest="0", bytes=1)

    assert media.place_of(address) in Artifact(type="Dataset", files={"media/sha256-00/a.png": entry}).files
    assert media.place_of("s3://bucket/a.png") == ""
