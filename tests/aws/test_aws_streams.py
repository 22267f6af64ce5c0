"""Streamed answers arrive event by event, and a stream that breaks off is never taken for a whole one."""

from __future__ import annotations

import json
import struct
from binascii import crc32
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from polytune.aws.failures import AwsFailure, Unreachable
from tests.aws.faulty import Answer, faulty
from tests.aws.stands import Stand

asked = {"modelId": "amazon.nova-micro-v1:0", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}


def frame(kind: str, name: str, payload: object) -> bytes:
    """One message of AWS's event-stream encoding; `kind` is event or exception."""
    names = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(
        struct.pack("!B", len(key)) + key.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for key, value in names.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 12 + len(headers) + len(body) + 4, len(headers))
    head = prelude + struct.pack("!I", crc32(prelude))
    whole = head + headers + body
    return whole + struct.pack("!I", crc32(whole))


deltas = [
    frame("event", "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})
    for text in ("he", "y")
]
ending = [
    frame("event", "messageStop", {"stopReason": "end_turn"}),
    frame(
        "event",
        "metadata",
        {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 1}},
    ),
]


def streamed(*frames: bytes, cut_bytes: int = 0) -> Answer:
    """A streamed answer, without its last bytes."""
    answer = Answer(200, b"".join(frames), {"Content-Type": "application/vnd.amazon.eventstream"})
    return replace(answer, sent_bytes=len(answer.raw) - cut_bytes)


def events(answer: Answer) -> Generator[dict[str, Any], None, None]:
    """What ConverseStream yields for the answer."""
    with faulty([answer]) as server:
        runtime = Stand(server.url).access().service("bedrock-runtime", attempts=1)
        yield from runtime.stream("ConverseStream", asked, "stream")


def test_a_whole_stream_comes_in_order() -> None:
    """Text, then stop reason, then usage."""
    seen = list(events(streamed(*deltas, *ending)))

    assert [name for event in seen for name in event] == [
        "contentBlockDelta",
        "contentBlockDelta",
        "messageStop",
        "metadata",
    ]
    assert [event["contentBlockDelta"]["delta"]["text"] for event in seen[:2]] == ["he", "y"]


@pytest.mark.parametrize("cut_bytes", [1, 100, len(ending[1])])
def test_a_stream_that_breaks_off_is_a_failure(cut_bytes: int) -> None:
    """Within an event or between two; what came before was handed on."""
    seen: list[dict[str, Any]] = []
    with pytest.raises(Unreachable, match=r"ConverseStream"):
        seen.extend(events(streamed(*deltas, *ending, cut_bytes=cut_bytes)))

    assert seen[0]["contentBlockDelta"]["delta"]["text"] == "he"


def test_a_reader_may_stop_early() -> None:
    """The connection is closed, and nothing is said about the rest."""
    arriving = events(streamed(*deltas, *ending))

    assert next(arriving)["contentBlockDelta"]["delta"]["text"] == "he"
    arriving.close()


@pytest.mark.parametrize(
    ("name", "transient"),
    [("modelStreamErrorException", True), ("throttlingException", True), ("validationException", False)],
)
def test_an_error_inside_the_stream_is_explained(name: str, transient: bool) -> None:
    """It keeps its code, and whether it is worth another try."""
    with pytest.raises(AwsFailure, match=name) as caught:
        list(events(streamed(*deltas, frame("exception", name, {"message": "It broke."}))))

    assert caught.value.transient is transient
    assert caught.value.said == "It broke."
