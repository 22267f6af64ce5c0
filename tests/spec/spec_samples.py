"""Spec classes that only the tests of `polytune/spec` know: four steps, and two members of each family."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from hypothesis import HealthCheck, settings
from pydantic import Field

from polytune.registry import UnknownMember
from polytune.spec.model import (
    CatalogueName,
    FieldProblem,
    Inherited,
    InputFile,
    Items,
    Member,
    MemberSpec,
    Secret,
    Spec,
)

STEADY = settings(suppress_health_check=[HealthCheck.too_slow])
"""Examples that take long to make, on machines of any speed."""


class Step(Spec):
    """What the sample steps share."""

    shared_keys: ClassVar[tuple[str, ...]] = ("uses", "from", "needs")


class Composer(MemberSpec):
    """Composes answers."""

    kind: Literal["composer"]
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """How far answers vary."""


class Polychat(MemberSpec):
    """Asks a chat service."""

    kind: Literal["polychat"]
    model: str
    """The service's name of the model."""
    api_key: Secret | None = None
    """The key of the service."""
    headers: dict[str, Secret] = {}
    """Further secrets, by header."""


class Regex(MemberSpec):
    """Passes what fits a pattern."""

    kind: Literal["regex"]
    pattern: Annotated[str, Field(min_length=1)]
    """The pattern."""


class Python(MemberSpec):
    """Asks a Python file."""

    kind: Literal["python"]
    path: InputFile
    """The file."""


class Local(MemberSpec):
    """This machine."""

    kind: Literal["local"]


class Bedrock(MemberSpec):
    """The cloud."""

    kind: Literal["bedrock"]
    region: Literal["us-east-1", "us-west-2"] = "us-east-1"
    """Where."""
    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    """The bucket for data."""


class Split(Spec):
    """Shares of the records."""

    train: Annotated[float, Field(gt=0, le=1)] = 0.8
    """For training."""
    test: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """For the comparison."""

    def problems(self) -> list[FieldProblem]:
        """The shares must be the whole."""
        total = self.train + self.test
        return [] if abs(total - 1) < 1e-9 else [FieldProblem("", f"the shares add up to {total:g}, not 1")]


class Generate(Step):
    """Asks a teacher."""

    prompts: InputFile
    """The prompts."""
    teacher: Annotated[MemberSpec, Member("teachers")]
    """Who answers."""
    count: Annotated[int, Field(ge=1, le=100000)] = 10
    """How many."""
    matrix: dict[str, Items[str | int | float]] = {}
    """Axis -> values."""
    graders: Annotated[Items[MemberSpec], Member("graders")] = ()
    """Who judges."""
    fallbacks: Items[Annotated[MemberSpec, Member("teachers")]] = ()
    """Who else answers."""
    on_reject: Literal["drop", "redraw", "keep"] = "drop"
    """What happens to a bad answer."""
    seed: Annotated[int, Inherited()] = 0
    """Where randomness starts."""

    def problems(self) -> list[FieldProblem]:
        """A redraw needs somebody who rejects."""
        if self.on_reject == "redraw" and not self.graders:
            return [FieldProblem("on_reject", "nobody rejects; name graders")]
        return []


class Format(Step):
    """Makes records."""

    layout: Literal["bedrock-conversation-2024", "prompt-completion"] = "bedrock-conversation-2024"
    """The record layout."""
    system: Literal["full", "short", "none"] | dict[str, str] = "full"
    """The system prompt."""
    split: Split = Split()
    """The shares."""
    shuffle: bool = True
    """Whether the order is changed."""


class Train(Step):
    """Trains."""

    base_model: Annotated[str, CatalogueName("base_models")]
    """What to start from."""
    epochs: Annotated[int, Field(ge=1, le=5)] = 2
    """How often each record is seen."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    """How far each step goes."""
    warmup: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Steps before the full rate."""
    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """Where."""


class Deploy(Step):
    """Deploys."""

    kind: Literal["on_demand", "provisioned"]
    """How it is paid."""
    ttl: str | None = None
    """When it is torn down."""


STEPS: dict[str, type[Spec]] = {"generate": Generate, "format": Format, "train": Train, "deploy": Deploy}
MEMBERS: dict[str, dict[str, type[Spec]]] = {
    "teachers": {"composer": Composer, "polychat": Polychat},
    "graders": {"regex": Regex, "python": Python},
    "platforms": {"local": Local, "bedrock": Bedrock},
}
NAMES = {"base_models": ["tiny-llama", "nova-lite"]}
NOUNS = {"steps": "step kind", "teachers": "teacher", "graders": "grader", "platforms": "platform"}


def sample_member(family: str, kind: str) -> type[Spec]:
    """The sample spec class of a member. Raises UnknownMember, with the nearest name."""
    known = STEPS if family == "steps" else MEMBERS[family]
    if kind not in known:
        raise UnknownMember(NOUNS[family], kind, list(known))
    return known[kind]
