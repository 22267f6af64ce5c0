"""Teachers over HTTP against a scripted server: what is sent, what is read, what each failure means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from polytune.asking.failures import Failure, FailureKind
from polytune.asking.limits import RateLimits
from polytune.asking.reply import Reply
from polytune.errors import DataError
from polytune.settings import Settings
from polytune.spec.resolved import spec_json
from polytune.teachers.interface import FREE, TEACHERS, Answer, Repair, Request, Teacher, TokenUsage
from tests.asking.asking_stub import Fault, Seen, Stub
from tests.messages import matching, message

request = Request(system="Be brief.", prompt="Say A", variables={})
repaired = Request(
    system="",
    prompt="Say A",
    variables={},
    repairs=(Repair(answer="B", error="that is no A"),),
)
price = {"input_usd_per_million_tokens": 2.0, "output_usd_per_million_tokens": 10.0}
kinds = ("openai_compatible", "anthropic")


def made(kind: str, url: str, environment: Mapping[str, str] | None = None, **fields: Any) -> Teacher:
    """A teacher that asks `url`."""
    member = TEACHERS.load(kind)
    spec = member.Spec.model_validate({"kind": kind, "model": "m-1", "url": url, **fields})
    return member(spec, {}, Settings(environment=environment or {}))


def asked(teacher: Teacher, question: Request = request, draw: int = 0) -> Reply:
    """One reply."""

    async def go() -> Reply:
        async with teacher:
            return await teacher.reply(question, draw)

    return asyncio.run(go())


@pytest.mark.parametrize("kind", kinds)
def test_an_answer_has_text_usage_and_price(kind: str) -> None:
    """The reply is the body as it came; parsed, it holds what the server reported and what that costs."""
    with Stub() as stub:
        teacher = made(kind, stub.url, price=price)
        reply = asked(teacher)

    answer = teacher.parse(reply.body, request)
    assert (answer.text, answer.usage) == (
        "answer to Say A",
        TokenUsage(input_tokens=50, output_tokens=20, estimated=False),
    )
    assert reply.price_usd == answer.price_usd == pytest.approx((50 * 2 + 20 * 10) / 1e6)
    assert json.loads(reply.body)["id"] == "stub"
    assert teacher.flaw(reply.body, request, ()) == ""


def test_openai_compatible_sends_what_is_stated() -> None:
    """Model, limit, sampling, a seed for each draw, extra parameters, key and turns are in the request."""
    fields = {
        "temperature": 0.5,
        "seed": 40,
        "max_tokens": 9,
        "token_limit_key": "max_completion_tokens",
        "parameters": {"top_k": 3},
        "api_key": "${secret:MY_KEY}",
    }
    with Stub() as stub:
        asked(made("openai_compatible", stub.url, {"MY_KEY": "sk-1"}, **fields), draw=2)
        asked(made("openai_compatible", stub.url), repaired)

    first, second = stub.seen
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say A"}
    assert first.body == {
        "model": "m-1",
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "top_k": 3,
        "seed": 42,
        "messages": [system, user],
    }
    assert first.headers["Authorization"] == "Bearer sk-1"
    assert first.headers["User-Agent"].startswith("polytune/")
    assert "Authorization" not in second.headers
    assert second.body["messages"] == [
        user,
        {"role": "assistant", "content": "B"},
        {"role": "user", "content": "that is no A"},
    ]


def test_anthropic_sends_what_is_stated() -> None:
    """System prompt, key and version of the API go where that API wants them."""
    with Stub() as stub:
        url = stub.url.removesuffix("/v1")
        asked(made("anthropic", url, {"ANTHROPIC_API_KEY": "k-1"}, temperature=0.3))
        asked(made("anthropic", url), repaired)

    first, second = stub.seen
    assert first.body == {
        "model": "m-1",
        "max_tokens": 2048,
        "temperature": 0.3,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Say A"}],
    }
    assert (first.headers["x-api-key"], first.headers["anthropic-version"]) == ("k-1", "2023-06-01")
    assert [message["role"] for message in second.body["messages"]] == ["user", "assistant", "user"]
    assert "system" not in second.body


@pytest.mark.parametrize(
    ("kind", "fault", "expected"),
    [
        ("openai_compatible", Fault(429, '{"error": {"code": "insufficient_quota"}}'), FailureKind.QUOTA),
        (
            "openai_compatible",
            Fault(429, '{"error": {"code": "rate_limit_exceeded"}}'),
            FailureKind.OVERLOADED,
        ),
        ("openai_compatible", Fault(404, '{"error": {"code": "model_not_found"}}'), FailureKind.MISTAKEN),
        (
            "openai_compatible",
            Fault(400, '{"error": {"code": "context_length_exceeded"}}'),
            FailureKind.UNFIT,
        ),
        ("openai_compatible", Fault(401), FailureKind.DENIED),
        ("openai_compatible", Fault(503), FailureKind.OVERLOADED),
        ("openai_compatible", Fault(500), FailureKind.BROKEN),
        ("openai_compatible", Fault(broken=True), FailureKind.LOST),
        ("anthropic", Fault(529, '{"error": {"type": "overloaded_error"}}'), FailureKind.OVERLOADED),
        ("anthropic", Fault(500, '{"error": {"type": "overloaded_error"}}'), FailureKind.OVERLOADED),
        (
            "anthropic",
            Fault(400, '{"error": {"message": "Your credit balance is too low"}}'),
            FailureKind.QUOTA,
        ),
        ("anthropic", Fault(400, '{"error": {"type": "invalid_request_error"}}'), FailureKind.UNFIT),
        ("anthropic", Fault(413, '{"error": {"type": "request_too_large"}}'), FailureKind.UNFIT),
        ("anthropic", Fault(404, '{"error": {"type": "not_found_error"}}'), FailureKind.MISTAKEN),
        ("anthropic", Fault(403), FailureKind.DENIED),
    ],
)
def test_failures_are_told_apart(kind: str, fault: Fault, expected: FailureKind) -> None:
    """Each refusal is the kind that its body and status say."""
    with Stub(lambda seen: fault) as stub, pytest.raises(Failure, match="127") as caught:
        asked(made(kind, stub.url))

    assert caught.value.kind is expected


def test_an_error_with_status_200_is_a_failure() -> None:
    """Gateways that answer 200 with an error are not taken at their status."""
    body = '{"error": {"code": 429, "message": "upstream is busy"}}'
    with Stub(lambda seen: body) as stub, pytest.raises(Failure, match="upstream is busy") as caught:
        asked(made("openai_compatible", stub.url))

    assert caught.value.kind is FailureKind.OVERLOADED


def test_a_slow_answer_is_given_up() -> None:
    """One attempt has a time of its own."""
    environment = {"POLYTUNE_ATTEMPT_SECONDS": "0.1"}
    with (
        Stub(seconds=1.0) as stub,
        pytest.raises(Failure, match=matching("teachers/no-answer-within-s", seconds="0.1")) as caught,
    ):
        asked(made("openai_compatible", stub.url, environment))

    assert caught.value.kind is FailureKind.LOST


def test_nobody_listening_is_a_failure_of_its_own() -> None:
    """Without a connection nothing can have been billed."""
    with Stub() as stub:
        url = stub.url

    with pytest.raises(Failure, match="no connection") as caught:
        asked(made("openai_compatible", url))
    assert not caught.value.maybe_billed


@pytest.mark.parametrize(
    ("kind", "body", "flaw"),
    [
        ("openai_compatible", {"choices": []}, message("teachers/without-choice")),
        ("openai_compatible", {"choices": [{"message": {"content": None}}]}, "empty"),
        ("openai_compatible", {"choices": [{"message": {"content": None, "refusal": "no"}}]}, "refused: no"),
        (
            "openai_compatible",
            {"choices": [{"finish_reason": "length", "message": {"content": "x"}}]},
            "cut off",
        ),
        ("openai_compatible", {"hello": 1}, message("teachers/not-what-this-api-answers")),
        ("anthropic", {"content": [], "usage": {}}, "empty"),
        (
            "anthropic",
            {"content": [{"type": "text", "text": "x"}], "usage": {}, "stop_reason": "max_tokens"},
            "cut off",
        ),
        ("anthropic", {"content": [], "usage": {}, "stop_reason": "refusal"}, "refused"),
        ("anthropic", {"text": "x", "tokens": 3}, message("teachers/not-what-this-api-answers")),
    ],
)
def test_what_is_no_answer_is_said(kind: str, body: dict[str, Any], flaw: str) -> None:
    """A body with status 200 may still hold nothing to use."""
    teacher = made(kind, "http://127.0.0.1:1/v1")

    assert flaw in teacher.flaw(msgspec.json.encode(body), request, ())


@pytest.mark.parametrize("kind", kinds)
def test_plain_bodies_are_read(kind: str) -> None:
    """A body that was rebuilt from a samples file is an answer too; anything else is an error."""
    teacher = made(kind, "http://127.0.0.1:1/v1")
    answer = Answer(text="x", usage=TokenUsage(input_tokens=3), price_usd=0.5)

    assert teacher.parse(msgspec.json.encode(answer), request) == answer
    assert teacher.flaw(msgspec.json.encode(answer), request, ()) == ""
    with pytest.raises(DataError, match=matching("general/cannot-be-read")):
        teacher.parse(b"<html>", request)


@pytest.mark.parametrize("kind", kinds)
def test_the_worst_case_covers_any_answer(kind: str) -> None:
    """What a budget sets aside is more than the server can bill for the request."""
    teacher = made(kind, "http://127.0.0.1:1/v1", price=price, max_tokens=100)

    most = teacher.at_most(request)

    assert most.tokens >= len("Be brief.Say A") + 100
    assert most.usd == pytest.approx(((most.tokens - 100) * 2 + 100 * 10) / 1e6)


@pytest.mark.parametrize(
    ("kind", "headers", "limits"),
    [
        (
            "openai_compatible",
            {"x-ratelimit-limit-requests": "60", "x-ratelimit-limit-tokens": "1000"},
            RateLimits(60, 1000),
        ),
        ("openai_compatible", {"x-ratelimit-limit-requests": "many"}, RateLimits(None, None)),
        ("openai_compatible", {}, None),
        (
            "anthropic",
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-input-tokens-limit": "3000",
                "anthropic-ratelimit-output-tokens-limit": "800",
            },
            RateLimits(50, 3800),
        ),
    ],
)
def test_limits_are_read_from_headers(kind: str, headers: dict[str, str], limits: RateLimits | None) -> None:
    """What the server allows is learnt from real answers."""
    with Stub(headers=headers) as stub:
        assert asked(made(kind, stub.url)).limits == limits


def test_prices_are_known_where_they_are_stated_or_nothing_is_charged() -> None:
    """A server on this machine is free, another one has no price until it is stated."""
    far = made("openai_compatible", "https://api.example.com/v1")

    assert made("openai_compatible", "http://localhost:11434/v1").price() == FREE
    assert far.price().input_usd_per_million_tokens is None
    assert "teacher.price" in far.price().source
    assert far.at_most(request).usd is None
    assert (
        made("openai_compatible", "https://api.example.com/v1", price=price).at_most(request).usd is not None
    )


def test_a_price_that_the_server_reports_counts() -> None:
    """OpenRouter says what an answer cost."""

    def behave(seen: Seen) -> str:
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "cost": 0.0125}
        return json.dumps({"choices": [{"message": {"content": "x"}}], "usage": usage})

    with Stub(behave) as stub:
        assert asked(made("openai_compatible", stub.url, price=price)).price_usd == 0.0125


def test_a_key_is_asked_for_where_one_is_needed() -> None:
    """Without its key in the environment a teacher says so before anything is asked."""
    far = "https://api.example.com/v1"
    key = "${secret:SOME_KEY}"

    assert "Set SOME_KEY" in str(made("openai_compatible", far, api_key=key).missing())
    assert made("openai_compatible", far, {"SOME_KEY": "x"}, api_key=key).missing() is None
    assert made("openai_compatible", "http://127.0.0.1:1/v1", api_key=key).missing() is None
    assert "Set ANTHROPIC_API_KEY" in str(made("anthropic", "https://api.anthropic.com").missing())


@pytest.mark.parametrize("kind", kinds)
def test_parameters_do_not_hide_fields(kind: str) -> None:
    """What has a field of its own is not taken among the parameters."""
    spec = TEACHERS.load(kind).Spec.model_validate({"kind": kind, "model": "m", "parameters": {"model": "x"}})

    assert [problem.field for problem in spec.problems()] == ["parameters.model"]


def test_a_wrong_key_is_named() -> None:
    """A refused key says where it was found."""
    fields = {"api_key": "${secret:SOME_KEY}"}
    with (
        Stub(lambda seen: Fault(401)) as stub,
        pytest.raises(Failure, match=matching("teachers/is-the-key-right", name="SOME_KEY")),
    ):
        asked(made("openai_compatible", stub.url, {"SOME_KEY": "x"}, **fields))


def test_specs_are_stable() -> None:
    """Golden: the fields that make a request's identity."""
    polychat = TEACHERS.load("polychat").Spec.model_validate({"kind": "polychat"})

    assert spec_json(polychat) == {
        "kind": "polychat",
        "model": "claude-4-5-sonnet",
        "url": "https://api.polychat.app",
        "api_key": "${secret:POLYCHAT_API_KEY}",
    }
