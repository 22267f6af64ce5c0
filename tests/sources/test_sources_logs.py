"""Invocation logs as records: every operation's bodies, what is left out and why, and where logs lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytune.errors import DataError
from polytune.sources.interface import Record
from tests.messages import matching, message

from .made import complaints, left_out, pairs, records, source, write_lines

hour = "AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1/2026/11/21/09"


def logged(asked: object, answered: object, **more: Any) -> dict[str, Any]:
    """A record as Bedrock writes it."""
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-11-21T09:00:17Z",
        "accountId": "123456789012",
        "region": "us-east-1",
        "requestId": "ff4b6c63-5561-4431-93b8-06a817275900",
        "operation": "Converse",
        "modelId": "us.amazon.nova-pro-v1:0",
        "input": {"inputContentType": "application/json", "inputBodyJson": asked, "inputTokenCount": 4},
        "output": {"outputContentType": "application/json", "outputBodyJson": answered},
        **more,
    }


def converse(prompt: str = "Q", answer: str = "A", stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    """A call of Converse."""
    message = {"role": "assistant", "content": [{"text": answer}]}
    return logged(
        {"messages": [{"role": "user", "content": [{"text": prompt}]}], "system": [{"text": "S"}]},
        {"output": {"message": message}, "stopReason": stop, "usage": {"inputTokens": 4}},
        **more,
    )


turn = {"role": "user", "content": "Q"}


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({"messages": [turn]}, {"content": [{"type": "text", "text": "A"}], "stop_reason": "end_turn"}),
        (
            {"messages": [turn], "anthropic_version": "bedrock-2023-05-31"},
            [
                {"type": "message_start", "message": {"role": "assistant"}},
                {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "A"}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            ],
        ),
        (
            {"messages": [{"role": "user", "content": [{"text": "Q"}]}]},
            [{"contentBlockDelta": {"delta": {"text": "A"}}}, {"messageStop": {"stopReason": "end_turn"}}],
        ),
        ({"prompt": "Q", "max_gen_len": 9}, {"generation": "A", "stop_reason": "stop"}),
        ({"inputText": "Q"}, {"results": [{"outputText": "A", "completionReason": "FINISH"}]}),
        ({"messages": [turn]}, {"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}),
    ],
    ids=["claude", "claude streamed", "nova streamed", "llama", "titan", "chat completions"],
)
def test_bodies_of_invoke_model(tmp_path: Path, asked: object, answered: object) -> None:
    """Each vendor's bodies, whole and in events."""
    write_lines(tmp_path / "logs" / "a.json.gz", [logged(asked, answered, operation="InvokeModel")])

    found = list(source(tmp_path, "invocation_logs", folder="logs").records())

    assert pairs(found) == [("Q", "A")]


def test_a_call_of_converse(tmp_path: Path) -> None:
    """System prompt, model and place are kept; the model goes by its id also when named by an ARN."""
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0"
    write_lines(tmp_path / "logs" / hour / "a.json.gz", [converse(), converse(modelId=arn)])

    found = records(source(tmp_path, "invocation_logs", folder="logs").records())

    assert [(each.system, each.teacher, each.line) for each in found] == [
        ("S", "us.amazon.nova-pro-v1:0", 1),
        ("S", "us.amazon.nova-pro-v1:0", 2),
    ]
    assert found[0].file == f"logs/{hour}/a.json.gz"


def test_what_is_left_out(tmp_path: Path) -> None:
    """Other metadata, other models, failed calls and unfinished answers are passed over, by reason."""
    metadata = {"project": "shop", "stage": "live"}
    rows = [
        converse("wanted", requestMetadata=metadata),
        converse("no metadata"),
        converse("other", requestMetadata={**metadata, "project": "blog"}),
        converse("excluded", requestMetadata={**metadata, "user": "robot"}),
        converse("model", requestMetadata=metadata, modelId="anthropic.claude-3-haiku-20240307-v1:0"),
        converse("failed", requestMetadata=metadata, errorCode="ThrottlingException", output=None),
        converse("long", stop="max_tokens", requestMetadata=metadata),
        logged(
            {"messages": [turn]},
            {"choices": [{"message": {"content": "A"}, "finish_reason": "length"}]},
            requestMetadata=metadata,
        ),
    ]
    write_lines(tmp_path / "logs" / "a.json.gz", rows)
    made = source(
        tmp_path,
        "invocation_logs",
        folder="logs",
        match={"project": "shop", "stage": "live"},
        exclude={"user": "robot"},
        models=["nova-"],
    )

    found = list(made.records())

    assert pairs(found) == [("wanted", "A")]
    assert left_out(found) == [
        *[message("sources/other-request-metadata")] * 3,
        "another model",
        message("general/call-failed"),
        *[message("sources/answer-was-cut-off")] * 2,
    ]


def test_what_cannot_be_used(tmp_path: Path) -> None:
    """Tool use, bodies that lie elsewhere, embeddings and other files are bad records with a path."""
    tool = {"output": {"message": {"role": "assistant", "content": [{"toolUse": {"name": "x"}}]}}}
    far = {"inputBodyS3Path": "s3://b/data/x_input.json.gz", "inputContentType": "application/json"}
    rows: list[object] = [
        logged({"messages": [turn]}, tool),
        converse(input=far),
        logged({"inputText": "Q"}, {"embedding": [0.1]}),
        {"schemaType": "Other"},
        [1],
    ]
    write_lines(tmp_path / "logs" / "a.json.gz", rows)

    told = complaints(source(tmp_path, "invocation_logs", folder="logs").records())

    assert [each.split(": ")[0] for each in told] == [f"logs/a.json.gz:{n}" for n in range(1, 6)]
    for each, part in zip(
        told, ("other than text", "s3://b/data/", "no text", "schemaType", "not a record"), strict=True
    ):
        assert part in each


def test_logs_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Hours come in order, large bodies beside the logs are no logs, and other files are passed by."""
    logs = tmp_path / "logs"
    write_lines(logs / "2026/11/21/10/b.json.gz", [converse("later")])
    write_lines(logs / "2026/11/21/09/z.json.gz", [converse("earlier")])
    write_lines(logs / "2026/11/21/09/data/z_output.json.gz", [{"a": "body"}])
    (logs / "amazon-bedrock-logs-permission-check").write_text("")
    made = source(tmp_path, "invocation_logs", folder="logs")

    assert pairs(made.records()) == [("earlier", "A"), ("later", "A")]

    write_lines(logs / "2026/11/21/11/c.json.gz", [converse("new")])
    assert isinstance(list(made.records())[2], Record)


def test_a_place_without_logs(tmp_path: Path) -> None:
    """An empty folder is no empty dataset."""
    (tmp_path / "logs").mkdir()

    with pytest.raises(DataError, match=matching("sources/no-log-check-place")):
        list(source(tmp_path, "invocation_logs", folder="logs").records())
