"""What an experiment needs of an AWS account: its steps' requirements, in the terms of IAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polytune.aws.policies import Facts as PolicyFacts
from polytune.aws.policies import Job
from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, custom_model_arn
from polytune.engine.step import Requirement
from polytune.platforms.bedrock.models import entry_of
from polytune.platforms.bedrock.requests import Places, platform_name
from polytune.platforms.interface import (
    CustomizationKind,
    CustomizationRequirement,
    DeploymentRequirement,
    ImportRequirement,
    InvocationRequirement,
    TeacherRequirement,
)

own_functions = "arn:{partition}:lambda:{region}:{account}:function:polytune-reward-*"
"""How polytune names the functions it deploys, up to the digest of their code."""


@dataclass(frozen=True, kw_only=True)
class RequiredTraining:
    """One customization job."""

    step: str
    kind: CustomizationKind
    base_model: str
    """As the file names it."""
    entry: BaseModelEntry | None
    teacher: BaseModelEntry | None = None


@dataclass(frozen=True, kw_only=True)
class RequiredDeployment:
    """One deployment step."""

    step: str
    kind: str
    name: str
    """The stable name; '' for none."""


@dataclass(frozen=True, kw_only=True)
class AccountRequirements:
    """What one experiment, or the command line, needs."""

    project: str
    places: Places
    assume_role_arn: str = ""
    trainings: tuple[RequiredTraining, ...] = ()
    imports: bool = False
    batches: bool = False
    """Whether a teacher answers in batch jobs."""
    deployments: tuple[RequiredDeployment, ...] = ()
    invokes: bool = False
    """Whether the caller asks models."""
    function_role_arn: str = ""
    """The role of a grader file's function."""
    functions: tuple[str, ...] = ()
    """Lambda functions that reward answers: ARNs, or what polytune will name them, up to the digest."""
    logs: tuple[str, ...] = ()
    """Prefixes of invocation logs."""

    def policy_facts(self, account: str, partition: str = "aws") -> PolicyFacts:
        """The same in the terms of IAM."""
        jobs: list[Job] = ["model-customization-job"] if self.trainings else []
        jobs += ["model-import-job"] if self.imports else []
        jobs += ["model-invocation-job"] if self.batches else []
        places = self.places
        prefix = "/".join(filter(None, (places.prefix, self.project)))
        models, profiles = _teachers(self.trainings)
        return PolicyFacts(
            account=account,
            region=places.region,
            jobs=tuple(jobs) or ("model-customization-job",),
            reads=(f"s3://{places.bucket}/{prefix}", *self.logs) if places.bucket else self.logs,
            writes=(places.outputs(self.project),) if places.output_bucket else (),
            kms_key_arns=(places.kms_key_arn,) if places.kms_key_arn else (),
            subnet_ids=places.subnet_ids,
            security_group_ids=places.security_group_ids,
            function_arns=tuple(
                each.format(region=places.region, account=account, partition=partition)
                for each in self.functions
            ),
            publishes_function_with=self.function_role_arn,
            invoked_models=models,
            invoked_profiles=profiles,
            deploys=self.invokes or bool(self.deployments),
            partition=partition,
        )


def requirements_of(
    project: str,
    places: Places,
    assume_role_arn: str,
    requirements: Sequence[tuple[str, Requirement]],
) -> AccountRequirements:
    """What an experiment needs, from what each of its steps (by id) asks of the platform."""
    asked = [each for _, each in requirements]
    customizations = [each for each in asked if isinstance(each, CustomizationRequirement)]
    rewarded = [each for each in customizations if each.kind == "reinforcement_fine_tuning"]
    teachers = [each for each in asked if isinstance(each, TeacherRequirement)]
    invokes = (InvocationRequirement, DeploymentRequirement, TeacherRequirement)
    return AccountRequirements(
        project=project,
        places=places,
        assume_role_arn=assume_role_arn,
        trainings=tuple(
            _training(step, each) for step, each in requirements if isinstance(each, CustomizationRequirement)
        ),
        imports=any(isinstance(each, ImportRequirement) for each in asked),
        batches=any(each.batches for each in teachers),
        deployments=tuple(
            RequiredDeployment(step=step, kind=each.kind, name=each.name)
            for step, each in requirements
            if isinstance(each, DeploymentRequirement)
        ),
        invokes=any(isinstance(each, invokes) for each in asked),
        function_role_arn=next((each.grader_role for each in rewarded if each.grader_role), ""),
        functions=tuple(each.grader_function or own_functions for each in rewarded),
        logs=tuple(each.logs for each in customizations if each.logs),
    )


def _training(step: str, asked: CustomizationRequirement) -> RequiredTraining:
    return RequiredTraining(
        step=step,
        kind=asked.kind,
        base_model=custom_model_arn(asked.base_model) or asked.base_model,
        entry=entry_of(asked.base_model),
        teacher=BASE_MODELS.get(asked.teacher_model) if asked.teacher_model else None,
    )


def _teachers(trainings: Sequence[RequiredTraining]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of models and of profiles that distillation jobs invoke."""
    found = [each.teacher.on(platform_name) for each in trainings if each.teacher]
    direct = [one for one in found if "on_demand" in one.teacher_invocation or one.profile_id is None]
    routed = [one for one in found if one not in direct]
    return (
        tuple(dict.fromkeys(one.inference_id for one in direct)),
        tuple(dict.fromkeys(str(one.profile_id) for one in routed)),
    )
