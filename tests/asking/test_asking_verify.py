"""Graders judge answers as they land: what is dropped, drawn anew, repaired, kept, and paid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from polytune.engine.answers import Ask
from polytune.engine.budget import BudgetLimits
from polytune.errors import BudgetExceeded, StepFailed
from polytune.spec.resolved import decisions
from polytune.steps._questions import GenerateSpec
from polytune.steps.generate import Generate
from polytune.strudel.composer import ComposerSpec
from tests.asking.asking_steps import Shop, openai
from tests.asking.asking_stub import Seen, Stub
from tests.messages import matching, message

checker = {"kind": "strudel", "engine": "checker"}
bad = 's("bd*4"'


def good(seen: Seen) -> str:
    """A pattern of the prompt's own, and of its own each time."""
    return f's("bd*{seen.number + 1}")'


def shop(folder: Path, stub: Stub, **more: Any) -> Shop:
    """Thirty samples, judged as they land."""
    return Shop(folder, openai(stub.url), count=30, more={"graders": [checker], **more})


def first_bad(seen: Seen) -> str:
    """Every third prompt's first answer is not a pattern."""
    return bad if seen.asked == 0 and int(seen.prompt.split()[1]) % 3 == 0 else good(seen)


def test_redraw_fills_every_place(tmp_path: Path) -> None:
    """A rejected answer is drawn anew under a further draw; the reject is kept with its reason."""
    with Stub(first_bad) as stub:
        wanted = shop(tmp_path, stub)
        outcome = wanted.run()
        asked = len(stub.seen)
        again = wanted.run()

    samples, rejects = wanted.samples(), wanted.rejects()
    assert len(samples) == 30
    assert all(sample["answer"].startswith('s("bd*') and sample["answer"] != bad for sample in samples)
    assert {sample["draw"] for sample in samples} == {0, 1_000_000}
    assert (asked, len(rejects), outcome.metrics) == (40, 10, {"samples": 30, "rejected": 10})
    assert {(reject["by"], reject["attempt"]) for reject in rejects} == {("strudel", 0)}
    assert all(
        reject["reason"] and bad in json.loads(reject["body"])["choices"][0]["message"]["content"]
        for reject in rejects
    )
    assert {reject["sample"] for reject in rejects} <= {sample["id"] for sample in samples}
    assert (len(stub.seen), again.usage.requests, again.usage.reused) == (40, 0, 40)


def test_repair_sends_the_error_back(tmp_path: Path) -> None:
    """The teacher sees its answer and why it was rejected; the repaired answer is the sample's."""

    def behave(seen: Seen) -> str:
        return good(seen) if len(seen.body["messages"]) > 1 or int(seen.prompt.split()[1]) % 3 else bad

    with Stub(behave) as stub:
        wanted = shop(tmp_path, stub, on_reject="repair")
        wanted.run()
        asked = len(stub.seen)
        wanted.run()

    repairs = [seen.body["messages"] for seen in stub.seen if len(seen.body["messages"]) > 1]
    assert (asked, len(stub.seen), len(repairs)) == (40, 40, 10)
    for user, assistant, error in repairs:
        assert (user["role"], assistant["role"], error["role"]) == ("user", "assistant", "user")
        assert assistant["content"] == bad
        assert error["content"] == wanted.rejects()[0]["reason"]
    assert len(wanted.samples()) == 30
    assert all(sample["prompt"].startswith("Piece") for sample in wanted.samples())


@pytest.mark.parametrize(
    ("rules", "asked_each"),
    [
        ({"on_reject": "repair", "max_repairs": 2}, 3),
        ({"on_reject": "redraw", "max_redraws": 1}, 2),
        ({"on_reject": "drop"}, 1),
    ],
)
def test_attempts_are_bounded(tmp_path: Path, rules: dict[str, Any], asked_each: int) -> None:
    """A sample that stays bad is tried so often and no more; missing samples are an error unless dropped."""

    def behave(seen: Seen) -> str:
        first = seen.body["messages"][0]["content"]
        return bad if first in ("Piece 0", "Piece 1") else good(seen)

    with Stub(behave) as stub:
        wanted = shop(tmp_path, stub, **rules)
        if rules["on_reject"] == "drop":
            assert wanted.run().metrics == {"samples": 28, "rejected": 2}
        else:
            with pytest.raises(
                StepFailed, match=matching("asking/samples-were-rejected", samples=30, number=2, missing=2)
            ):
                wanted.run()
            allowed = shop(tmp_path, stub, **rules, shortfall=0.1)
            assert allowed.run().metrics["samples"] == 28

    assert len(stub.seen) == 28 + 2 * asked_each


def test_an_answer_that_is_empty_or_cut_off_is_drawn_anew_without_graders(tmp_path: Path) -> None:
    """What is no usable answer is never a sample, whoever judges."""

    def behave(seen: Seen) -> str | None:
        if seen.asked or seen.number % 4:
            return None
        choice = {"finish_reason": "length", "message": {"content": "half an ans"}}
        return " " if seen.number % 8 else json.dumps({"choices": [choice]})

    with Stub(behave) as stub:
        wanted = Shop(tmp_path, openai(stub.url), count=20, concurrency=1)
        wanted.run()

    reasons = {reject["reason"] for reject in wanted.rejects()}
    assert reasons == {
        message("general/answer-is-empty"),
        message("general/answer-is-cut-off-at-tokens", tokens=2048),
    }
    assert len({sample["answer"] for sample in wanted.samples()}) == 20


def test_a_grader_that_passes_nothing_ends_early(tmp_path: Path) -> None:
    """When the first samples are rejected in every attempt, the rest are not paid for."""
    with Stub(lambda seen: bad) as stub:
        wanted = Shop(
            tmp_path,
            openai(stub.url),
            count=500,
            concurrency=4,
            more={"graders": [checker], "max_redraws": 1},
        )
        with pytest.raises(StepFailed, match=matching("asking/first-samples-were-all-rejected", samples=25)):
            wanted.run()

    assert len(stub.seen) < 150


def test_redraws_are_paid_from_the_same_budget(tmp_path: Path) -> None:
    """A budget of 35 requests ends 30 samples that need 40; with 40 it is done, nothing asked twice."""
    with Stub(first_bad) as stub:
        wanted = shop(tmp_path, stub)
        wanted.budget = BudgetLimits(requests=35)
        with pytest.raises(BudgetExceeded):
            wanted.run()
        asked = len(stub.seen)
        wanted.budget = BudgetLimits(requests=5)
        wanted.run()

    assert (asked, len(stub.seen)) == (35, 40)


def test_a_lost_memory_is_rebuilt_with_its_rejects(tmp_path: Path) -> None:
    """The files of an artifact hold every paid answer, rejected ones too."""
    with Stub(first_bad) as stub:
        wanted = shop(tmp_path, stub)
        wanted.run()
        files = {name: tmp_path / name for name in ("samples.jsonl", "rejects.jsonl")}
        rebuilt = list(Generate.remembered(files))
        other = shop(tmp_path / "other", stub)
        other.step()
        ledger = other.ledger()
        with ledger.transaction() as connection:
            connection.executemany(
                "INSERT INTO answers (request, draw, experiment, body, tokens, price_usd, stored_at)"
                " VALUES (?, ?, 'shop', ?, ?, ?, '')",
                [(a.ask.request, a.ask.draw, a.body, a.tokens, a.price_usd) for a in rebuilt],
            )
        ledger.close()
        other.run()

    assert len({stored.ask for stored in rebuilt}) == len(stub.seen) == 40
    assert [s["answer"] for s in other.samples()] == [s["answer"] for s in wanted.samples()]


# identities


def test_verification_is_decided_only_where_it_is_stated(tmp_path: Path) -> None:
    """Without graders nothing about verification is hashed, even if its defaults are written out."""
    plain = Shop(tmp_path, {"kind": "composer"}, count=3).step()
    stated = Shop(tmp_path, {"kind": "composer"}, count=3, more={"max_redraws": 3, "graders": []}).step()
    judged = Shop(tmp_path, {"kind": "composer"}, count=3, more={"graders": [checker]}).step()

    assert decisions(plain.spec).spec == decisions(stated.spec).spec
    assert plain.key_facts().facts == {}
    assert "judges" in judged.key_facts().facts


def test_two_cells_that_ask_the_same_get_an_answer_each(tmp_path: Path) -> None:
    """Draws are counted over what is sent, which need not name every axis of the matrix."""
    with Stub() as stub:
        wanted = Shop(tmp_path, openai(stub.url), 6, different=1, more={"matrix": {"unused": ("a", "b")}})
        wanted.run()

    samples = wanted.samples()
    assert len({(sample["request"], sample["draw"]) for sample in samples}) == 6
    assert len(stub.seen) == 6


def test_a_change_of_price_asks_nothing(tmp_path: Path) -> None:
    """A price changes no answer, so it is no part of a request's identity."""
    price = {"input_usd_per_million_tokens": 1.0, "output_usd_per_million_tokens": 2.0}
    with Stub() as stub:
        Shop(tmp_path, openai(stub.url, price=price), count=10).run()
        Shop(tmp_path, openai(stub.url), count=10).run()

    assert len(stub.seen) == 10


def test_graders_are_needed_to_reject() -> None:
    """`on_reject` without graders is a mistake in the file."""
    teacher = ComposerSpec(kind="composer")
    stated = {"prompts": "p.yaml", "teacher": teacher, "count": 1, "on_reject": "repair"}
    spec = GenerateSpec.model_validate(stated)

    assert [problem.field for problem in spec.problems()] == ["on_reject"]


def test_old_bodies_stay_readable(tmp_path: Path) -> None:
    """An answer that was stored as text and usage, before bodies were stored as they came, is still used."""
    with Stub() as stub:
        wanted = Shop(tmp_path, openai(stub.url), count=5)
        step = wanted.step()
        ledger = wanted.ledger()
        for question in step.questions:
            ask: Ask = question.ask
            body = msgspec.json.encode(
                {"text": f"old {question.request.prompt}", "usage": {"input_tokens": 3}, "price_usd": 0.1}
            )
            with ledger.transaction() as connection:
                connection.execute(
                    "INSERT INTO answers (request, draw, experiment, body, tokens, price_usd, stored_at)"
                    " VALUES (?, ?, 'shop', ?, 3, 0.1, '')",
                    (ask.request, ask.draw, body),
                )
        ledger.close()
        wanted.run()

    assert len(stub.seen) == 0
    assert {sample["answer"] for sample in wanted.samples()} == {f"old Piece {n}" for n in range(5)}
    assert {sample["price_usd"] for sample in wanted.samples()} == {0.1}
