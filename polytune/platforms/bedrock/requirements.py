"""What an experiment wants of an account: read off its compiled steps, before anything is asked of AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polytune.aws.policies import Facts as PolicyFacts
from polytune.aws.policies import Job
from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, Customization, custom_model_arn
from polytune.engine.compiled import Compiled, CompiledStep
from polytune.platforms.bedrock.models import entry_of
from polytune.platforms.bedrock.requests import Places, platform_name

customizing: Mapping[str, Customization] = {
    "train": "fine_tuning",
    "distill": "distillation",
    "reinforce": "reinforcement_fine_tuning",
}
"""Step kinds, and the customization each asks for."""
converse_teachers = ("bedrock", "bedrock_batch")
"""Teachers that are asked in the account, the second one's last few questions included."""
asking = ("deploy", "evaluate")
"""Step kinds whose caller also deploys or invokes."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One customization job."""

    step: str
    kind: Customization
    base_model: str
    """As the file names it."""
    entry: BaseModelEntry | None
    teacher: BaseModelEntry | None = None


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """One deployment step."""

    step: str
    kind: str
    name: str
    """The stable name; '' for none."""


@dataclass(frozen=True, kw_only=True)
class Wants:
    """What one experiment, or the command line, wants."""

    project: str
    places: Places
    assume_role_arn: str = ""
    trainings: tuple[Training, ...] = ()
    imports: bool = False
    batches: bool = False
    """Whether a teacher answers in batch jobs."""
    deployments: tuple[Deployed, ...] = ()
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


own_functions = "arn:{partition}:lambda:{region}:{account}:function:polytune-reward-*"


def wants_of(compiled: Compiled, places: Places, assume_role_arn: str) -> Wants:
    """What the steps of an experiment on Bedrock want."""
    steps = [step for step in compiled.steps if _kind(step) == "bedrock"]
    teachers = {_kind(step, "teacher") for step in compiled.steps}
    return Wants(
        project=compiled.project,
        places=places,
        assume_role_arn=assume_role_arn,
        trainings=tuple(_training(step) for step in steps if step.kind in customizing),
        imports=any(step.kind == "import_model" for step in steps),
        deployments=tuple(_deployed(step) for step in steps if step.kind == "deploy"),
        batches="bedrock_batch" in teachers,
        invokes=any(step.kind in asking for step in steps) or bool(teachers & set(converse_teachers)),
        functions=tuple(_functions(steps)),
        function_role_arn=next((_function_role(step) for step in steps if _function_role(step)), ""),
        logs=tuple(step.spec["logs"]["uri"] for step in steps if step.spec.get("logs")),
    )


def _function_role(step: CompiledStep) -> str:
    reward: Any = step.spec.get("reward")
    return str(reward.get("function_role_arn") or "") if isinstance(reward, Mapping) else ""


def _kind(step: CompiledStep, family: str = "platform") -> str:
    """The kind of the step's platform, or of another member that it states."""
    member: Any = step.spec.get(family)
    return str(member.get("kind")) if isinstance(member, Mapping) else ""


def _training(step: CompiledStep) -> Training:
    named = str(step.spec["base_model"])
    teacher = step.spec.get("teacher_model")
    return Training(
        step=step.id,
        kind=customizing[step.kind],
        base_model=custom_model_arn(named) or named,
        entry=entry_of(named),
        teacher=BASE_MODELS.get(str(teacher)) if teacher else None,
    )


def _deployed(step: CompiledStep) -> Deployed:
    return Deployed(step=step.id, kind=str(step.spec["kind"]), name=str(step.spec.get("name") or ""))


def _functions(steps: Sequence[CompiledStep]) -> Iterator[str]:
    for step in steps:
        if step.kind == "reinforce":
            yield str(step.spec["reward"].get("function_arn") or own_functions)


def _teachers(trainings: Sequence[Training]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of models and of profiles that distillation jobs invoke."""
    found = [each.teacher.on(platform_name) for each in trainings if each.teacher]
    direct = [one for one in found if "on_demand" in one.teacher_invocation or one.profile_id is None]
    routed = [one for one in found if one not in direct]
    return (
        tuple(dict.fromkeys(one.inference_id for one in direct)),
        tuple(dict.fromkeys(str(one.profile_id) for one in routed)),
    )
