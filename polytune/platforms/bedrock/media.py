"""Checks the files that rows of a dataset refer to before a job reads them: existence, access, format, size.

Their first bytes identify the format. Signatures and offsets of sizes: the PNG, JFIF, GIF, WebP (RFC 9649),
ISO base media, Matroska and PDF formats.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Denied, Missing
from polytune.aws.places import place_of
from polytune.base_models.interface import Media
from polytune.platforms.interface import Medium

looks_at_once = 32
usable = re.compile(r"s3://[\w\-/.]+", re.ASCII)
"""What AWS's own validators accept in rows (aws-samples/amazon-nova-samples)."""
empty = ("InvalidRange", "416")
"""S3's error codes for a range request to an empty object."""
telling_bytes = 4096
"""Enough of a file to identify its format, and the size of most images."""
telling_jpeg_bytes = 72 << 10
"""A JPEG's size comes after its metadata segments, each of which can be up to 64 KiB long."""
containers = ({"mp4", "mov"}, {"mkv", "webm"})
"""Video formats that share a container and are hard to tell apart."""
start_of_frame = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def problems(access: Access, bucket: str, media: Sequence[Medium]) -> dict[str, str]:
    """Why a job with its rows in `bucket` cannot use a file, by URI; usable files are left out.

    Raises AwsFailure when S3 does not answer.
    """
    with ThreadPoolExecutor(looks_at_once) as threads:
        found = threads.map(partial(_problem, access, bucket), media)
        return {medium.uri: problem for medium, problem in zip(media, found, strict=True) if problem}


def _problem(access: Access, bucket: str, medium: Medium) -> str:
    if medium.path is not None:
        with medium.path.open("rb") as file:
            return problem_of(medium, file.read(telling(medium)), medium.path.stat().st_size)
    if not usable.fullmatch(medium.uri):
        return "Bedrock takes letters, digits, _ - / and . only in the address of a file"
    place = place_of(medium.uri)
    if place.bucket != bucket:
        return f"is in another bucket than the rows, which go to {bucket}; Bedrock reads only that one"
    asked = {"Bucket": place.bucket, "Key": place.key, "Range": f"bytes=0-{telling(medium) - 1}"}
    try:
        answer = access.service("s3").call("GetObject", asked)
    except Missing:
        return "does not exist"
    except Denied as failure:
        return f"cannot be read: {failure}"
    except AwsFailure as failure:
        if failure.code in empty:
            return "is empty"
        raise
    with answer["Body"] as body:
        head = body.read()
    whole = str(answer.get("ContentRange", "")).rpartition("/")[2]
    return problem_of(medium, head, int(whole) if whole.isdigit() else len(head))


@dataclass(frozen=True)
class Seen:
    """What the first bytes of a file reveal."""

    format: str
    """'' for an unknown format."""
    width: int | None = None
    """In pixels; None when unknown."""
    height: int | None = None


def telling(medium: Medium) -> int:
    """The number of first bytes to read."""
    return telling_jpeg_bytes if medium.format in ("jpeg", "jpg") else telling_bytes


def problem_of(medium: Medium, head: bytes, size: int) -> str:
    """Why a base model cannot be trained on a file of `size` bytes that starts with `head`; '' if it can."""
    if not size:
        return "is empty"
    seen = seen_in(head)
    return _misnamed(medium, seen) or _too_large(medium.allowed, size) or _ill_sized(medium.allowed, seen)


def seen_in(head: bytes) -> Seen:
    """Format and size of a file that starts with these bytes."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Seen("png", *_unpacked(">II", head, 16))
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Seen("gif", *_unpacked("<HH", head, 6))
    if head.startswith(b"\xff\xd8\xff"):
        return Seen("jpeg", *_jpeg_size(head))
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Seen("webp", *_webp_size(head))
    if head[4:8] == b"ftyp":
        return Seen("mov" if head[8:12] == b"qt  " else "mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return Seen("webm" if b"webm" in head[:64] else "mkv")
    return Seen("pdf" if head.startswith(b"%PDF-") else "")


def _misnamed(medium: Medium, seen: Seen) -> str:
    stated = "jpeg" if medium.format == "jpg" else medium.format
    if not seen.format:
        return "" if medium.kind == "video" else f"is no {medium.kind} of a known format"
    alike = any({stated, seen.format} <= each for each in containers)
    if stated and seen.format != stated and not alike:
        return f"is {seen.format}, and the row says {stated}"
    return ""


def _too_large(allowed: Media | None, size: int) -> str:
    most = allowed.max_bytes if allowed else None
    return f"has {size:,} bytes; at most {most:,} are taken" if most and size > most else ""


def _ill_sized(allowed: Media | None, seen: Seen) -> str:
    if allowed is None or not seen.width or not seen.height:
        return ""
    short, long = sorted((seen.width, seen.height))
    shown = f"is {seen.width} x {seen.height} pixels"
    if allowed.min_side_pixels and short < allowed.min_side_pixels:
        return f"{shown}; each side needs {allowed.min_side_pixels:,}"
    if allowed.max_side_pixels and long > allowed.max_side_pixels:
        return f"{shown}; each side may have {allowed.max_side_pixels:,}"
    if allowed.max_pixels and short * long > allowed.max_pixels:
        return f"{shown}, {short * long:,} in all; at most {allowed.max_pixels:,} are taken"
    if allowed.max_aspect and long > short * allowed.max_aspect:
        return f"{shown}; one side may be {allowed.max_aspect:g} times the other"
    return ""


def _unpacked(layout: str, head: bytes, offset: int) -> tuple[int | None, int | None]:
    """Two numbers; None for both when the head is too short."""
    if len(head) < offset + struct.calcsize(layout):
        return None, None
    width, height = struct.unpack_from(layout, head, offset)
    return width, height


def _jpeg_size(head: bytes) -> tuple[int | None, int | None]:
    offset = 2
    while offset + 4 <= len(head) and head[offset] == 0xFF:
        marker = head[offset + 1]
        if marker in start_of_frame:
            height, width = _unpacked(">HH", head, offset + 5)
            return width, height
        offset += 2 + int.from_bytes(head[offset + 2 : offset + 4], "big") if marker != 0xFF else 1
    return None, None


def _webp_size(head: bytes) -> tuple[int | None, int | None]:
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = _unpacked("<HH", head, 26)
        return (width & 0x3FFF, height & 0x3FFF) if width and height else (None, None)
    return None, None
