"""What each failure is, how long is waited after it, and when it is enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from polytune.asking.endpoint import Circuit, failures_to_open, first_pause_seconds
from polytune.asking.failures import Failure, FailureKind, kind_of_status, pause_asked_for
from polytune.asking.http import failure_of, proxy_for
from polytune.asking.retries import QuestionRetries, RetryLimits, retry_limits
from polytune.errors import UsageError
from tests.messages import matching

now = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


class Ticking:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.25", 0.25),
        ("-3", 0.0),
        ("Sat, 21 Nov 2026 12:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    """A pause that was asked for is known in seconds; what is neither form asks for none."""
    assert pause_asked_for(header, now) == seconds


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, FailureKind.OVERLOADED),
        (503, FailureKind.OVERLOADED),
        (529, FailureKind.OVERLOADED),
        (500, FailureKind.BROKEN),
        (502, FailureKind.BROKEN),
        (504, FailureKind.BROKEN),
        (408, FailureKind.BROKEN),
        (400, FailureKind.UNFIT),
        (413, FailureKind.UNFIT),
        (422, FailureKind.UNFIT),
        (401, FailureKind.DENIED),
        (403, FailureKind.DENIED),
        (402, FailureKind.QUOTA),
        (404, FailureKind.MISTAKEN),
        (302, FailureKind.MISTAKEN),
    ],
)
def test_statuses_have_kinds(status: int, kind: FailureKind) -> None:
    """Each HTTP status is one kind of failure."""
    assert kind_of_status(status) is kind


def test_throttling_is_overload_whatever_its_status() -> None:
    """An AWS ThrottlingException with status 400 means slower, not never."""
    failure = failure_of("u", 400, {"x-amzn-ErrorType": "ThrottlingException"}, b"{}")

    assert failure.kind is FailureKind.OVERLOADED


def test_a_failure_quotes_the_body_and_the_pause() -> None:
    """Status, an excerpt on one line, and the pause are in the failure."""
    failure = failure_of("http://x", 503, {"retry-after-ms": "1500"}, b'{"error":\n "busy"}' + b"x" * 999)

    assert str(failure).startswith('http://x answered 503: {"error": "busy"}xxx')
    assert len(str(failure)) < 400
    assert (failure.status, failure.retry_after) == (503, 1.5)


def pauses(
    failures: Sequence[Failure], limits: RetryLimits, spent_seconds: float = 0.0
) -> list[float | None]:
    """What follows from each of one question's failures, its first attempt having begun so long ago."""

    async def go() -> list[float | None]:
        retries = QuestionRetries(limits, time.monotonic() - spent_seconds)
        return [await retries.after(failure) for failure in failures]

    return asyncio.run(go())


def test_a_retry_never_comes_before_the_pause_asked_for() -> None:
    """Retry-After is kept to, with hardly more on top."""
    busy = Failure(FailureKind.OVERLOADED, "busy", retry_after=7)

    for pause in pauses([busy] * 9, RetryLimits(), 10.0):
        assert pause is not None
        assert 7 <= pause <= 7.2


def test_pauses_grow_and_attempts_end() -> None:
    """A broken endpoint is asked six times at growing intervals; overload is asked on."""
    broken, busy = Failure(FailureKind.BROKEN, "500"), Failure(FailureKind.OVERLOADED, "429")

    found = pauses([broken] * 6, RetryLimits())

    assert [pause is None for pause in found] == [False] * 5 + [True]
    known = [pause for pause in found if pause is not None]
    assert known[0] < 1.1
    assert 8 <= known[-1] <= 9
    assert None not in pauses([busy] * 40, RetryLimits(), 600.0)


def test_one_question_has_a_time_of_its_own() -> None:
    """However often it may be asked, a question ends when its time is over."""
    busy = Failure(FailureKind.OVERLOADED, "429", retry_after=10)

    assert pauses([busy], RetryLimits(question_seconds=60), 55.0) == [None]
    assert None not in pauses([busy] * 3, RetryLimits(question_seconds=60), 45.0)


@pytest.mark.parametrize(
    "kind", [FailureKind.UNFIT, FailureKind.DENIED, FailureKind.QUOTA, FailureKind.MISTAKEN]
)
def test_what_cannot_get_better_is_not_asked_again(kind: FailureKind) -> None:
    """Questions that are refused as such are asked once."""
    assert pauses([Failure(kind, "no")], RetryLimits()) == [None]


def test_an_endpoint_that_never_answered_is_given_up_sooner() -> None:
    """A dead address is noticed within half a minute, an outage is waited out for ten."""
    dead, limits = Failure(FailureKind.UNREACHABLE, "no connection"), RetryLimits()

    assert limits.gives_up_endpoint(dead, 31, answered=False)
    assert not limits.gives_up_endpoint(dead, 599, answered=True)
    assert limits.gives_up_endpoint(dead, 601, answered=True)
    assert not limits.gives_up_endpoint(Failure(FailureKind.OVERLOADED, "429"), 31, answered=False)


def test_retry_limits_are_read_from_the_environment() -> None:
    """POLYTUNE_PATIENCE_SECONDS bounds both; nonsense is refused."""
    assert retry_limits({"POLYTUNE_PATIENCE_SECONDS": "5"}).first_answer_seconds == 5
    assert retry_limits({}) == RetryLimits()
    with pytest.raises(
        UsageError,
        match=matching("asking/is-not-number-above", name="POLYTUNE_PATIENCE_SECONDS", text="long"),
    ):
        retry_limits({"POLYTUNE_PATIENCE_SECONDS": "long"})


def test_the_circuit_opens_tries_and_closes() -> None:
    """After some failures in a row it waits, lets one question try, waits longer, and closes on success."""
    clock = Ticking()
    circuit = Circuit(clock)
    for _ in range(failures_to_open):
        assert circuit.wait() == 0.0
        circuit.failed()
    assert circuit.wait() == first_pause_seconds

    clock.now += first_pause_seconds
    assert circuit.wait() == 0.0
    circuit.asked()
    assert circuit.wait() == float("inf")
    circuit.failed()
    assert circuit.wait() == 2 * first_pause_seconds
    clock.now += 5
    circuit.asked()
    circuit.worked()

    assert (circuit.wait(), circuit.open) == (0.0, False)


def test_answers_in_between_keep_the_circuit_closed() -> None:
    """Failures that are not in a row open nothing."""
    circuit = Circuit(Ticking())
    for _ in range(5):
        for _ in range(failures_to_open - 1):
            circuit.failed()
        circuit.worked()

    assert not circuit.open


def test_late_failures_of_an_open_circuit_do_not_lengthen_the_pause() -> None:
    """Sixty questions that were on their way fail together and count once."""
    circuit = Circuit(Ticking())
    for _ in range(60):
        circuit.failed()

    assert circuit.wait() == first_pause_seconds


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://there.org/v1", "http://p:1"),
        ("https://there.org/v1", "http://p:2"),
        ("http://inside.org/v1", None),
        ("http://deep.inside.org/v1", None),
        ("http://127.0.0.1:80/v1", None),
    ],
)
def test_a_proxy_is_used_where_the_environment_says(url: str, proxy: str | None) -> None:
    """HTTP_PROXY and https_proxy by scheme, unless NO_PROXY spares the host."""
    environment = {
        "HTTP_PROXY": "http://p:1",
        "https_proxy": "http://p:2",
        "NO_PROXY": ".inside.org, 127.0.0.1",
    }

    assert proxy_for(url, environment) == proxy
