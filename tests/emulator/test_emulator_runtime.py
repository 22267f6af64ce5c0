"""bedrock-runtime, asked through unmodified boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from polytune.emulator.bedrock.faults import BedrockFault
from polytune.strudel.checker import check
from polytune.strudel.vocabulary import sounds
from tests.messages import matching

from .emulator_shapes import Wire, faults
from .runtime_account import (
    Account,
    account,
    asking,
    base_id,
    conversation_rows,
    nova_lite,
    ready_after,
    said,
)

pairs = [
    ("Write a minimal techno loop", 's("bd*4")'),
    ("Write a calm ambient pad", 'note("c3").s("sine")'),
    ("Write a jazz walking bass", 'n("0 2 4 5").scale("C:dorian")'),
]


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Account]:
    with account(tmp_path / "s3") as made:
        yield made


def trained(aws: Account) -> str:
    aws.store.write("s3://bucket/train.jsonl", conversation_rows(pairs))
    return aws.custom_model("s3://bucket/train.jsonl")


def deployed(aws: Account) -> str:
    arn = aws.deployment(trained(aws))
    aws.advance(ready_after.total_seconds())
    return arn


def test_a_base_model_answers_and_counts(aws: Account) -> None:
    """A foundation model answers the same every time, and its tokens add up."""
    first = aws.runtime.converse(modelId=nova_lite, messages=asking("Write a loop"))
    second = aws.runtime.converse(modelId=nova_lite, messages=asking("Write a loop"))

    assert said(first) == said(second) != ""
    assert first["stopReason"] == "end_turn"
    assert first["usage"]["totalTokens"] == first["usage"]["inputTokens"] + first["usage"]["outputTokens"]
    assert first["usage"]["inputTokens"] == 3


def test_the_system_prompt_and_the_model_matter(aws: Account) -> None:
    """The same question to another model, or under another system prompt, is answered otherwise."""
    told = [
        said(aws.runtime.converse(modelId=model, messages=asking("Write a loop"), system=[{"text": system}]))
        for model in (nova_lite, "us.amazon.nova-micro-v1:0")
        for system in ("Be brief.", "Be long.", "Be kind.")
    ]

    assert len(set(told)) > 3


@pytest.mark.parametrize(
    "model",
    [
        f"arn:aws:bedrock:us-east-1::foundation-model/{nova_lite}",
        f"us.{nova_lite}",
        "amazon.nova-micro-v1:0",
        "us.amazon.nova-2-lite-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ],
)
def test_ids_profiles_and_arns_are_known(aws: Account, model: str) -> None:
    """A foundation model answers to its id, its ARN and its profile."""
    assert said(aws.runtime.converse(modelId=model, messages=asking("Hello there")))


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        (base_id, "ResourceNotFoundException", matching("general/model-not-found")),
        ("amazon.nova-lite-v9:0", "ResourceNotFoundException", matching("general/model-not-found")),
        (
            "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl",
            "ResourceNotFoundException",
            matching("general/model-not-found"),
        ),
        ("amazon.nova-2-lite-v1:0", "ValidationException", "inference profile"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "ValidationException", "inference profile"),
    ],
)
def test_other_names_are_refused(aws: Account, model: str, code: str, message: str) -> None:
    """A training id, an unknown model, and one that wants a profile are refused, each in its way."""
    with pytest.raises(ClientError, match=message) as refused:
        aws.runtime.converse(modelId=model, messages=asking("Hello"))

    assert refused.value.response["Error"]["Code"] == code


def test_a_deployment_answers_once_it_is_active(aws: Account) -> None:
    """Before, it is not ready, with HTTP 429; then it answers with the nearest training row's answer."""
    arn = aws.deployment(trained(aws))
    with pytest.raises(ClientError, match="not ready") as refused:
        aws.runtime.converse(modelId=arn, messages=asking("A calm pad, please"))
    aws.advance(ready_after.total_seconds())

    answer = aws.runtime.converse(modelId=arn, messages=asking("A calm pad, please"))

    assert refused.value.response["Error"]["Code"] == "ModelNotReadyException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert said(answer) == 'note("c3").s("sine")'


def test_provisioned_and_imported_models_answer(aws: Account) -> None:
    """Bought capacity answers for its custom model once in service; an imported model answers at once."""
    arn = aws.throughput(trained(aws))
    with pytest.raises(ClientError, match="not ready"):
        aws.runtime.converse(modelId=arn, messages=asking("A jazz bass"))
    aws.advance(ready_after.total_seconds())

    assert said(aws.runtime.converse(modelId=arn, messages=asking("A jazz bass"))).startswith("n(")
    assert said(aws.runtime.converse(modelId=aws.imported(), messages=asking("A jazz bass")))


def test_a_trained_and_deployed_model_answers_from_its_rows(aws: Account) -> None:
    """The whole road through the API: job, model, deployment, question."""
    rows = [
        (f"Question number {word}", f"answer {word}")
        for word in ["one", "two", "three", "four", "five", "six"]
    ]
    aws.store.write("s3://bucket/train.jsonl", conversation_rows(rows + pairs))
    job = aws.bedrock.create_model_customization_job(
        jobName="job",
        customModelName="model",
        roleArn="arn:aws:iam::123456789012:role/anybody",
        baseModelIdentifier=base_id,
        trainingDataConfig={"s3Uri": "s3://bucket/train.jsonl"},
        outputDataConfig={"s3Uri": "s3://bucket/out"},
    )["jobArn"]
    aws.advance(6 * 3600)
    model = aws.bedrock.get_model_customization_job(jobIdentifier=job)["outputModelArn"]
    deployment = aws.bedrock.create_custom_model_deployment(modelDeploymentName="d", modelArn=model)
    aws.advance(ready_after.total_seconds())

    answer = aws.runtime.converse(
        modelId=deployment["customModelDeploymentArn"], messages=asking("Question number five, please")
    )

    assert said(answer) == "answer five"


def test_every_answer_has_the_models_shape(aws: Account) -> None:
    """What Converse and CountTokens send fits their output shapes, trace included."""
    wire = Wire(aws.runtime)
    guardrail = {"guardrailIdentifier": "abc123", "guardrailVersion": "1", "trace": "enabled_full"}
    aws.runtime.converse(modelId=nova_lite, messages=asking("Hello"), guardrailConfig=guardrail)
    aws.runtime.count_tokens(modelId=nova_lite, input={"converse": {"messages": asking("Hello")}})

    found = [
        fault
        for answers in wire.bodies.values()
        for _, body, model in answers
        for fault in faults(model.output_shape, body)
    ]
    assert sorted(wire.bodies) == ["Converse", "CountTokens"]
    assert found == []


def test_a_custom_model_wants_a_deployment(aws: Account) -> None:
    """The custom model's own ARN is none that the API takes for a call."""
    with pytest.raises(ClientError, match=matching("emulator/constraint-is-not-met")):
        aws.runtime.converse(modelId=trained(aws), messages=asking("A jazz bass"))


def test_rows_of_another_layout_are_read_too(aws: Account) -> None:
    """A model trained on prompt and completion answers with the completions."""
    rows = [json.dumps({"prompt": p, "completion": a}).encode() for p, a in pairs]
    aws.store.write("s3://bucket/pairs.jsonl", b"\n".join(rows))
    arn = aws.deployment(aws.custom_model("s3://bucket/pairs.jsonl"))
    aws.advance(ready_after.total_seconds())

    assert said(aws.runtime.converse(modelId=arn, messages=asking("minimal techno"))) == 's("bd*4")'


def test_models_that_learnt_without_answers_write_patterns(aws: Account) -> None:
    """A teacher, and a model distilled from prompts alone, answer about Strudel with valid Strudel."""
    prompt = {"schemaVersion": "bedrock-conversation-2024", "messages": asking("A techno loop")}
    aws.store.write("s3://bucket/prompts.jsonl", json.dumps(prompt).encode())
    student = aws.deployment(aws.custom_model("s3://bucket/prompts.jsonl", "DISTILLATION"))
    aws.advance(ready_after.total_seconds())

    for model in ("us.amazon.nova-premier-v1:0", student):
        answer = aws.runtime.converse(
            modelId=model,
            messages=asking("Make a techno loop"),
            system=[{"text": "You write Strudel.\n\nSTYLE: techno\n\nCOMPLEXITY: simple"}],
        )
        assert check(said(answer), sounds()).reason == ""


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], matching("emulator/must-start-with-user-message")),
        (
            [{"role": "assistant", "content": [{"text": "Hi"}]}],
            matching("emulator/must-start-with-user-message"),
        ),
        (asking("a") + asking("b"), matching("emulator/must-alternate-between-user-and-assistant")),
        (asking("  "), "messages.0.content.0 is blank"),
    ],
)
def test_turns_in_a_wrong_order_are_refused(
    aws: Account, messages: list[dict[str, Any]], complaint: str
) -> None:
    """A conversation starts with the user and alternates; blank text is refused."""
    with pytest.raises(ClientError, match=complaint):
        aws.runtime.converse(modelId=nova_lite, messages=messages)


def test_max_tokens_cuts_the_answer(aws: Account) -> None:
    """An answer is never longer than allowed, and says why it ends."""
    answer = aws.runtime.converse(
        modelId=nova_lite, messages=asking("Write a loop"), inferenceConfig={"maxTokens": 3}
    )

    assert answer["stopReason"] == "max_tokens"
    assert answer["usage"]["outputTokens"] == 3
    assert len(said(answer)) == 12


def test_a_stop_sequence_ends_the_answer(aws: Account) -> None:
    """The answer ends before the text that shall stop it."""
    answer = aws.runtime.converse(
        modelId=deployed(aws), messages=asking("jazz bass"), inferenceConfig={"stopSequences": [".scale"]}
    )

    assert (said(answer), answer["stopReason"]) == ('n("0 2 4 5")', "stop_sequence")


def test_a_guardrail_shows_in_the_trace(aws: Account) -> None:
    """With tracing on, the guardrail's id comes back."""
    answer = aws.runtime.converse(
        modelId=nova_lite,
        messages=asking("Hello"),
        guardrailConfig={"guardrailIdentifier": "abc123", "guardrailVersion": "1", "trace": "enabled"},
    )

    found = answer["trace"]["guardrail"]["inputAssessment"]["abc123"]["appliedGuardrailDetails"]
    assert found["guardrailId"] == "abc123"


def test_a_stream_gives_the_same_answer_in_pieces(aws: Account) -> None:
    """ConverseStream says what Converse says: start, deltas, stop, usage."""
    whole = aws.runtime.converse(modelId=nova_lite, messages=asking("Write a loop"))

    streamed = aws.runtime.converse_stream(modelId=nova_lite, messages=asking("Write a loop"))
    events = list(streamed["stream"])

    names = [next(iter(event)) for event in events]
    text = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)
    assert (names[0], names[-2:]) == ("messageStart", ["messageStop", "metadata"])
    assert names.count("contentBlockDelta") > 2
    assert text == said(whole)
    assert events[-1]["metadata"]["usage"] == whole["usage"]


def test_a_stream_may_break_half_way(aws: Account) -> None:
    """Scripted, an exception event follows the first deltas, and the SDK raises it."""
    aws.fail(BedrockFault(kind="internal_error", operation="BrokenStream", times=1))
    stream = iter(aws.runtime.converse_stream(modelId=nova_lite, messages=asking("Write a loop"))["stream"])

    assert next(stream) == {"messageStart": {"role": "assistant"}}
    with pytest.raises(EventStreamError, match=matching("emulator/unexpected-error-during-processing")):
        list(stream)


def test_a_stream_to_an_unknown_model_is_refused_at_once(aws: Account) -> None:
    """An error before the first event is an ordinary error."""
    with pytest.raises(ClientError, match=matching("general/model-not-found")):
        aws.runtime.converse_stream(modelId=base_id, messages=asking("Hello"))


bodies = {
    "nova": {
        "messages": asking("jazz bass"),
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 50},
    },
    "anthropic": {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 50,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "jazz bass"}],
    },
    "llama": {
        "prompt": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\njazz bass<|eot_id|>",
        "max_gen_len": 50,
    },
}


def text_in(layout: str, body: dict[str, Any]) -> str:
    match layout:
        case "nova":
            return said(body)
        case "anthropic":
            return str(body["content"][0]["text"])
        case _:
            return str(body["generation"])


def piece_in(layout: str, chunk: dict[str, Any]) -> str:
    match layout:
        case "nova":
            return str(chunk.get("contentBlockDelta", {}).get("delta", {}).get("text", ""))
        case "anthropic":
            return str(chunk.get("delta", {}).get("text", ""))
        case _:
            return str(chunk["generation"])


@pytest.mark.parametrize("layout", sorted(bodies))
def test_invoke_model_speaks_each_vendors_layout(aws: Account, layout: str) -> None:
    """Whole or streamed, a body in a vendor's layout is answered in that layout."""
    arn, body = deployed(aws), json.dumps(bodies[layout])

    answer = aws.runtime.invoke_model(modelId=arn, body=body)
    streamed = aws.runtime.invoke_model_with_response_stream(modelId=arn, body=body)

    assert answer["contentType"] == "application/json"
    assert text_in(layout, json.loads(answer["body"].read())) == pairs[2][1]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in streamed["body"]]
    assert "".join(piece_in(layout, chunk) for chunk in chunks) == pairs[2][1]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"inputText": "Hello"}', b'{"prompt": 3}'])
def test_other_bodies_are_malformed(aws: Account, body: bytes) -> None:
    """A body in no known layout is refused in the service's words."""
    with pytest.raises(ClientError, match=matching("emulator/malformed-input-request")):
        aws.runtime.invoke_model(modelId=nova_lite, body=body)


def test_tokens_are_counted_in_both_layouts(aws: Account) -> None:
    """CountTokens gives the figure that Converse charges."""
    system = [{"text": "Be brief."}]
    charged = aws.runtime.converse(modelId=nova_lite, messages=asking("jazz bass"), system=system)

    counts = [
        aws.runtime.count_tokens(modelId=nova_lite, input=given)["inputTokens"]
        for given in (
            {"converse": {"messages": asking("jazz bass"), "system": system}},
            {"invokeModel": {"body": json.dumps(bodies["nova"])}},
        )
    ]

    assert counts == [charged["usage"]["inputTokens"]] * 2


def test_a_limit_throttles_for_a_virtual_minute(tmp_path: Path) -> None:
    """Calls over a model's limit get 429 until a minute has passed; other models are free."""
    with account(tmp_path / "s3", {nova_lite: 2}) as aws:
        for _ in range(2):
            aws.runtime.converse(modelId=nova_lite, messages=asking("Hello"))
        with pytest.raises(ClientError, match=matching("emulator/too-many-requests")) as refused:
            aws.runtime.converse(modelId=nova_lite, messages=asking("Hello"))
        aws.runtime.converse(modelId="amazon.nova-micro-v1:0", messages=asking("Hello"))
        aws.advance(60)
        aws.runtime.converse(modelId=nova_lite, messages=asking("Hello"))

    assert refused.value.response["Error"]["Code"] == "ThrottlingException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_scripted_faults_reach_the_runtime(aws: Account) -> None:
    """A fault matched by operation strikes Converse and leaves CountTokens alone."""
    aws.fail(BedrockFault(kind="throttle", operation="Converse", times=1))

    with pytest.raises(ClientError, match="Throttling"):
        aws.runtime.converse(modelId=nova_lite, messages=asking("Hello"))
    assert said(aws.runtime.converse(modelId=nova_lite, messages=asking("Hello")))
