"""Asking a real server through a whole generate step: what is paid, what is kept, what is said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polytune.asking.client import Client, Job, Reception, Respondent
from polytune.asking.endpoint import endpoint_called
from polytune.asking.failures import Failure, FailureKind
from polytune.asking.gauge import Gauge
from polytune.asking.reply import Reply, Tokens
from polytune.asking.retries import RetryLimits
from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.budget import Budget, BudgetLimits, Cost
from polytune.engine.ledger import Ledger
from polytune.errors import BudgetExceeded, Paused, StepFailed
from tests.asking.asking_steps import Shop, openai
from tests.asking.asking_stub import Fault, Seen, Stub, answer_to, read_tokens, written_tokens
from tests.messages import matching, message

price = {"input_usd_per_million_tokens": 1000.0, "output_usd_per_million_tokens": 10_000.0}
paid_usd = (read_tokens * 1000 + written_tokens * 10_000) / 1e6
"""Of one answer of the stub: $0.25."""
impatient = {"POLYTUNE_PATIENCE_SECONDS": "0.5"}


def texts(shop: Shop) -> set[str]:
    """The answers written."""
    return {sample["answer"] for sample in shop.samples()}


def test_every_sample_is_asked_once_and_written_in_plan_order(tmp_path: Path) -> None:
    """All answers are there, each asked once; the rerun asks nothing and writes the same bytes."""
    with Stub() as stub:
        shop = Shop(tmp_path, openai(stub.url, price=price), count=50)
        first = shop.run()
        written = (tmp_path / "samples.jsonl").read_bytes()
        second = shop.run()

    assert set(stub.asked.values()) == {1}
    assert (first.usage.requests, first.usage.reused, second.usage.requests, second.usage.reused) == (
        50,
        0,
        0,
        50,
    )
    assert first.usage.usd == pytest.approx(50 * paid_usd)
    assert shop.spent().usd == pytest.approx(50 * paid_usd)
    assert written == (tmp_path / "samples.jsonl").read_bytes()
    assert all(sample["answer"] == answer_to(sample["prompt"]) for sample in shop.samples())
    assert not (tmp_path / "rejects.jsonl").exists()


def test_before_the_first_request_it_says_what_it_will_do(tmp_path: Path) -> None:
    """After 20 answers, growing to 50 says what is reused, what is paid, and the most that it can cost."""
    with Stub() as stub:
        Shop(tmp_path, openai(stub.url, price=price), count=20, different=50).run()
        grown = Shop(tmp_path, openai(stub.url, price=price, max_tokens=100), count=50)
        grown.run()
        same = Shop(tmp_path, openai(stub.url, price=price), count=50)
        same.run()

    assert grown.told[0].note.startswith("reuses 0, pays 50, at most $")
    most = float(grown.told[0].note.rpartition("$")[2])
    assert 50 * 100 * 10_000 / 1e6 < most < 50 * (100 * 10_000 + 200 * 1000) / 1e6
    assert same.told[0].note.startswith("reuses 20, pays 30, at most $")


def test_growing_pays_only_what_is_new(tmp_path: Path) -> None:
    """500 samples grown to 600 pay 100."""
    with Stub() as stub:
        Shop(tmp_path, openai(stub.url), count=500, different=600).run()
        asked = len(stub.seen)
        grown = Shop(tmp_path, openai(stub.url), count=600)
        grown.run()

    assert (asked, len(stub.seen) - asked, len(texts(grown))) == (500, 100, 600)


def test_sporadic_faults_leave_no_gap(tmp_path: Path) -> None:
    """Refusals, errors and broken connections are asked again until every sample is there."""

    def behave(seen: Seen) -> Fault | None:
        if seen.asked or seen.number % 5:
            return None
        faults = (
            Fault(429, headers={"Retry-After": "0"}),
            Fault(500),
            Fault(broken=True),
            Fault(529),
            Fault(503, headers={"Retry-After": "0"}),
        )
        return faults[seen.number // 5 % len(faults)]

    with Stub(behave) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=100, concurrency=8)
        outcome = shop.run()

    assert outcome.usage.requests == 100
    assert set(stub.answered.values()) == {1}
    assert len(texts(shop)) == 100
    assert "failed attempts" in shop.told[-1].note


def test_retries_wait_out_the_pause_while_fresh_questions_go_on(tmp_path: Path) -> None:
    """A question told to come back in 0.4 s keeps no other waiting, and comes no sooner."""

    def behave(seen: Seen) -> Fault | None:
        return Fault(429, headers={"Retry-After": "0.4"}) if seen.number == 0 else None

    with Stub(behave, seconds=0.005) as stub:
        Shop(tmp_path, openai(stub.url), count=60, concurrency=1).run()

    refused, *_, again = [seen for seen in stub.seen if seen.prompt == stub.seen[0].prompt]
    between = [seen for seen in stub.seen if refused.at < seen.at < again.at]
    assert again.at - refused.at >= 0.4
    assert len(between) >= 10


def test_a_retry_after_as_a_date_is_kept_to(tmp_path: Path) -> None:
    """An HTTP date counts like seconds."""

    def behave(seen: Seen) -> Fault | None:
        soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
        return Fault(503, headers={"Retry-After": soon}) if seen.number == 0 else None

    with Stub(behave) as stub:
        Shop(tmp_path, openai(stub.url), count=1).run()

    assert 0.9 <= stub.seen[1].at - stub.seen[0].at <= 3


def test_memory_holds_an_answer_before_it_counts(tmp_path: Path) -> None:
    """When a question is refused for good, what was answered before is in memory and is not asked again."""

    def behave(seen: Seen) -> Fault | None:
        return Fault(401) if seen.number >= 10 else None

    with Stub(behave) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=30, concurrency=1)
        with pytest.raises(StepFailed, match="answered 401"):
            shop.run()
        kept = shop.spent().requests
        stub.behave = lambda seen: None
        shop.run()

    assert kept == 10
    assert set(stub.answered.values()) == {1}


# traps


def test_a_dead_endpoint_pauses_the_run_and_says_so(tmp_path: Path) -> None:
    """With nobody listening the step stops with what to do; it writes nothing and reports the pause."""
    with Stub() as stub:
        url = stub.url
    shop = Shop(tmp_path, openai(url), count=40, environment=impatient)

    with pytest.raises(Paused, match=matching("asking/has-not-answered-for-no-connection", answers=0)):
        shop.run()

    assert not (tmp_path / "samples.jsonl").exists()
    assert any(message("asking/is-down") in progress.note for progress in shop.told)


def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    """An endpoint that goes away and comes back loses nothing, and nothing is asked twice."""

    async def go() -> None:
        running = asyncio.create_task(shop.running())
        while len(stub.seen) < 50:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(stub.stop)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(stub.start)
        await running

    with Stub(seconds=0.01) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=300, concurrency=8)
        asyncio.run(go())

    assert len(texts(shop)) == 300
    assert sum(count > 1 for count in stub.answered.values()) <= 8


def test_endless_refusals_end(tmp_path: Path) -> None:
    """An endpoint that refuses for ever is given up after its time; a pause beyond it ends at once."""
    with Stub(lambda seen: Fault(429, headers={"Retry-After": "0.1"})) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=40, environment=impatient)
        with pytest.raises(Paused, match=matching("asking/has-not-answered-for-s", number=429)):
            shop.run()
        asked = len(stub.seen)
        stub.behave = lambda seen: Fault(429, headers={"Retry-After": "3600"})
        with pytest.raises(Paused, match=matching("asking/asks-to-wait", seconds="3,600")):
            shop.run()

    assert asked < 400


def test_a_used_up_quota_ends_at_once(tmp_path: Path) -> None:
    """A 429 that says that no quota is left is not asked again."""
    quota = Fault(429, '{"error": {"code": "insufficient_quota", "message": "check your plan"}}')
    with Stub(lambda seen: quota if seen.number >= 5 else None) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=40, concurrency=1)
        with pytest.raises(
            Paused,
            match=matching("asking/answers-of-this-run-are-safe", name="insufficient_quota", answers=5),
        ):
            shop.run()

    assert len(stub.seen) == 6


def test_a_model_that_never_existed_ends_at_once(tmp_path: Path) -> None:
    """A wrong model is one error, not one for each sample."""
    with Stub(lambda seen: Fault(404, '{"error": {"code": "model_not_found"}}')) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=400, concurrency=4)
        with pytest.raises(
            StepFailed, match=matching("asking/models-for-models-there", name="model_not_found")
        ):
            shop.run()

    assert len(stub.seen) <= 4


def test_questions_that_are_all_refused_end_soon(tmp_path: Path) -> None:
    """When the first questions are each refused as unfit, the rest are not asked."""
    with Stub(lambda seen: Fault(400, '{"error": {"message": "bad field"}}')) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=400, concurrency=4)
        with pytest.raises(
            StepFailed, match=matching("asking/questions-were-asked-and-none-was", questions=5)
        ):
            shop.run()

    assert len(stub.seen) < 20


def test_a_shortfall_is_an_error(tmp_path: Path) -> None:
    """One sample that cannot be answered fails the step, by name; all others are kept."""

    def behave(seen: Seen) -> Fault | None:
        return Fault(400, '{"error": {"message": "will not"}}') if seen.prompt == "Piece 7" else None

    with Stub(behave) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=30)
        with pytest.raises(
            StepFailed, match=matching("asking/samples-were-never-answered", samples=30, number=1, missing=1)
        ):
            shop.run()
        assert not (tmp_path / "samples.jsonl").exists()
        allowed = Shop(tmp_path, openai(stub.url), count=30, more={"shortfall": 0.1})
        outcome = allowed.run()

    assert outcome.metrics["samples"] == 29
    assert stub.asked["Piece 8"] == 1


def test_a_question_given_up_is_asked_anew(tmp_path: Path) -> None:
    """A sample whose question fails for long is refilled, a stated number of times."""

    def behave(seen: Seen) -> Fault | None:
        return Fault(broken=True) if seen.prompt == "Piece 3" and seen.asked < 4 else None

    with Stub(behave) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=12, concurrency=12)
        shop.run()

    assert stub.asked["Piece 3"] == 5
    assert len(texts(shop)) == 12


def test_changed_prompts_are_asked_and_old_answers_stay(tmp_path: Path) -> None:
    """After a change of the system prompt everything is asked; back again, nothing is."""
    with Stub() as stub:
        for system, asked in (("One.", 20), ("Two.", 40), ("One.", 40)):
            Shop(tmp_path, openai(stub.url), count=20, system=system).run()
            assert len(stub.seen) == asked


def test_a_resumed_run_has_the_same_samples_as_one_that_never_stopped(tmp_path: Path) -> None:
    """However a run was cut, every cell has its share in the end, and the bytes are the same."""
    matrix = {"style": ["a", "b", "c", "d", "e", "f"], "level": [1, 2, 3]}
    with Stub() as stub:
        cut = Shop(tmp_path / "cut", openai(stub.url), count=90, more={"matrix": matrix}, concurrency=4)
        for requests in (7, 20, 31):
            cut.budget = BudgetLimits(requests=requests)
            with pytest.raises(BudgetExceeded):
                cut.run()
        cut.budget = BudgetLimits()
        cut.run()
        whole = Shop(tmp_path / "whole", openai(stub.url), count=90, more={"matrix": matrix})
        whole.run()

    cells = [tuple(sample["cell"].values()) for sample in cut.samples()]
    assert {cells.count(cell) for cell in cells} == {5}
    assert (tmp_path / "cut" / "samples.jsonl").read_bytes() == (
        tmp_path / "whole" / "samples.jsonl"
    ).read_bytes()


# budgets


@pytest.mark.parametrize(
    ("budget", "answers"),
    [
        (BudgetLimits(requests=40), 40),
        (BudgetLimits(usd=40 * paid_usd), None),
        (BudgetLimits(tokens=40 * (read_tokens + written_tokens)), None),
    ],
)
def test_sixty_four_in_flight_never_overshoot(
    tmp_path: Path, budget: BudgetLimits, answers: int | None
) -> None:
    """Whatever is limited, what the server has billed is within the budget; a larger one goes on."""
    with Stub(seconds=0.02) as stub:
        shop = Shop(
            tmp_path, openai(stub.url, price=price, max_tokens=30), count=200, concurrency=64, budget=budget
        )
        with pytest.raises(BudgetExceeded, match=matching("asking/raise-budget-and-run-again")):
            shop.run()
        billed, spent = sum(stub.answered.values()), shop.spent()
        shop.budget = BudgetLimits()
        shop.run()

    assert spent.requests == billed
    assert answers is None or billed == answers
    assert 20 <= billed <= 40
    assert set(stub.answered.values()) == {1}


def test_an_answer_that_may_have_been_billed_counts(tmp_path: Path) -> None:
    """Connections broken off after the question was sent use up the budget: the server may have worked."""
    with Stub(lambda seen: Fault(broken=True)) as stub:
        shop = Shop(tmp_path, openai(stub.url, price=price), count=50, budget=BudgetLimits(requests=3))
        with pytest.raises(BudgetExceeded, match="no more requests"):
            shop.run()

    assert len(stub.seen) == 3


def test_refusals_cost_nothing(tmp_path: Path) -> None:
    """A refused question uses up no budget."""

    def behave(seen: Seen) -> Fault | None:
        return Fault(429, headers={"Retry-After": "0"}) if not seen.asked and seen.number % 2 else None

    with Stub(behave) as stub:
        Shop(tmp_path, openai(stub.url, price=price), count=20, budget=BudgetLimits(requests=20)).run()

    assert stub.statuses[429] > 5


def test_dollars_need_a_price(tmp_path: Path) -> None:
    """A budget in dollars and a teacher without a price do not go together."""
    nowhere = {"HTTP_PROXY": "http://127.0.0.1:9"}
    shop = Shop(tmp_path, openai("http://far.invalid/v1"), budget=BudgetLimits(usd=5.0), environment=nowhere)

    with pytest.raises(BudgetExceeded, match=matching("general/no-price-of-this-teacher")):
        shop.run()


# pace


def test_places_are_never_more_than_allowed_and_all_are_used(tmp_path: Path) -> None:
    """So many questions are on their way at most, and that many when there are enough."""
    with Stub(seconds=0.03) as stub:
        Shop(tmp_path, openai(stub.url), count=150, concurrency=12).run()

    assert stub.most_in_flight == 12


def test_a_stated_rate_is_kept_to_and_told(tmp_path: Path) -> None:
    """With 1,200 requests a minute stated, no second sees more than 40, and the line says what limits."""
    rate = {"POLYTUNE_REQUESTS_PER_MINUTE": "1200"}
    with Stub() as stub:
        shop = Shop(tmp_path, openai(stub.url), count=50, environment=rate)
        shop.run()

    times = [seen.at for seen in stub.seen]
    assert max(sum(start <= at < start + 1 for at in times) for start in times) <= 41
    assert any("limited by requests/min" in progress.note for progress in shop.told)


def test_limits_are_learnt_from_the_first_real_answer(tmp_path: Path) -> None:
    """What the endpoint's headers say is kept to, without a request made only to ask."""
    headers = {"x-ratelimit-limit-requests": "1200", "x-ratelimit-limit-tokens": "9000000"}
    with Stub(headers=headers) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=60, concurrency=4)
        shop.run()

    assert len(stub.seen) == 60
    assert stub.seen[-1].at - stub.seen[0].at > (60 - 20 - 4) / 20 * 0.9
    assert any("limited by requests/min" in progress.note for progress in shop.told)


class Echo(Respondent[int]):
    """Answers a number with itself, or refuses for a while."""

    def __init__(self, refuses: float = 0.0) -> None:
        self.until = time.monotonic() + refuses

    async def reply(self, question: int) -> Reply:
        """The number."""
        await asyncio.sleep(0.001)
        if time.monotonic() < self.until:
            raise Failure(FailureKind.OVERLOADED, "busy", retry_after=0.05)
        return Reply(b"%d" % question, Tokens(1, 1))

    def at_most(self, question: int) -> Cost:
        """Two tokens."""
        return Cost(tokens=2)

    def expected_tokens(self, question: int) -> float:
        """Two."""
        return 2.0


class Counting(Reception[int]):
    """Takes every answer."""

    def __init__(self) -> None:
        self.landed_numbers: list[int] = []

    async def landed(self, job: Job[int], answer: StoredAnswer) -> Job[int] | None:
        """Taken."""
        self.landed_numbers.append(job.question)
        return None

    async def given_up(self, job: Job[int], failure: Failure) -> Job[int] | None:
        """Asked anew."""
        return job


def test_questions_are_pulled_as_they_are_needed(ledger: Ledger) -> None:
    """However many there are, those pulled and not yet landed are few; also while all are refused."""
    pulled = 0
    most_ahead = 0
    reception = Counting()

    def jobs() -> Iterator[Job[int]]:
        nonlocal pulled, most_ahead
        for number in range(1000):
            pulled += 1
            most_ahead = max(most_ahead, pulled - len(reception.landed_numbers))
            yield Job(Ask("echo", number), number)

    async def go() -> None:
        async with AnswerMemory(ledger, "x") as memory:
            endpoint = endpoint_called("echo", 8, {})
            gauge = Gauge(1000, lambda progress: None)
            client = Client(Echo(refuses=0.5), endpoint, memory, Budget(BudgetLimits()), gauge, RetryLimits())
            await client.ask_all(jobs(), reception)

    asyncio.run(go())

    assert sorted(reception.landed_numbers) == list(range(1000))
    assert most_ahead <= 4 * 8 + 17


def test_two_who_ask_one_endpoint_share_its_places(tmp_path: Path) -> None:
    """Two steps of one run that ask the same model keep to one number of places together."""

    async def go() -> None:
        await asyncio.gather(*(shop.running() for shop in shops))

    with Stub(seconds=0.02) as stub:
        shops = [
            Shop(tmp_path / name, openai(stub.url), count=40, concurrency=6, system=name) for name in "ab"
        ]
        asyncio.run(go())

    assert stub.most_in_flight == 6
    assert len(stub.seen) == 80


def test_the_live_line_tells_counts_money_and_time(tmp_path: Path) -> None:
    """Done and total, rate, tokens, what it will cost in all, and the time left are told while it works."""
    with Stub(seconds=0.05) as stub:
        shop = Shop(tmp_path, openai(stub.url, price=price), count=160, concurrency=4)
        shop.run()

    during = [progress for progress in shop.told if 0 < progress.done < progress.total]
    late = during[-1]
    for part in ("/s", "tokens", "about $", "in total", "left"):
        assert part in late.note
    assert late.usd == pytest.approx(late.done * paid_usd, rel=0.2)
    assert (shop.told[-1].done, shop.told[-1].total) == (160, 160)


def test_a_cancelled_run_keeps_what_is_on_its_way(tmp_path: Path) -> None:
    """A stop lets questions on their way land: each answer that the server gave is remembered."""

    async def go() -> float:
        running = asyncio.create_task(shop.running())
        while len(stub.seen) < 30:
            await asyncio.sleep(0.005)
        running.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await running
        return time.monotonic() - began

    with Stub(seconds=0.2) as stub:
        shop = Shop(tmp_path, openai(stub.url), count=500, concurrency=16)
        seconds = asyncio.run(go())
        assert shop.spent().requests == sum(stub.answered.values())
        stub.seconds = 0.0
        shop.run()

    assert seconds < 2
    assert set(stub.answered.values()) == {1}
