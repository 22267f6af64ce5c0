"""`image-caption`: an image in S3 and its caption, the layout of Nova Canvas and the Titan image models.

    {"image-ref": "s3://bucket/key.png", "caption": "..."}

In a conversation, the image's address is the prompt and the caption is the answer.

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-customization-prepare.html, read 2026-11-21.
"""

from __future__ import annotations

import msgspec

from polytune.errors import DataError
from polytune.formats._blocks import media_uri, uri_fix
from polytune.formats.interface import (
    Conversation,
    Findings,
    Format,
    MediaReference,
    Passage,
    Reading,
    Turn,
    kind_of,
    shown,
)

keys = ("image-ref", "caption")
example = 'Write {"image-ref": "s3://...", "caption": "..."}.'
format_of = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg"}
"""The image format by file extension, in lower case."""


class ImageCaptionRow(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One line."""

    image: str = msgspec.field(name="image-ref")
    caption: str


encoder = msgspec.json.Encoder()
decoder = msgspec.json.Decoder(ImageCaptionRow)


class ImageCaption(Format):
    """One image and its caption per line."""

    name = "image-caption"
    takes_samples = False

    def encode(self, conversation: Conversation) -> bytes:
        turns = conversation.turns
        if len(turns) != 2 or conversation.system or not _usable(turns[0].text):
            raise DataError(
                f"{self.name}: a row is the S3 address of a PNG or JPEG image and its caption, without a "
                "system prompt. Samples of text do not fit; point the step at a file of such rows."
            )
        return encoder.encode(ImageCaptionRow(turns[0].text, turns[1].text))

    def clean(self, line: bytes) -> Conversation | None:
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not _usable(row.image) or not row.caption or row.caption.isspace():
            return None
        return _conversation(row.image, row.caption)

    def diagnose(self, row: object, line: int) -> Reading:
        findings = Findings(line)
        if not isinstance(row, dict):
            findings.error("not-an-object", "", f"expected an object, found {kind_of(row)}", example)
            return Reading(None, tuple(findings.found))
        findings.unknown_keys(row, keys, "")
        for key in keys:
            if key not in row:
                findings.error("missing-key", key, f"'{key}' is missing", example)
        texts = [findings.text(row[key], key) for key in keys if key in row]
        readable = len(texts) == len(keys) and all(texts)
        uri = row.get("image-ref")
        if isinstance(uri, str) and uri and not uri.isspace():
            _judge_uri(findings, uri)
        return Reading(_conversation(*texts) if readable else None, tuple(findings.found))

    def passages(self, row: object) -> list[Passage]:
        caption = row.get("caption") if isinstance(row, dict) else None
        return [Passage("caption", "assistant", caption)] if isinstance(caption, str) else []

    def references(self, row: object) -> list[MediaReference]:
        uri = row.get("image-ref") if isinstance(row, dict) else None
        if not isinstance(uri, str):
            return []
        return [MediaReference("image-ref", "image", uri, format_of.get(_ending(uri), ""))]


def _conversation(uri: str, caption: str) -> Conversation:
    return Conversation(None, (Turn("user", uri), Turn("assistant", caption)))


def _usable(uri: str) -> bool:
    ending = _ending(uri)
    return media_uri.fullmatch(uri) is not None and (not ending or ending in format_of)


def _judge_uri(findings: Findings, uri: str) -> None:
    if not media_uri.fullmatch(uri):
        findings.error("media-uri", "image-ref", "no usable S3 URI", uri_fix)
    elif not _usable(uri):
        what = f"unknown image format '{shown(_ending(uri))}'"
        findings.error("media-format", "image-ref", what, "Use PNG or JPEG.")


def _ending(uri: str) -> str:
    """The file name's extension in lower case; '' when it has none."""
    _, dot, ending = uri.rpartition("/")[2].rpartition(".")
    return ending.lower() if dot else ""
