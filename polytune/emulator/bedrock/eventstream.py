"""Encodes AWS event streams: the frames that a streaming operation sends, one per event.

    total length | headers length | CRC32 of these 8 bytes | headers | payload | CRC32 of all before
         4 bytes           4 bytes                  4 bytes                               4 bytes

botocore can only read such frames. The payload of an event is its members as JSON with blobs in Base64,
which is the layout of every event of bedrock-runtime.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterable, Iterator, Mapping

from botocore.model import Shape, StructureShape

string_header = 7
"""The type number of a header whose value is a string."""
prelude = struct.Struct("!III")
checksum = struct.Struct("!I")
framing_bytes = prelude.size + checksum.size


def encode(stream: Shape, name: str, members: Mapping[str, object]) -> bytes:
    """One frame for the event `name` of an event-stream shape, with these members.

    An event that the model marks as an exception becomes an exception frame, which ends the stream for
    the caller. Raises ValueError if the shape has no such event, or the event does not have these members.
    """
    event = _event(stream, name)
    _check(event, members)
    wrong = bool(event.metadata.get("exception"))
    headers = {
        ":exception-type" if wrong else ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "exception" if wrong else "event",
    }
    return frame(headers, json.dumps(members, default=_blob, ensure_ascii=False).encode())


def encode_all(stream: Shape, events: Iterable[tuple[str, Mapping[str, object]]]) -> Iterator[bytes]:
    """A frame for each event, in order."""
    for name, members in events:
        yield encode(stream, name, members)


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame with string headers."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    sizes = struct.pack("!II", framing_bytes + len(head) + len(payload), len(head))
    begun = sizes + checksum.pack(binascii.crc32(sizes)) + head + payload
    # The last checksum also covers the first one.
    return begun + checksum.pack(binascii.crc32(begun))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack(f"!B{len(key)}sBH", len(key), key, string_header, len(text)) + text


def _event(stream: Shape, name: str) -> StructureShape:
    members = stream.members if isinstance(stream, StructureShape) else {}
    event = members.get(name)
    if not isinstance(event, StructureShape):
        raise ValueError(f"{stream.name} has no event '{name}'; it has {', '.join(members)}")
    return event


# Nothing else would notice a wrong member: botocore's parser ignores unknown ones.
def _check(event: StructureShape, members: Mapping[str, object]) -> None:
    unknown = [name for name in members if name not in event.members]
    missing = [name for name in event.required_members if name not in members]
    if unknown or missing:
        raise ValueError(f"{event.name}: unknown members {unknown}, missing members {missing}")


def _blob(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no place in an event")
