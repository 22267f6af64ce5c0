"""Event-stream frames: botocore reads back what was written."""

from __future__ import annotations

import json
from collections.abc import Iterable

import botocore.session
import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer, EventStreamMessage
from botocore.model import Shape

from polytune.emulator.bedrock.eventstream import encode, encode_all, frame
from tests.messages import matching


def stream_of(operation: str) -> Shape:
    model = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model(operation)
    return model.get_event_stream_output()


def read(chunks: Iterable[bytes]) -> list[EventStreamMessage]:
    buffer = EventStreamBuffer()
    for chunk in chunks:
        buffer.add_data(chunk)
    return list(buffer)


def test_an_event_comes_back_with_its_name_and_members() -> None:
    """The type, the name and the payload of an event survive."""
    [message] = read([encode(stream_of("ConverseStream"), "messageStart", {"role": "assistant"})])

    assert message.headers == {
        ":event-type": "messageStart",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert json.loads(message.payload) == {"role": "assistant"}


def test_a_blob_is_base64_and_text_is_utf_8() -> None:
    """Bytes that are no text, and text that is no ASCII, arrive."""
    [chunk] = read([encode(stream_of("InvokeModelWithResponseStream"), "chunk", {"bytes": b"\xff\x00"})])
    delta = {"delta": {"text": "日本 ♪"}, "contentBlockIndex": 0}
    [event] = read([encode(stream_of("ConverseStream"), "contentBlockDelta", delta)])

    assert json.loads(chunk.payload) == {"bytes": "/wA="}
    assert json.loads(event.payload)["delta"]["text"] == "日本 ♪"


def test_an_exception_is_an_exception_frame() -> None:
    """A member that the model marks as an exception gets the headers that make the SDK raise."""
    [message] = read([encode(stream_of("ConverseStream"), "throttlingException", {"message": "slow down"})])

    assert message.headers[":message-type"] == "exception"
    assert message.headers[":exception-type"] == "throttlingException"


def test_frames_may_be_split_anywhere() -> None:
    """Frames written one after another are found again from pieces of any size."""
    events: list[tuple[str, dict[str, object]]] = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
    ]
    raw = b"".join(encode_all(stream_of("ConverseStream"), events))

    messages = read(raw[at : at + 7] for at in range(0, len(raw), 7))

    assert [message.headers[":event-type"] for message in messages] == [name for name, _ in events]


def test_a_flipped_bit_is_noticed() -> None:
    """Both checksums are real: a changed payload is refused by the reader."""
    raw = bytearray(frame({":message-type": "event"}, b'{"a": 1}'))
    raw[-6] ^= 1

    with pytest.raises(ChecksumMismatch, match="Checksum mismatch"):
        read([bytes(raw)])


@pytest.mark.parametrize(
    ("name", "members", "complaint"),
    [
        ("messageBegin", {}, matching("emulator/has-no-event", name="messageBegin")),
        ("messageStart", {}, r"missing members \['role'\]"),
        ("messageStart", {"role": "assistant", "colour": "red"}, r"unknown members \['colour'\]"),
    ],
)
def test_what_the_model_does_not_know_is_refused(
    name: str, members: dict[str, object], complaint: str
) -> None:
    """An event that the output shape does not allow is never written."""
    with pytest.raises(ValueError, match=complaint):
        encode(stream_of("ConverseStream"), name, members)
