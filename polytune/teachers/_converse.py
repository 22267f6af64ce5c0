"""Shared by the teachers on Bedrock: one Converse request per answer, stored as Converse returned it.

A question has the same identity when asked alone, in a batch, and in any region: a preview through `bedrock`
is paid once, and `bedrock_batch` then asks only for the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import msgspec
from pydantic import AfterValidator, Field

from polytune.asking.reply import Reply, Tokens
from polytune.aws.stated import credentials_obstacle
from polytune.base_models.interface import (
    BASE_MODELS,
    BaseModelEntry,
    Offering,
    custom_model_arn,
    end_of_life_obstacle,
    name_of,
)
from polytune.data.prices import prices_of
from polytune.engine.budget import Cost
from polytune.errors import Obstacle, PolytuneError
from polytune.fingerprint import Json
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
"""The platform whose model ids these teachers use."""
catalogue_tokens = 1_000
"""The number of tokens that a price in the catalogue is for."""


def checked_model(name: str) -> str:
    """Return a spec's `model` unchanged. Raises ValueError for a plain name that is not in the catalogue.

    Ids and ARNs, which contain a dot or a colon, pass: AWS has more models than the catalogue.
    """
    if "." in name or ":" in name:
        return name
    try:
        name_of(name)
    except PolytuneError as error:
        raise ValueError(str(error)) from error
    return name


def entry_of(model: str) -> BaseModelEntry | None:
    """The catalogue entry of a model given by name, id, profile or ARN; None if it has none."""
    try:
        return BASE_MODELS.get(name_of(model))
    except PolytuneError:
        return None


class GuardrailSpec(Spec):
    """A Bedrock guardrail that checks prompts and answers."""

    id: Annotated[str, Field(pattern=r"^([a-z0-9]+|arn:aws[^:]*:bedrock:[^:]+:\d{12}:guardrail/[a-z0-9]+)$")]
    """The guardrail's id or ARN."""
    version: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,7}|DRAFT)$")] = "DRAFT"
    """The guardrail's version."""


class ConverseSpec(TeacherSpec):
    """A model on Bedrock and its inference parameters."""

    model: Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(checked_model)]
    """A catalogue name (nova-pro), an AWS model id, an inference profile, or the ARN of a model, a profile
    or a deployment."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] = "us-east-1"
    """The AWS region to call. Stored answers stay valid when it changes."""
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    """The maximum length of an answer in tokens; answers cut off there are not used. Bedrock counts this
    maximum against the quota."""
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    """The sampling temperature. Default: the model's own."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """The nucleus sampling threshold. Default: the model's own."""
    stop: Items[Annotated[str, Field(min_length=1)]] = ()
    """Stop sequences: an answer ends before any of these texts."""
    guardrail: GuardrailSpec | None = None
    """The guardrail to apply. Answers that it blocks are not used; the reason is kept with the rejects."""
    parameters: JsonObject = {}
    """Additional parameters specific to this model (`additionalModelRequestFields`)."""
    assume_role_arn: str = ""
    """The role to assume for calls, for example in another account."""
    price: PriceSpec | None = None
    """The on-demand price, if the catalogue does not have it. Stored answers stay valid when it changes."""

    def problems(self) -> list[FieldProblem]:
        """Problems of a model that generates no text, has a lower output limit, or is not available in that
        region under its plain name."""
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
    # The catalogue's profiles begin with `us.`, which routes within the commercial US regions only.
    american = region.startswith("us-") and not region.startswith("us-gov-")
    return bool(offering.profile_id) and not american


class ConverseText(msgspec.Struct, frozen=True):
    """A content block of an answer; reasoning blocks have no text."""

    text: str = ""


class ConverseMessage(msgspec.Struct, frozen=True):
    """The model's message."""

    content: list[ConverseText]


class ConverseOutput(msgspec.Struct, frozen=True):
    """The answer."""

    message: ConverseMessage


class ConverseUsage(msgspec.Struct, frozen=True):
    """Token counts as billed by Bedrock."""

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

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        assert isinstance(spec, ConverseSpec)
        self.asking = spec
        self.entry = entry_of(spec.model)
        self._connection: ConverseConnection | None = None

    @property
    @abstractmethod
    def label(self) -> str:
        """The name shown in tables."""

    @property
    def model_id(self) -> str:
        """The id used in calls: the inference profile of a catalogue name, anything else as stated."""
        if self.entry is not None and self.asking.model == self.entry.name:
            return self.entry.on(platform_name).call_id
        return self.asking.model

    def endpoint(self) -> str:
        """The region and the model: Bedrock's quotas are per model and region."""
        return f"Bedrock {self.asking.region} {self.model_id}"

    def missing(self) -> Obstacle | None:
        """That the model has reached its end of life, or that there are no credentials to ask it with."""
        settings = self.settings
        # The stand-ins of a rehearsal know no calendar.
        if self.entry is not None and not settings.rehearsal:
            ended = end_of_life_obstacle(self.entry, datetime.now(UTC).date())
            if ended is not None:
                return replace(ended, field="teacher.model")
        return credentials_obstacle(settings.environment)

    # requests

    def asked(self, request: Request) -> dict[str, Any]:
        """The members of a Converse request, without the model."""
        spec = self.asking
        messages = [_turn("user", request.prompt)]
        for repair in request.repairs:
            # Converse refuses blank text blocks.
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

    def sent(self, request: Request) -> Json:
        """The model and the request. Not the region, nor whether it is sent in a batch."""
        return {"model": self.model_id, "converse": self.asked(request)}

    async def __aenter__(self) -> Self:
        # boto3 takes half a second to load, so import it only when the teacher is used.
        from polytune.asking.converse import ConverseConnection
        from polytune.aws.access import Access

        spec, environment = self.asking, self.settings.environment
        access = Access(spec.region, assume_role_arn=spec.assume_role_arn, environment=environment)
        self._connection = ConverseConnection(self.model_id, access)
        return self

    async def reply(self, request: Request, draw: int) -> Reply:
        """Return the answer as received from Converse. Raises Failure, and Paused without credentials."""
        from polytune.asking.converse import kept_body

        assert self._connection is not None, "the teacher is open"
        return self.replied(kept_body(await self._connection.call(self.asked(request))))

    def replied(self, body: bytes, share: float = 1.0) -> Reply:
        """A body with its cost at `share` of the on-demand price."""
        found = self.read(body)
        usage = found.usage if found is not None and found.usage is not None else TokenUsage()
        usd = self.cost(usage.input_tokens, usage.output_tokens, share)
        return Reply(body, Tokens(usage.input_tokens, usage.output_tokens), usd)

    # cost

    def price(self) -> Price:
        """The price stated in the spec, else the catalogue's, else unknown."""
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
        """US dollars per thousand input and output tokens."""
        prices = prices_of(self.entry, self.settings) if self.entry is not None else None
        if prices is None:
            return None
        read, written = prices.input_usd_per_1k_tokens, prices.output_usd_per_1k_tokens
        if custom_model_arn(self.asking.model):
            read, written = prices.custom_input_usd_per_1k_tokens, prices.custom_output_usd_per_1k_tokens
        return None if read is None or written is None else (read, written)

    def at_most(self, request: Request) -> Cost:
        """The cost if every input byte were a token and the answer had the maximum length."""
        return self.worst(request, 1.0)

    def worst(self, request: Request, share: float) -> Cost:
        """The same as `at_most` at a share of the on-demand price."""
        read = request.bytes + framing_tokens
        longest = self.asking.max_tokens
        return Cost(usd=self.cost(read, longest, share), tokens=read + longest)

    # stored bodies

    def read(self, body: bytes) -> ParsedReply | None:
        """Parse a stored body; None when it is not a Converse response."""
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
