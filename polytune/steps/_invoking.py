"""Sends questions to a platform's model through `asking`, in fixed batches, and stores every answer.

The answers of a batch may depend on its composition. A batch is therefore sent as a whole or not at all. Its
digest is the request of all its answers, and the position of a question in the batch is the draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from polytune.asking.client import Client, Job, Reception, Respondent
from polytune.asking.concurrency import Concurrency
from polytune.asking.endpoint import Endpoint, endpoint_called
from polytune.asking.failures import Failure, FailureKind
from polytune.asking.gauge import Gauge
from polytune.asking.limits import Limiter, RateLimits
from polytune.asking.reply import Reply, Tokens
from polytune.asking.retries import RetryLimits, retry_limits
from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.budget import Cost
from polytune.engine.step import Work
from polytune.errors import Paused, StepFailed
from polytune.fingerprint import Json, fingerprint
from polytune.platforms.interface import Inference, InvokedAnswer, Invoker, Question

usual_limits = RetryLimits(question_seconds=1800.0, silence_seconds=1800.0)
"""Some custom models accept only four requests a minute, and a new deployment may not be ready at once."""
characters_per_token = 4.0
"""For English text and code; used only for expected, not for maximum, costs."""


@dataclass(frozen=True)
class InvocationBatch:
    """Questions that are sent together, and the digest under which their answers are stored."""

    questions: tuple[Question, ...]
    request: str

    @property
    def asks(self) -> list[Ask]:
        """The identity of each answer."""
        return [Ask(self.request, place) for place in range(len(self.questions))]

    def answers_in(self, memory: AnswerMemory) -> list[InvokedAnswer] | None:
        """Return every answer of the batch from memory; None unless all of them are stored."""
        stored = {found.ask: found.body for found in memory.find(self.asks)}
        # A partial batch cannot be completed: other answers would come from a batch of another composition.
        if len(stored) < len(self.questions):
            return None
        return [msgspec.json.decode(stored[ask], type=InvokedAnswer) for ask in self.asks]


def batches_of(
    questions: Sequence[Question], size: int, model: Mapping[str, Json]
) -> Iterator[InvocationBatch]:
    """Yield the questions in batches of `size`; `model` is everything else that affects their answers."""
    for start in range(0, len(questions), size):
        batch = tuple(questions[start : start + size])
        texts: list[Json] = [[each.system, each.prompt] for each in batch]
        yield InvocationBatch(batch, fingerprint("polytune.evaluation.v1", {**model, "batch": texts}))


class InvokerRespondent(Respondent[InvocationBatch]):
    """Adapts an invoker to the client."""

    def __init__(self, invoker: Invoker, inference: Inference) -> None:
        self.invoker = invoker
        self.inference = inference

    async def reply(self, question: InvocationBatch) -> Reply:
        """Return the answers of the whole batch."""
        answers = await self.invoker.ask(question.questions)
        return Reply.of_batch([_reply(answer) for answer in answers])

    def at_most(self, question: InvocationBatch) -> Cost:
        """Return the worst case: one token per byte, and the longest answer to each question."""
        read = sum(len(each.system.encode()) + len(each.prompt.encode()) for each in question.questions)
        count = len(question.questions)
        return Cost(
            usd=sum(self.invoker.most_usd(each) for each in question.questions),
            tokens=read + count * self.inference.max_tokens,
            requests=count,
        )

    def expected_tokens(self, question: InvocationBatch) -> float:
        """Estimate by length; answers are assumed to be as long as allowed."""
        characters = sum(len(each.system) + len(each.prompt) for each in question.questions)
        return characters / characters_per_token + len(question.questions) * self.inference.max_tokens


def _reply(answer: InvokedAnswer) -> Reply:
    tokens = Tokens(answer.input_tokens, answer.output_tokens)
    return Reply(msgspec.json.encode(answer), tokens, answer.price_usd)


class EveryAnswer(Reception[InvocationBatch]):
    """Counts answers as they arrive. A question without one ends the step: a score needs all answers."""

    def __init__(self, gauge: Gauge) -> None:
        self.gauge = gauge

    async def landed(self, job: Job[InvocationBatch], answer: StoredAnswer) -> None:
        """Count the answers of a batch; their content is read from memory later."""
        for _ in job.question.questions:
            self.gauge.settled()

    async def given_up(self, job: Job[InvocationBatch], failure: Failure) -> None:
        """Raises StepFailed when the question itself is refused, Paused when a later run may get through."""
        if failure.kind is FailureKind.UNFIT:
            raise StepFailed(str(failure)) from failure
        # Everything answered so far is stored, so a later run continues where this one stopped.
        raise Paused(str(failure)) from failure


async def answers_of(
    invoker: Invoker,
    batches: Sequence[InvocationBatch],
    inference: Inference,
    work: Work,
    gauge: Gauge,
    environment: Mapping[str, str],
) -> list[InvokedAnswer]:
    """Return the answer to every question, in order: from memory, or requested now.

    The invoker is open only for that. Raises what `Client.ask_all` raises.
    """
    missing = [batch for batch in batches if batch.answers_in(work.answers) is None]
    known = sum(len(batch.questions) for batch in batches) - sum(len(each.questions) for each in missing)
    gauge.reused += known
    gauge.done += known
    if missing:
        async with invoker:
            client = Client(
                InvokerRespondent(invoker, inference),
                _endpoint(invoker, environment),
                work.answers,
                work.budget,
                gauge,
                retry_limits(environment, usual_limits),
            )
            jobs = (Job(batch.asks[0], batch) for batch in missing)
            await client.ask_all(jobs, EveryAnswer(gauge))
    # Read back from memory, also the new ones: a run with stored answers takes exactly the same path.
    found: list[InvokedAnswer] = []
    for batch in batches:
        answers = batch.answers_in(work.answers)
        assert answers is not None, "the client returns when every batch is stored"
        found += answers
    return found


def _endpoint(invoker: Invoker, environment: Mapping[str, str]) -> Endpoint:
    """Return the shared endpoint, or a separate one for a process that only this step uses."""
    at_once = invoker.batches_at_once
    if invoker.endpoint:
        return endpoint_called(invoker.endpoint, at_once, environment)
    return Endpoint("the model", Limiter(RateLimits()), Concurrency(at_once))
