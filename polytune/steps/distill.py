"""distill: a larger model on the platform teaches a smaller one, as one managed job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from polytune.base_models.interface import BASE_MODELS
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact
from polytune.engine.step import Estimate, KeyFacts, Outcome, Port, Scope, Step, Work
from polytune.errors import Unavailable
from polytune.platforms.interface import open_platform
from polytune.spec.model import CatalogueName, FieldProblem, Inherited, Member, MemberSpec, Spec


class DistillSpec(Spec):
    """Lets a teacher model of the platform answer the dataset's prompts and trains the student on them."""

    base_model: Annotated[str, CatalogueName("base_models"), AfterValidator(BASE_MODELS.checked)]
    """The student."""
    teacher_model: Annotated[str, CatalogueName("base_models"), AfterValidator(BASE_MODELS.checked)]
    """The teacher; it must be one that the catalogue pairs with the student."""
    max_response_tokens: Annotated[int, Field(ge=1, le=8192)] = 1000
    """Longest answer of the teacher."""
    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """Where to distill."""

    def problems(self) -> list[FieldProblem]:
        """A pair that the platform does not offer."""
        teachers = BASE_MODELS.get(self.base_model).teachers
        if self.teacher_model in teachers:
            return []
        choice = f"Its teachers: {', '.join(teachers)}" if teachers else "It cannot be distilled into"
        return [
            FieldProblem("teacher_model", f"{self.teacher_model} does not teach {self.base_model}. {choice}")
        ]


class Distill(Step):
    """A custom model made by distillation."""

    version = 1
    Spec = DistillSpec
    consumes: ClassVar = {"dataset": Port(("RemoteDataset",))}
    produces = "CustomModel"

    def __init__(self, spec: DistillSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.spec = spec
        self.platform = open_platform(spec.platform, scope.root, scope.settings)

    def key_facts(self) -> KeyFacts:
        """The ids of student and teacher."""
        student, teacher = (BASE_MODELS.get(n) for n in (self.spec.base_model, self.spec.teacher_model))
        return KeyFacts({"training_id": student.training_id, "teacher_id": teacher.inference_id})

    def missing(self) -> str:
        """No platform of this release distills."""
        return self.platform.missing() or f"platform {self.platform.name} has no managed distillation"

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Unknown in this release."""
        return Estimate(note="teacher answers and student training; prices are not modelled yet")

    async def run(self, work: Work) -> Outcome:
        """Raises Unavailable: see `missing`."""
        raise Unavailable(self.missing())
