"""continued_pre_training: a customization type that Bedrock's API still names and no model takes any more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from polytune.base_models.interface import checked_base_model, find_base_model
from polytune.engine.step import Outcome, Port, Scope, Step, Work
from polytune.errors import Unavailable
from polytune.spec.model import CatalogueName, FieldProblem, Inherited, Member, MemberSpec, Spec
from polytune.steps._customizing import untunable


class ContinuedPreTrainingSpec(Spec):
    """Refused for every base model, with the reason."""

    base_model: Annotated[str, CatalogueName("base_models"), AfterValidator(checked_base_model)]
    """A name of the catalogue."""
    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """Where to train."""

    def problems(self) -> list[FieldProblem]:
        """Why it cannot be."""
        reason = untunable(find_base_model(self.base_model, Path()), "continued_pre_training")
        return [FieldProblem("base_model", f"{reason}, the step `train`")]


class ContinuedPreTraining(Step):
    """No experiment with it compiles."""

    Spec = ContinuedPreTrainingSpec
    consumes: ClassVar = {"dataset": Port(("RemoteDataset",), optional=True)}
    produces = "Nothing"
    """No type that another step takes, so that nobody is advised to add this one."""

    def __init__(self, spec: ContinuedPreTrainingSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)

    async def run(self, work: Work) -> Outcome:
        """Raises Unavailable: its spec is refused before."""
        raise Unavailable("no model takes continued pre-training on Bedrock any more")
