"""Bedrock asked one by one, through unmodified boto3: against the emulator, and a Converse made to order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytune.engine.budget import BudgetLimits
from polytune.errors import BudgetExceeded, Paused, StepFailed
from polytune.teachers.interface import TEACHERS
from tests.bedrock.cloud import Cloud
from tests.messages import matching, message

from .bedrock_asking import Asking, Converser, calls, saying, single

nova_lite_usd_per_1k = (0.00006, 0.00024)


@pytest.fixture
def asking(cloud: Cloud, tmp_path: Path) -> Asking:
    """Twenty questions to the emulator."""
    return Asking(tmp_path, cloud.environment(), single())


def problems(**fields: Any) -> list[str]:
    """What a spec finds wrong with itself."""
    kind = fields.pop("kind", "bedrock")
    spec = TEACHERS.load(kind).Spec.model_validate({"kind": kind, "model": "nova-lite", **fields})
    return [f"{each.field}: {each.what}" for each in spec.problems()]


def test_every_sample_is_answered_and_priced(cloud: Cloud, asking: Asking) -> None:
    """Each answer is one call, costs what its tokens cost, and is there the next time."""
    outcome = asking.run()
    again = asking.run()

    samples = asking.samples()
    read, written = (sum(s["usage"][f"{which}_tokens"] for s in samples) for which in ("input", "output"))
    usd = (read * nova_lite_usd_per_1k[0] + written * nova_lite_usd_per_1k[1]) / 1000
    assert len(samples) == len({sample["answer"] for sample in samples}) == 20
    assert outcome.usage.usd == pytest.approx(usd)
    assert (outcome.usage.requests, again.usage.requests, calls(cloud, "Converse")) == (20, 0, 20)
    assert not any(sample["usage"]["estimated"] for sample in samples)


def test_the_estimate_knows_the_price(asking: Asking) -> None:
    """Before anything is asked, the catalogue's price gives a range."""
    found = asking.estimate()

    assert found.requests == 20
    assert found.usd_low == pytest.approx(20 * 150 * 0.24e-6, rel=0.2)
    assert found.note == "nova-lite on Bedrock"


def test_an_unknown_price_is_said_and_a_stated_one_holds(cloud: Cloud, tmp_path: Path) -> None:
    """A model outside the catalogue costs nobody knows what, until its price is stated; answers stay."""
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    unknown = Asking(tmp_path, cloud.environment(), single(model=model))
    note, usd = unknown.estimate().note, unknown.run().usage.usd
    price = {"input_usd_per_million_tokens": 3.0, "output_usd_per_million_tokens": 15.0}
    stated = Asking(tmp_path, cloud.environment(), single(model=model, price=price), count=21)

    assert note == message("teachers/price-unknown", model=model)
    assert usd is None
    assert stated.estimate().requests == 1
    assert (stated.run().usage.usd or 0.0) > 0


def test_everything_of_the_spec_is_asked(tmp_path: Path) -> None:
    """The request says what the spec states, and nothing where it states nothing."""
    converser = Converser([(200, "", saying("fine"))])
    fields: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "max_tokens": 300,
        "guardrail": {"id": "abc123", "version": "2"},
        "parameters": {"topK": 5},
    }
    with converser.serving() as environment:
        Asking(tmp_path / "full", environment, single(**fields), count=1).run()
        Asking(tmp_path / "bare", environment, single(), count=1).run()

    full, bare = converser.asked
    assert full["inferenceConfig"] == {
        "maxTokens": 300,
        "temperature": 0.5,
        "topP": 0.9,
        "stopSequences": ["END"],
    }
    assert full["guardrailConfig"] == {
        "guardrailIdentifier": "abc123",
        "guardrailVersion": "2",
        "trace": "enabled",
    }
    assert full["additionalModelRequestFields"] == {"topK": 5}
    assert bare == {
        "messages": [{"role": "user", "content": [{"text": "Piece 0"}]}],
        "system": [{"text": "Answer."}],
        "inferenceConfig": {"maxTokens": 2048},
    }


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("guardrail_intervened", message("teachers/guardrail-intervened")),
        ("max_tokens", message("general/answer-is-cut-off-at-tokens", tokens=2048)),
        ("content_filtered", message("teachers/model-content-filter-stopped")),
    ],
)
def test_an_answer_that_was_stopped_is_not_taken(tmp_path: Path, ending: str, reason: str) -> None:
    """It is paid and kept with its reason, and another one is drawn."""
    trace = {"trace": {"guardrail": {"actionReason": "Guardrail blocked."}}}
    converser = Converser([(200, "", saying("No.", ending, **trace)), (200, "", saying("Yes."))])
    with converser.serving() as environment:
        asking = Asking(tmp_path, environment, single(), count=1)
        outcome = asking.run()

    (reject,) = asking.rejects()
    assert [sample["answer"] for sample in asking.samples()] == ["Yes."]
    assert (reject["by"], reject["reason"]) == ("teacher", reason)
    assert "Guardrail blocked." in reject["body"]
    assert outcome.usage.requests == 2


def test_throttling_slows_down_and_everything_is_answered(cloud: Cloud, asking: Asking) -> None:
    """Refused calls are asked again by the client alone: boto3 itself repeats nothing."""
    cloud.faults({"kind": "throttle", "operation": "Converse", "times": 5})

    asking.run()

    assert len(asking.samples()) == 20
    assert calls(cloud, "Converse") == 25


def test_an_expired_token_pauses_and_loses_nothing(cloud: Cloud, asking: Asking) -> None:
    """The run pauses; with fresh credentials it goes on where it was."""
    cloud.faults({"kind": "expired_token", "operation": "Converse", "times": 1000, "after": 5})
    with pytest.raises(Paused, match=matching("teachers/token-included-in-request-is-expired")):
        asking.run()
    answered = 20 - (asking.estimate().requests or 0)
    cloud.control("reset", {})

    asking.run()

    assert 5 <= answered < 20
    assert calls(cloud, "Converse") == 20 - answered


@pytest.mark.parametrize(
    ("status", "error", "message", "raised", "said"),
    [
        (429, "ThrottlingException", "Too many tokens per day, please wait.", Paused, "per day"),
        (400, "ServiceQuotaExceededException", "Quota used up.", Paused, "Quota used up"),
        (403, "AccessDeniedException", "Not allowed.", StepFailed, "Missing permission: bedrock:InvokeModel"),
        (
            404,
            "ResourceNotFoundException",
            "Model not found.",
            StepFailed,
            "Model not found",
        ),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            StepFailed,
            "identifier",
        ),
    ],
)
def test_what_no_other_question_would_fare_better_with_stops(
    tmp_path: Path, status: int, error: str, message: str, raised: type[Exception], said: str
) -> None:
    """A quota that is used up pauses; a missing right or a wrong model fails; neither is asked again."""
    converser = Converser([(status, error, {"message": message})])
    with converser.serving() as environment, pytest.raises(raised, match=said):
        Asking(tmp_path, environment, single(), count=1).run()

    assert len(converser.asked) == 1


def test_a_question_that_does_not_fit_is_left_out_alone(tmp_path: Path) -> None:
    """A question that the model refuses is not asked again, and the others are answered."""
    refusal = (400, "ValidationException", {"message": "Input is too long for requested model."})
    converser = Converser([refusal, (200, "", saying("fine"))])
    with converser.serving() as environment:
        asking = Asking(tmp_path, environment, single(), count=10, more={"shortfall": 0.1})
        outcome = asking.run()

    assert outcome.metrics["samples"] == 9
    assert len(converser.asked) == 10


def test_the_budget_holds(cloud: Cloud, asking: Asking) -> None:
    """The worst case of an answer must fit before it is asked."""
    asking.budget = BudgetLimits(usd=0.00051)

    with pytest.raises(BudgetExceeded, match="saved"):
        asking.run()

    assert 0 < calls(cloud, "Converse") < 20


def test_a_spec_says_what_is_wrong_with_it() -> None:
    """Models that do not fit, by field and with the remedy."""
    assert problems() == problems(model="us.anthropic.claude-sonnet-4-5-20250929-v1:0") == []
    assert problems(model="tiny-llama") == [message("teachers/tiny-llama-from-scratch")]
    assert problems(model="nova-canvas") == [message("teachers/amazon-nova-canvas-writes-no-text")]
    assert problems(max_tokens=20_000) == [
        message("teachers/amazon-nova-lite-writes-tokens", name="max_tokens", tokens="10,000")
    ]
    assert problems(region="eu-west-1") == [
        message(
            "teachers/which-is-not-called",
            model="nova-lite",
            name="us.amazon.nova-lite-v1:0",
            name2="eu-west-1",
        )
    ]
    assert problems(region="eu-west-1", model="eu.amazon.nova-lite-v1:0") == []
    with pytest.raises(ValueError, match=matching("general/did-you-mean", suggestion="nova-lite")):
        problems(model="nova-light")
