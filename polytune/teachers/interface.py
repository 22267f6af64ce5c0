"""What a teacher is: something that answers a request, and says what the answer cost.

Add one by writing one file here with one subclass of `Teacher`; its name in YAML is the file's name.

    request, draw --reply--> body, as billed --(stored)--> body --parse--> answer --flaw--> '' or why not

`reply` is the only part that costs; everything after it works from the store, any number of times. A
teacher that answers by itself implements `answer` alone; a `BatchTeacher` can also be given all questions
at once, and brings their answers into the same store.
"""

from __future__ import annotations

import hashlib
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
from polytune.fingerprint import Json, canonical, fingerprint, type_tag_separator
from polytune.registry import Family, Openable
from polytune.settings import Settings
from polytune.spec.model import MemberSpec

redraws_apart = 1_000_000
"""A redraw in the place of draw n is draw n + this, the next n + twice this: no plan draws so often."""
characters_per_token = 4.0
"""Of English text and code, for what is only expected."""
expected_output_tokens = 400.0
"""Before the first answer: between the 150 and 600 that estimates assume."""

remembered_systems = 256


class TeacherSpec(MemberSpec):
    """Who answers the prompts."""


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier answer to the same prompt, and why it was rejected."""

    answer: str
    error: str


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rendered question: everything that may change the answer."""

    system: str
    """The system prompt that the teacher sees."""
    prompt: str
    """The user's turn."""
    variables: dict[str, str | int | float]
    """The matrix cell and the slot values behind the prompt, for teachers that take fields."""
    repairs: tuple[Repair, ...] = ()
    """Earlier answers that were rejected, oldest first; the teacher is asked to repair the last."""

    @property
    def characters(self) -> int:
        """How long everything is that the teacher reads."""
        repairs = sum(len(repair.answer) + len(repair.error) for repair in self.repairs)
        return len(self.system) + len(self.prompt) + repairs

    @property
    def bytes(self) -> int:
        """The same in UTF-8: no tokenizer makes more tokens of it."""
        texts = [text for repair in self.repairs for text in (repair.answer, repair.error)]
        return sum(len(text.encode()) for text in (self.system, self.prompt, *texts))


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = True
    """False when the teacher itself reported the figures."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One draw from a teacher, as billed."""

    text: str
    usage: TokenUsage = TokenUsage()
    price_usd: float | None = 0.0
    """What it cost; None when no price is known."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a teacher charges, for estimates; None where no sourced figure is known."""

    input_usd_per_million_tokens: float | None
    output_usd_per_million_tokens: float | None
    source: str
    """Where and when the figures were read."""


FREE = Price(
    input_usd_per_million_tokens=0.0, output_usd_per_million_tokens=0.0, source="runs on this machine"
)


class Teacher(Openable, ABC):
    """Answers requests; an async context manager around whatever connection it needs."""

    Spec: ClassVar[type[TeacherSpec]]
    not_asked: ClassVar[frozenset[str]] = frozenset()
    """Fields of the spec that change no answer, such as a price: no part of a request's identity."""
    repeats_itself: ClassVar[bool] = False
    """Whether a cache before it may answer a later draw with the answer to an earlier one."""
    holds_conversations: ClassVar[bool] = True
    """Whether it can be asked a later turn of a conversation, and not single questions only."""
    may_fail: ClassVar[bool] = False
    """Whether `flaw` ever finds something."""
    platform: ClassVar[str] = ""
    """The platform in whose account it answers, with rights that the account must give; '' for none."""

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        """`files` holds the absolute path of each `InputFile` field, by field name."""
        self.files = files
        self.settings = settings

    @property
    def rehearses(self) -> bool:
        """Whether a rehearsal may ask it: it is free, or a stand-in on this machine answers for it."""
        return True

    @property
    @abstractmethod
    def label(self) -> str:
        """What every table calls it: 'composed offline from a grammar, no language model'."""

    def price(self) -> Price:
        """What an answer costs, before any is asked."""
        return FREE

    def price_for(self, answers: int) -> Price:
        """What an answer costs when so many are asked for."""
        return self.price()

    def note(self, answers: int) -> str:
        """What an estimate for so many answers should say."""
        return self.label

    def missing(self) -> str:
        """What keeps this teacher from answering here, and the remedy; '' when nothing does."""
        return ""

    def endpoint(self) -> str:
        """Whose limits its questions share: the server and the model, as messages name them."""
        return self.label

    def at_most(self, request: Request) -> Cost:
        """The most that an answer to this request can cost; what a budget sets aside for it."""
        return Cost(usd=0.0, tokens=1)

    @abstractmethod
    async def answer(self, request: Request, draw: int) -> Answer:
        """A fresh answer; `draw` counts identical requests from 0, so each draw may differ."""

    async def reply(self, request: Request, draw: int) -> Reply:
        """A fresh answer as billed, for the store. Raises Failure when there is none."""
        answer = await self.answer(request, draw)
        tokens = Tokens(answer.usage.input_tokens, answer.usage.output_tokens)
        return Reply(msgspec.json.encode(answer), tokens, answer.price_usd)

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer in a stored body. Raises DataError when it is none."""
        return msgspec.json.decode(body, type=Answer)

    def flaw(self, body: bytes, request: Request, earlier: Collection[str]) -> str:
        """Why a stored body is no usable answer, such as being empty; '' when it is one.

        `earlier` holds the texts of lower draws of the same request, where `repeats_itself`.
        """
        return ""


@dataclass(frozen=True, slots=True)
class BatchQuestion:
    """One answer that is wanted, and the name under which it is remembered."""

    ask: Ask
    request: Request


@dataclass(frozen=True)
class BatchProgress:
    """How far the answers of a batch are."""

    answered: int
    note: str
    """What is going on: '2 batch jobs: 1 validating, 1 in progress'."""


class BatchContext(ABC):
    """What a step offers to a teacher that answers many questions at once."""

    jobs: Jobs
    """The step's own; jobs of a batch take a key of their own in the same book."""
    folder: Path
    """For files that are gone when the batch is."""
    label: Facts
    """`project`, `experiment` and `step`, for names and tags."""

    @abstractmethod
    def reserve(self, ask: Ask, most: Cost) -> bool:
        """Whether the cost of a question is reserved; False when it may fit once others are settled.

        Raises BudgetExceeded when it does not fit and nothing is reserved.
        """

    @abstractmethod
    def release(self, asks: Sequence[Ask]) -> None:
        """Nothing is reserved any more for those of the questions that are still unsettled."""

    @abstractmethod
    async def landed(self, replies: Sequence[tuple[Ask, Reply]]) -> None:
        """The answers are durable and settled; those that were remembered before are left as they are."""

    @abstractmethod
    def failed(self, ask: Ask, failure: Failure) -> None:
        """A question that was asked came back without an answer; nothing is billed for it."""

    @abstractmethod
    def report(self, progress: BatchProgress) -> None:
        """The live line is up to date."""


class BatchTeacher(Teacher):
    """A teacher that can be given many questions at once, to be answered later and cheaper."""

    @property
    @abstractmethod
    def fewest(self) -> int:
        """Fewer questions than this are asked one by one."""

    @abstractmethod
    async def answer_all(
        self, questions: Callable[[], Iterator[BatchQuestion]], context: BatchContext
    ) -> int:
        """Every question is answered, has failed, or is one of a last few; how many were sent.

        `questions` gives, each time, those that are not remembered by then. Raises Paused and Detached
        while jobs are on their way: called again, it goes on with them and sends nothing twice. Raises
        BudgetExceeded when the next one does not fit, StepFailed when a job failed as a whole.
        """


class PlainAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an answer that did not come over HTTP, or was rebuilt from a samples file."""

    text: str
    usage: TokenUsage = TokenUsage()
    price_usd: float | None = 0.0


def plain_answer(body: bytes) -> Answer | None:
    """The answer in a body that is an encoded `Answer`; None when it is anything else."""
    try:
        plain = msgspec.json.decode(body, type=PlainAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Answer(text=plain.text, usage=plain.usage, price_usd=plain.price_usd)


request_tag = "polytune.request.v1"


def request_digest(teacher: Json, request: Request) -> str:
    """The identity of a question: the teacher's whole spec and the rendered request, nothing else."""
    return fingerprint(request_tag, {"teacher": teacher, "request": msgspec.to_builtins(request)})


class RequestDigests:
    """`request_digest` for one teacher, many times: system prompts, long and few, are encoded once."""

    def __init__(self, teacher: Json) -> None:
        self.teacher = teacher
        self._after = b'},"teacher":' + canonical(teacher) + b"}"
        self._systems: dict[str, bytes] = {}

    def __call__(self, request: Request) -> str:
        """The same as `request_digest`."""
        if request.repairs:
            return request_digest(self.teacher, request)
        running = hashlib.sha256(request_tag.encode() + type_tag_separator + b'{"request":{"prompt":')
        running.update(canonical(request.prompt))
        running.update(b',"system":' + self._system(request.system) + b',"variables":')
        running.update(canonical(request.variables) + self._after)
        return running.hexdigest()

    def _system(self, text: str) -> bytes:
        known = self._systems.get(text)
        if known is None:
            if len(self._systems) >= remembered_systems:
                self._systems.clear()
            known = self._systems[text] = canonical(text)
        return known


TEACHERS = Family("teachers", "teacher", Teacher)
