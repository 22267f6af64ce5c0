"""The interface of teachers: a teacher answers requests and reports what each answer cost.

To add one, write one file here with one subclass of `Teacher`; the file's name is its name in YAML.

    request, draw --reply--> body, as billed --(stored)--> body --parse--> answer --flaw--> '' or why not

Only `reply` costs money; everything after it works from the store and can be repeated. A teacher without a
server implements `answer` alone. A `BatchTeacher` can also be given all questions at once, and puts their
answers into the same store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.asking.failures import Failure
from polytune.asking.reply import Reply, Tokens
from polytune.engine.answers import Ask
from polytune.engine.artifacts import Facts
from polytune.engine.budget import Cost
from polytune.engine.jobs import Jobs
from polytune.errors import Obstacle
from polytune.fingerprint import Json
from polytune.registry import Family, Openable
from polytune.settings import Settings
from polytune.spec.model import MemberSpec

redraws_apart = 1_000_000
"""A redraw of draw n is draw n + this, the next one n + twice this: more than the draws of any plan."""
characters_per_token = 4.0
"""Characters per token of English text and code, for estimates only."""
expected_output_tokens = 400.0
"""The expected length before the first answer: between the 150 and 600 that estimates assume."""


class TeacherSpec(MemberSpec):
    """The model or service that answers the prompts."""


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier answer to the same prompt, and why it was rejected."""

    answer: str
    error: str


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rendered question: everything that may change the answer."""

    system: str
    """The system prompt for the teacher."""
    prompt: str
    """The user message."""
    variables: dict[str, str | int | float]
    """The matrix cell and the slot values of the prompt, for teachers that take fields."""
    repairs: tuple[Repair, ...] = ()
    """Earlier answers that were rejected, oldest first; the teacher is asked to repair the last one."""

    @property
    def characters(self) -> int:
        """The length of all input texts in characters."""
        repairs = sum(len(repair.answer) + len(repair.error) for repair in self.repairs)
        return len(self.system) + len(self.prompt) + repairs

    @property
    def bytes(self) -> int:
        """The length of all input texts in UTF-8 bytes, an upper bound on tokens for any tokenizer."""
        texts = [text for repair in self.repairs for text in (repair.answer, repair.error)]
        return sum(len(text.encode()) for text in (self.system, self.prompt, *texts))


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The token counts of one answer."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = True
    """False when the teacher itself reported the counts."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One draw from a teacher, as billed."""

    text: str
    usage: TokenUsage = TokenUsage()
    price_usd: float | None = 0.0
    """The cost; None when no price is known."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A teacher's prices; None where no sourced figure is known."""

    input_usd_per_million_tokens: float | None
    output_usd_per_million_tokens: float | None
    source: str
    """Where and when the prices were read."""


FREE = Price(
    input_usd_per_million_tokens=0.0, output_usd_per_million_tokens=0.0, source="runs on this machine"
)


class Teacher(Openable, ABC):
    """Answers requests; an async context manager for the connection that it needs, if any."""

    version: ClassVar[int] = 1
    """Raise it when the same spec would give a different answer: it is in the keys of steps that use it."""
    Spec: ClassVar[type[TeacherSpec]]
    repeats_itself: ClassVar[bool] = False
    """Whether a cache in front of the teacher may return an earlier draw's answer for a later draw."""
    holds_conversations: ClassVar[bool] = True
    """Whether it can answer later turns of a conversation, not only single questions."""
    may_fail: ClassVar[bool] = False
    """Whether `flaw` can return anything but ''."""
    platform: ClassVar[str] = ""
    """The platform whose account it uses, and which must grant permissions; '' for none."""

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        """`files` holds the absolute path of each `InputFile` field, by field name."""
        self.files = files
        self.settings = settings

    @property
    def rehearses(self) -> bool:
        """Whether a rehearsal may use it: it is free, or a stand-in on this machine answers instead."""
        return True

    @property
    @abstractmethod
    def label(self) -> str:
        """The name shown in tables: 'composed offline from a grammar, no language model'."""

    def price(self) -> Price:
        """The price per token, known before any question is asked."""
        return FREE

    def price_for(self, answers: int) -> Price:
        """The price per token when asking for this many answers."""
        return self.price()

    def note(self, answers: int) -> str:
        """The note in an estimate for this many answers."""
        return self.label

    def sent(self, request: Request) -> Json:
        """Return the endpoint and the body of the first draw's request, which identify its answers.

        The default, for a teacher without a server, is None: its own spec then stands for the endpoint.
        """
        return None

    def missing(self) -> Obstacle | None:
        """What prevents this teacher from answering here, without asking anybody outside."""
        return None

    def unanswerable(self, request: Request, draw: int) -> Obstacle | None:
        """Why it certainly cannot answer this request, as far as this machine can tell."""
        return None

    def endpoint(self) -> str:
        """The name of the server and model whose limits its questions share, as shown in messages."""
        return self.label

    def at_most(self, request: Request) -> Cost:
        """The maximum cost of an answer to this request, which a budget reserves."""
        return Cost(usd=0.0, tokens=1)

    @abstractmethod
    async def answer(self, request: Request, draw: int) -> Answer:
        """Return a fresh answer; `draw` counts identical requests from 0, and each draw may differ."""

    async def reply(self, request: Request, draw: int) -> Reply:
        """Return a fresh answer as billed, for the store. Raises Failure when there is none."""
        answer = await self.answer(request, draw)
        tokens = Tokens(answer.usage.input_tokens, answer.usage.output_tokens)
        return Reply(msgspec.json.encode(answer), tokens, answer.price_usd)

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer in a stored body. Raises DataError when the body is not an answer."""
        return msgspec.json.decode(body, type=Answer)

    def flaw(self, body: bytes, request: Request, earlier: Collection[str]) -> str:
        """Why a stored body is not a usable answer, such as being empty; '' when it is one.

        `earlier` holds the texts of lower draws of the same request if `repeats_itself`.
        """
        return ""


@dataclass(frozen=True, slots=True)
class BatchQuestion:
    """One answer to get, and the key under which it is stored."""

    ask: Ask
    request: Request


@dataclass(frozen=True)
class BatchProgress:
    """The progress of a batch."""

    answered: int
    note: str
    """The current state: '2 batch jobs: 1 validating, 1 in progress'."""


class BatchContext(ABC):
    """The services that a step provides to a teacher that answers many questions at once."""

    jobs: Jobs
    """The step's jobs; jobs of a batch use keys of their own in the same job book."""
    folder: Path
    """The folder for temporary files, which are deleted after the batch."""
    label: Facts
    """`project`, `experiment` and `step`, for names and tags."""

    @abstractmethod
    def reserve(self, ask: Ask, most: Cost) -> bool:
        """Reserve the cost of a question; False when it may fit once others are settled.

        Raises BudgetExceeded when it does not fit although nothing is reserved.
        """

    @abstractmethod
    def release(self, asks: Sequence[Ask]) -> None:
        """Release the reservations of those questions that are not settled yet."""

    @abstractmethod
    async def landed(self, replies: Sequence[tuple[Ask, Reply]]) -> None:
        """Store and settle the answers; answers that are already stored stay unchanged."""

    @abstractmethod
    def failed(self, ask: Ask, failure: Failure) -> None:
        """Record that a question got no answer; nothing is billed for it."""

    @abstractmethod
    def report(self, progress: BatchProgress) -> None:
        """Update the live line."""


class BatchTeacher(Teacher):
    """A teacher that can also answer many questions at once, later and at a lower price."""

    @property
    @abstractmethod
    def fewest(self) -> int:
        """The minimum number of questions for a batch; fewer are asked one by one."""

    @abstractmethod
    async def answer_all(
        self, questions: Callable[[], Iterator[BatchQuestion]], context: BatchContext
    ) -> int:
        """Answer or fail every question except a last few below `fewest`; return the number sent.

        Each call of `questions` gives those that are not stored at that time. Raises Paused and Detached
        while jobs are running: called again, it continues with them and sends nothing twice. Raises
        BudgetExceeded when the next question does not fit, StepFailed when a whole job failed.
        """


class PlainAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The stored body of an answer that did not come over HTTP, or was rebuilt from a samples file."""

    text: str
    usage: TokenUsage = TokenUsage()
    price_usd: float | None = 0.0


def plain_answer(body: bytes) -> Answer | None:
    """The answer in a body that is an encoded `Answer`; None for any other body."""
    # `PlainAnswer` forbids unknown fields, so that a server's reply with a `text` is not mistaken for one.
    try:
        plain = msgspec.json.decode(body, type=PlainAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Answer(text=plain.text, usage=plain.usage, price_usd=plain.price_usd)


TEACHERS = Family("teachers", "teacher", Teacher)
