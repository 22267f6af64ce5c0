"""What teachers on Bedrock share: one Converse request for each answer, stored as Converse gave it.

A question has the same identity whether it is asked alone or in a batch, and in whatever region: a preview
through `bedrock` is paid once, and `bedrock_batch` asks for the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import msgspec
from pydantic import AfterValidator, Field

from polytune.asking.reply import Reply, Tokens
from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, Offering, custom_model_arn, name_of
from polytune.data.prices import prices_of
from polytune.engine.budget import Cost
from polytune.errors import PolytuneError
from polytune.settings import Settings
from polytune.spec.model import FieldProblem, Items, JsonObject, Spec
from polytune.teachers._replies import (
    ParsedReply,
    PriceSpec,
    ReplyTeacher,
    cut_off,
    decoded,
    framing_tokens,
    tokens_per_million,
    unknown_price,
)
from polytune.teachers.interface import (
    Price,
    Request,
    TeacherSpec,
    TokenUsage,
)

if TYPE_CHECKING:
    from polytune.asking.converse import ConverseConnection

platform_name = "bedrock"
"""The platform whose ids these teachers call."""
catalogue_tokens = 1_000
"""Prices in the catalogue are for so many tokens."""


def checked_model(name: str) -> str:
    """A spec's `model` as it is. Raises ValueError for a plain word that the catalogue does not have."""
    if "." in name or ":" in name:
        return name
    try:
        name_of(name)
    except PolytuneError as error:
        raise ValueError(str(error)) from error
    return name


def entry_of(model: str) -> BaseModelEntry | None:
    """The catalogue's facts of a model that is named by name, id, profile or ARN; None for another one."""
    try:
        return BASE_MODELS.get(name_of(model))
    except PolytuneError:
        return None


class GuardrailSpec(Spec):
    """A guardrail of Bedrock that looks at prompts and answers."""

    id: Annotated[str, Field(pattern=r"^([a-z0-9]+|arn:aws[^:]*:bedrock:[^:]+:\d{12}:guardrail/[a-z0-9]+)$")]
    """Its id or ARN."""
    version: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,7}|DRAFT)$")] = "DRAFT"
    """Which version of it."""


class ConverseSpec(TeacherSpec):
    """A model on Bedrock and how it is asked."""

    model: Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(checked_model)]
    """A name of the catalogue (nova-pro), an AWS id, an inference profile, or the ARN of a model, a profile
    or a deployment."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] = "us-east-1"
    """Where it is asked. Changing it asks nothing again."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """The longest answer; an answer cut off there is not used. Bedrock counts it against the quota."""
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    """The model's own when not stated."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """The model's own when not stated."""
    stop: Items[Annotated[str, Field(min_length=1)]] = ()
    """Texts before which an answer ends."""
    guardrail: GuardrailSpec | None = None
    """What it stops is no usable answer; the reason is kept with the rejects."""
    parameters: JsonObject = {}
    """More parameters, as this model alone knows them (`additionalModelRequestFields`)."""
    assume_role_arn: str = ""
    """A role to assume for asking, for example in another account."""
    price: PriceSpec | None = None
    """What it charges on demand, where the catalogue does not know it. Changing it asks nothing again."""

    def problems(self) -> list[FieldProblem]:
        """A model that writes no text, or not so much of it, or not in that region under its plain name."""
        entry = entry_of(self.model)
        if entry is None:
            return []
        offering = entry.platforms.get(platform_name)
        if offering is None:
            return [FieldProblem("model", f"{entry.title} does not run on Bedrock")]
        if entry.context_tokens is None:
            return [FieldProblem("model", f"{entry.title} does not generate text")]
        found = []
        longest = entry.max_output_tokens
        if longest is not None and self.max_tokens > longest:
            found.append(FieldProblem("max_tokens", f"{entry.title} generates at most {longest:,} tokens"))
        if self.model == entry.name and _needs_another_profile(offering, self.region):
            what = f"'{entry.name}' means {offering.profile_id}, which cannot be called from {self.region}"
            found.append(FieldProblem("model", f"{what}: use the model's id or profile in that region"))
        return found


def _needs_another_profile(offering: Offering, region: str) -> bool:
    american = region.startswith("us-") and not region.startswith("us-gov-")
    return bool(offering.profile_id) and not american


class ConverseText(msgspec.Struct, frozen=True):
    """A piece of an answer; pieces of reasoning have no text."""

    text: str = ""


class ConverseMessage(msgspec.Struct, frozen=True):
    """What the model said."""

    content: list[ConverseText]


class ConverseOutput(msgspec.Struct, frozen=True):
    """The answer."""

    message: ConverseMessage


class ConverseUsage(msgspec.Struct, frozen=True):
    """Tokens, as Bedrock bills them."""

    inputTokens: int = 0
    outputTokens: int = 0


class ConverseReply(msgspec.Struct, frozen=True):
    """The members of a reply that are read."""

    output: ConverseOutput
    usage: ConverseUsage
    stopReason: str = ""


_reply = msgspec.json.Decoder(ConverseReply)


class ConverseTeacher(ReplyTeacher):
    """Asks one model on Bedrock."""

    platform: ClassVar[str] = "bedrock"
    not_asked: ClassVar[frozenset[str]] = frozenset({"kind", "region", "assume_role_arn", "price"})

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        assert isinstance(spec, ConverseSpec)
        self.asking = spec
        self.entry = entry_of(spec.model)
        self._connection: ConverseConnection | None = None

    @property
    @abstractmethod
    def label(self) -> str:
        """What every table calls it."""

    @property
    def model_id(self) -> str:
        """What calls name: the profile behind a name of the catalogue, anything else as it was stated."""
        if self.entry is not None and self.asking.model == self.entry.name:
            return self.entry.on(platform_name).call_id
        return self.asking.model

    def endpoint(self) -> str:
        """The region and the model: quotas of Bedrock are for both together."""
        return f"Bedrock {self.asking.region} {self.model_id}"

    # what is asked

    def asked(self, request: Request) -> dict[str, Any]:
        """The members of a Converse request but for the model."""
        spec = self.asking
        messages = [_turn("user", request.prompt)]
        for repair in request.repairs:
            messages.append(_turn("assistant", repair.answer.rstrip() or "(nothing)"))
            messages.append(_turn("user", repair.error))
        limits = {
            "maxTokens": spec.max_tokens,
            "temperature": spec.temperature,
            "topP": spec.top_p,
            "stopSequences": list(spec.stop) or None,
        }
        members: dict[str, Any] = {
            "messages": messages,
            "inferenceConfig": {name: value for name, value in limits.items() if value is not None},
        }
        if request.system:
            members["system"] = [{"text": request.system}]
        if spec.parameters:
            members["additionalModelRequestFields"] = spec.parameters
        if spec.guardrail is not None:
            members["guardrailConfig"] = {
                "guardrailIdentifier": spec.guardrail.id,
                "guardrailVersion": spec.guardrail.version,
                "trace": "enabled",
            }
        return members

    async def __aenter__(self) -> Self:
        # boto3 takes half a second to load: only a teacher that is really asked pays for it.
        from polytune.asking.converse import ConverseConnection
        from polytune.aws.access import Access

        spec, environment = self.asking, self.settings.environment
        access = Access(spec.region, assume_role_arn=spec.assume_role_arn, environment=environment)
        self._connection = ConverseConnection(self.model_id, access)
        return self

    async def reply(self, request: Request, draw: int) -> Reply:
        """The answer as Converse gave it. Raises Failure, and Paused without credentials."""
        from polytune.asking.converse import kept_body

        assert self._connection is not None, "the teacher is open"
        return self.replied(kept_body(await self._connection.call(self.asked(request))))

    def replied(self, body: bytes, share: float = 1.0) -> Reply:
        """A body with what it cost: `share` of the price on demand."""
        found = self.read(body)
        usage = found.usage if found is not None and found.usage is not None else TokenUsage()
        usd = self.cost(usage.input_tokens, usage.output_tokens, share)
        return Reply(body, Tokens(usage.input_tokens, usage.output_tokens), usd)

    # what it costs

    def price(self) -> Price:
        """As stated, else the catalogue's, else unknown."""
        stated, prices = self.asking.price, self._catalogue_prices
        if stated is not None:
            return stated.price()
        if prices is None:
            return unknown_price(f"set teacher.price to know what {self.model_id} costs")
        known = self.entry.source_of("prices") if self.entry is not None else None
        scale = tokens_per_million / catalogue_tokens
        return Price(
            input_usd_per_million_tokens=prices[0] * scale,
            output_usd_per_million_tokens=prices[1] * scale,
            source=f"{known.where}, {known.date}" if known is not None else "the catalogue",
        )

    @cached_property
    def _catalogue_prices(self) -> tuple[float, float] | None:
        """US dollars for a thousand tokens read and written."""
        prices = prices_of(self.entry, self.settings) if self.entry is not None else None
        if prices is None:
            return None
        read, written = prices.input_usd_per_1k_tokens, prices.output_usd_per_1k_tokens
        if custom_model_arn(self.asking.model):
            read, written = prices.custom_input_usd_per_1k_tokens, prices.custom_output_usd_per_1k_tokens
        return None if read is None or written is None else (read, written)

    def at_most(self, request: Request) -> Cost:
        """Every byte a token, and the longest answer."""
        return self.worst(request, 1.0)

    def worst(self, request: Request, share: float) -> Cost:
        """The same at a share of the price on demand."""
        read = request.bytes + framing_tokens
        longest = self.asking.max_tokens
        return Cost(usd=self.cost(read, longest, share), tokens=read + longest)

    # what is stored

    def read(self, body: bytes) -> ParsedReply | None:
        """What a body says; None when it is no answer of Converse."""
        found = decoded(_reply, body)
        if found is None:
            return None
        text = "".join(block.text for block in found.output.message.content)
        usage = TokenUsage(
            input_tokens=found.usage.inputTokens, output_tokens=found.usage.outputTokens, estimated=False
        )
        return ParsedReply(text, usage, self._flaw_of(found.stopReason))

    def _flaw_of(self, reason: str) -> str:
        flaws = {
            "max_tokens": cut_off(self.asking.max_tokens),
            "guardrail_intervened": "the guardrail intervened",
            "content_filtered": "the model's content filter stopped it",
            "model_context_window_exceeded": "the answer is cut off where the model's context ends",
            "malformed_model_output": "the model's output was malformed",
        }
        return flaws.get(reason, "")


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"text": text}]}
