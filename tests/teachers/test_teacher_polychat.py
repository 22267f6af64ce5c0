"""The Polychat teacher against the stand-in of that API: both eras, every refusal, every odd answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from polytune.emulator.polychat.server import Conduct, PolychatFault, PolychatStandIn
from polytune.errors import Paused, PolytuneError, StepFailed
from polytune.settings import Settings
from polytune.teachers.interface import Repair, Request
from polytune.teachers.polychat import Polychat, PolychatSpec
from tests.asking.asking_steps import Shop
from tests.messages import matching, message

Era = Literal["2025", "2026"]
eras: tuple[Era, ...] = ("2025", "2026")
key = "ak_0123456789"


def shop(folder: Path, server: PolychatStandIn, count: int = 12, **more: object) -> Shop:
    """A step that asks the stand-in."""
    environment = {"POLYCHAT_API_KEY": key, "POLYTUNE_POLYCHAT_URL": server.address}
    return Shop(folder, {"kind": "polychat"}, count=count, environment=environment, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("era", eras)
def test_both_eras_answer(tmp_path: Path, era: Era) -> None:
    """A wrapped body and a bare one are the same answer; usage is estimated, and so is the price."""
    with PolychatStandIn(Conduct(era=era, api_keys=(key,))) as server:
        wanted = shop(tmp_path, server)
        outcome = wanted.run()

    samples = wanted.samples()
    assert len({sample["answer"] for sample in samples}) == 12
    assert all(sample["usage"]["estimated"] and sample["price_usd"] > 0.01 for sample in samples)
    assert {sample["teacher"]["label"] for sample in samples} == {"Polychat"}
    assert (outcome.usage.requests, server.state().answers) == (12, 12)


def test_the_request_is_what_the_schema_takes(tmp_path: Path) -> None:
    """What the schema has goes along; a style or tempo that it lacks is left to the prompt."""
    matrix = {"style": ["techno", "lofi"], "complexity": ["simple"], "tempo": [120, 300]}
    with PolychatStandIn() as server:
        wanted = shop(tmp_path, server, count=4, more={"matrix": matrix})
        wanted.run()
        asked = list(server.state().asked)

    assert len(asked) == 4
    assert sum('"style":"techno"' in body for body in asked) == 2
    assert not any("lofi" in body for body in asked)
    assert sum('"tempo":120' in body for body in asked) == 2
    assert not any('"tempo":300' in body for body in asked)
    assert all('"complexity":"simple"' in body for body in asked)
    assert all('"model":"claude-4-5-sonnet"' in body and '"cache_ttl_seconds":0' in body for body in asked)


@pytest.mark.parametrize("kind", ["fence", "typescript_fence", "jsx_fence", "indented_fence", "prose"])
def test_code_is_found_in_what_the_model_said(tmp_path: Path, kind: str) -> None:
    """Fences, what the server leaves of them, and prose around the code are not part of the answer."""
    with PolychatStandIn() as server:
        plain = shop(tmp_path / "plain", server, count=6, concurrency=1)
        plain.run()
    with PolychatStandIn() as server:
        server.fail([PolychatFault(kind=kind, times=None)])  # type: ignore[arg-type]
        odd = shop(tmp_path / "odd", server, count=6, concurrency=1)
        odd.run()

    assert [s["answer"] for s in odd.samples()] == [s["answer"] for s in plain.samples()]


@pytest.mark.parametrize(
    ("kind", "reason"), [("empty", "is empty"), ("json_blob", message("teachers/contains-no-text"))]
)
def test_what_is_no_code_is_drawn_anew(tmp_path: Path, kind: str, reason: str) -> None:
    """An empty answer and the provider's whole reply as JSON are paid, kept as rejects, and replaced."""
    with PolychatStandIn() as server:
        server.fail([PolychatFault(kind=kind, times=3)])  # type: ignore[arg-type]
        wanted = shop(tmp_path, server)
        wanted.run()
        paid = server.state().answers
        wanted.run()
        assert server.state().answers == paid == 15

    assert all(reason in reject["reason"] for reject in wanted.rejects())
    assert len(wanted.rejects()) == 3
    assert all("(" in sample["answer"] for sample in wanted.samples())


def test_text_inside_a_whole_reply_is_used() -> None:
    """A provider's reply that does hold the text is no loss."""
    teacher = Polychat(PolychatSpec(kind="polychat"), {}, Settings())
    request = Request(system="", prompt="p", variables={})
    blob = '{"choices": [{"message": {"content": "```js\\ns(\\"bd\\")\\n```"}}]}'
    body = json.dumps({"code": blob}).encode()

    assert teacher.flaw(body, request, ()) == ""
    assert teacher.parse(body, request).text == 's("bd")'


def test_a_gateway_that_repeats_itself_is_noticed(tmp_path: Path) -> None:
    """Later draws that come from a cache are drawn anew with another prompt, also after growth."""
    with PolychatStandIn(Conduct(gateway_cache=True)) as server:
        shop(tmp_path, server, count=5, different=5).run()
        wanted = shop(tmp_path, server, count=20, different=5)
        wanted.run()
        requests = server.state().requests
        again = wanted.run()

    assert len({sample["answer"] for sample in wanted.samples()}) == 20
    assert {reject["reason"] for reject in wanted.rejects()} == {
        message("teachers/answer-repeats-earlier-draw")
    }
    assert (again.usage.requests, server.state().requests) == (0, requests)
    assert requests == 5 + 15 + 15
    assert {sample["prompt"] for sample in wanted.samples()} == {f"Piece {n}" for n in range(5)}


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (
            PolychatFault(kind="usage_limit", times=None),
            Paused,
            matching("teachers/usage-limit-of-your-plan-answers"),
        ),
        (
            PolychatFault(kind="unauthorized", times=None),
            StepFailed,
            matching("teachers/status-and-is-the-key-right", number=401, name="POLYCHAT_API_KEY"),
        ),
        (PolychatFault(kind="forbidden", times=None), StepFailed, "403"),
        (
            PolychatFault(kind="configuration", times=None),
            StepFailed,
            matching("general/service-configuration-error"),
        ),
        (PolychatFault(kind="too_large", times=None), StepFailed, "none was answered.*413"),
    ],
)
def test_what_does_not_pass_stops(
    tmp_path: Path, fault: PolychatFault, error: type[PolytuneError], message: str
) -> None:
    """A quota without a pause, a wrong key, and requests that are never taken end the step at once."""
    with PolychatStandIn() as server:
        server.fail([fault])
        with pytest.raises(error, match=message):
            shop(tmp_path, server, count=200).run()
        assert server.state().requests <= 40


@pytest.mark.parametrize("era", eras)
def test_what_passes_is_waited_out(tmp_path: Path, era: Era) -> None:
    """Rate limits with a pause (in the body or in a header), 502, 500 and broken lines leave no gap."""
    with PolychatStandIn(Conduct(era=era, retry_after_seconds=1)) as server:
        faults: tuple[str, ...] = ("rate_limit", "unavailable", "unexpected", "reset", "dropped", "cut")
        server.fail([PolychatFault(kind=kind, times=2) for kind in faults])  # type: ignore[arg-type]
        wanted = shop(tmp_path, server, count=30)
        wanted.run()

    assert len({sample["answer"] for sample in wanted.samples()}) == 30


def test_a_model_key_that_never_existed_is_one_clear_error(tmp_path: Path) -> None:
    """The default of the original toolkit was a provider's id: no key, and no reason to ask 300 times."""
    with PolychatStandIn() as server:
        wanted = shop(tmp_path, server, count=300)
        wanted.teacher = {"kind": "polychat", "model": "claude-sonnet-4-20250514"}
        with pytest.raises(
            StepFailed, match=matching("teachers/is-no-model-key-there", name="claude-sonnet-4-20250514")
        ):
            wanted.run()
        assert server.state().requests <= 16


def test_the_address_for_rehearsals_changes_no_identity(tmp_path: Path) -> None:
    """Answers got from a stand-in are those of the experiment: that address is not hashed."""
    with PolychatStandIn() as server:
        shop(tmp_path, server).run()
        asked = server.state().requests
    with PolychatStandIn() as other:
        again = shop(tmp_path, other).run()
        assert other.state().requests == 0

    assert (asked, again.usage.reused) == (12, 12)


def test_repairs_and_redraws_are_said_in_the_prompt() -> None:
    """The API takes one prompt, so what was wrong goes into it; each redraw is another prompt."""
    teacher = Polychat(PolychatSpec(kind="polychat"), {}, Settings())
    plain = Request(system="", prompt="A loop", variables={})
    repair = Request(
        system="", prompt="A loop", variables={}, repairs=(Repair(answer='s("bd"', error="unclosed"),)
    )

    bodies = {str(teacher.body(plain, draw)) for draw in (0, 1_000_000, 2_000_000, 1_000_001, 2_000_001)}

    assert teacher.body(plain, 0) == teacher.body(plain, 3)
    assert len(bodies) == 5
    assert "unclosed" in teacher.body(repair, 0)["prompt"]


def test_what_an_answer_costs_at_most_covers_the_server_s_own_prompt() -> None:
    """The server adds its prompt and allows 8,192 tokens of answer: both are set aside."""
    teacher = Polychat(PolychatSpec(kind="polychat"), {}, Settings())
    request = Request(system="x" * 9000, prompt="A loop", variables={})

    most = teacher.at_most(request)

    assert 8192 + 14_838 < most.tokens < 8192 + 14_838 + 2000
    assert most.usd is not None
    assert 0.12 < most.usd < 0.2
