"""reinforce: reinforcement fine-tuning, in which your grader rewards the model's own answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import AfterValidator, Field

from polytune.base_models.interface import Number, checked_base_model, stated_base_model
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact, Facts, KeyRecord
from polytune.engine.step import Estimate, KeyFacts, Outcome, Port, Requirement, Work
from polytune.errors import Obstacle, StepFailed
from polytune.platforms.interface import Customization, CustomizationRequirement, RewardTrial
from polytune.programs.packaged import PackagedProgram, ProgramPlace, packaged
from polytune.spec.model import (
    CatalogueName,
    Effective,
    FieldProblem,
    InputFile,
    Items,
    JsonObject,
    NamesPaths,
    Spec,
)
from polytune.steps import _customizing as customizing
from polytune.steps._platform import PlatformStep, PlatformStepSpec

words = (
    "epochs",
    "batch_size",
    "learning_rate",
    "max_prompt_tokens",
    "samples_per_prompt",
    "max_response_tokens",
    "reasoning_effort",
    "evaluation_interval",
)
"""Fields whose range and default depend on the base model."""
layout = "bedrock-rft"
lambda_arn = r"^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:.+$"
# Enough to find a grader that crashes or returns no number, before a paid job does.
rows_tried = 20


class RewardSpec(Spec):
    """The reward: an existing function, or a Python file that is deployed as one."""

    function_arn: Annotated[str, Field(pattern=lambda_arn)] | None = None
    """Lambda function that follows Bedrock's contract for reward functions."""
    file: InputFile | None = None
    """Python file with `grade(sample) -> number from 0 to 1`. It is tried here, packaged and deployed,
    with the modules that it imports from its own folder."""
    files: Annotated[Items[str], NamesPaths()] = ()
    """Further files of that folder that it reads: paths or patterns such as `data/*.json`, relative to this
    file. They are packaged with it; open them by their place beside it, `Path(__file__).with_name(...)`."""
    function_role_arn: str = ""
    """Role that the deployed function runs with; required with `file`."""
    timeout_seconds: Annotated[int, Field(ge=1, le=900)] = 60
    """Maximum duration of one call of the deployed function."""
    of_file: ClassVar = ("files", "function_role_arn", "timeout_seconds")
    """Fields of a function that is made from `file`."""

    def problems(self) -> list[FieldProblem]:
        """Report anything but exactly one grader, and a file without the role that its function needs."""
        if (self.file is None) == (self.function_arn is None):
            return [FieldProblem("", "set either `file:` or `function_arn:`")]
        if self.file is None:
            fields = type(self).model_fields
            stated = [name for name in self.of_file if getattr(self, name) != fields[name].default]
            return [FieldProblem(name, "only with `file:`, which is deployed with it") for name in stated]
        if not self.function_role_arn:
            what = "required with `file`: the role that the deployed Lambda function runs with"
            return [FieldProblem("function_role_arn", what)]
        return []


class ReinforceSpec(PlatformStepSpec):
    """Reinforcement fine-tuning (GRPO) with your own reward."""

    base_model: Annotated[str, CatalogueName("base_models"), AfterValidator(checked_base_model)]
    """Base model: a catalogue name such as `nova-2-lite`, an AWS id, or the ARN of a custom model to continue
    from."""
    reward: RewardSpec
    """The reward for the answers."""
    epochs: Annotated[Annotated[int, Field(ge=1)] | None, Effective()] = None
    """Passes over the training split."""
    batch_size: Annotated[Annotated[int, Field(ge=1)] | None, Effective()] = None
    """Prompts per step."""
    learning_rate: Annotated[Annotated[float, Field(gt=0)] | None, Effective()] = None
    """Peak learning rate."""
    max_prompt_tokens: Annotated[Annotated[int, Field(ge=1)] | None, Effective()] = None
    """Maximum length of a prompt, in tokens."""
    samples_per_prompt: Annotated[Annotated[int, Field(ge=1)] | None, Effective()] = None
    """Answers per prompt, which are compared with each other."""
    max_response_tokens: Annotated[Annotated[int, Field(ge=1)] | None, Effective()] = None
    """Maximum length of an answer, in tokens."""
    reasoning_effort: Annotated[Literal["low", "medium", "high"] | None, Effective()] = None
    """Amount of reasoning before the model answers."""
    evaluation_interval: Annotated[Annotated[int, Field(ge=1)] | None, Effective()] = None
    """Steps between two evaluations on the validation split."""

    def problems(self) -> list[FieldProblem]:
        """Report a base model without reinforcement fine-tuning, and values outside its ranges."""
        entry = stated_base_model(self.base_model)
        values = customizing.stated(self, words)
        return customizing.fitting_problems(entry, "reinforcement_fine_tuning", self.platform.kind, values)

    @classmethod
    def schema_rules(cls) -> list[JsonObject]:
        """Return each base model's ranges and defaults."""
        return customizing.schema_rules(words, "reinforcement_fine_tuning")


class Reinforce(PlatformStep):
    """A custom model made by reinforcement fine-tuning."""

    version = 1
    Spec = ReinforceSpec
    spec: ReinforceSpec
    offer = "reinforcement_fine_tuning"
    consumes: ClassVar = {
        "dataset": Port(("RemoteDataset",)),
        "rows": Port(("CheckedDataset",)),
        "model": Port(("CustomModel",), optional=True, explicit=True),
    }
    produces = "CustomModel"

    def missing(self) -> Obstacle | None:
        """Return what the platform is missing here, or why it does not train the base model now."""
        return customizing.refused(self, self.spec.base_model)

    def key_facts(self) -> KeyFacts:
        """Return the effective hyperparameters, the base model's id, and what the environment determines."""
        around = self.platform.key_facts()
        entry = stated_base_model(self.spec.base_model)
        training_id = entry.on(self.spec.platform.kind).training_id
        facts: Facts = {"training_id": training_id, "hyperparameters": self._hyperparameters()}
        reward = self._reward
        if reward is None:
            return KeyFacts({**facts, **around.facts}, environment=around.environment)
        # Absent when empty: a reward in a single file has the key that it always had.
        if further := reward.facts():
            facts["reward_files"] = further
        return KeyFacts({**facts, **around.facts}, reward.watched, around.environment)

    @cached_property
    def _reward(self) -> PackagedProgram | None:
        """The reward file with all that travels with it; None for a function that exists already."""
        if self.spec.reward.file is None:
            return None
        file, names = self.files["reward.file"], self.platform.reward_names
        place = ProgramPlace(file, self.scope.folder_of("reward.files"), self.scope.root, names)
        only_warns = self.scope.settings.undeclared_inputs == "warn"
        return packaged(place, self.spec.reward.files, only_warns=only_warns)

    def _hyperparameters(self) -> dict[str, Number | str]:
        entry = stated_base_model(self.spec.base_model)
        return customizing.in_force(
            entry, entry.reinforcement or {}, customizing.stated(self.spec, words), None
        )

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Return no price: none for reinforcement fine-tuning has a source."""
        return Estimate(note="price unknown: no sourced price for reinforcement fine-tuning; Lambda is extra")

    def requirements(self) -> Sequence[Requirement]:
        """Return the permission for a reinforcement job, which calls the reward function."""
        reward = self.spec.reward
        return [
            CustomizationRequirement(
                platform=self.platform.name,
                spec=self.platform.spec,
                kind="reinforcement_fine_tuning",
                base_model=self.spec.base_model,
                grader_function=reward.function_arn or "",
                grader_role=reward.function_role_arn,
            )
        ]

    async def run(self, work: Work) -> Outcome:
        """Try and deploy the grader if it is a file, then train."""
        spec, dataset = self.spec, work.inputs["dataset"]
        if dataset.facts["layout"] != layout:
            raise StepFailed(
                f"the dataset is in layout {dataset.facts['layout']}; reinforcement needs"
                f" `format: {{layout: {layout}}}`"
            )
        trial = RewardTrial({})
        function = spec.reward.function_arn or ""
        if self._reward is not None:
            _check_keyed(self._reward, work.record)
            rollouts = await asyncio.to_thread(_rollouts, work.path("rows", "train.jsonl"))
            # Tried here first: a grader that fails in a job costs hours and money.
            trial = await asyncio.to_thread(self.platform.try_reward, self._reward, rollouts)
            role, limit = spec.reward.function_role_arn, spec.reward.timeout_seconds
            function = await asyncio.to_thread(self.platform.publish_reward, self._reward, role, limit)
        name = customizing.short_name(spec.base_model)
        ask = Customization(
            kind="reinforcement_fine_tuning",
            base_model=name,
            starts_from=customizing.starting_point(spec.base_model, work.inputs.get("model")),
            hyperparameters=self._hyperparameters(),
            layout=layout,
            label=self.label("reinforce"),
            grader=function,
        )
        facts = {
            "layout": layout,
            "system": dataset.facts["system"],
            "base_model": name,
            "platform": spec.platform.kind,
        }
        outcome = await customizing.customized(self, work, ask, facts)
        return Outcome(
            files=outcome.files,
            facts=outcome.facts,
            metrics={**outcome.metrics, **trial.metrics},
            resources={**outcome.resources, "reward": function},
            warnings=trial.warnings,
        )


def _check_keyed(reward: PackagedProgram, record: KeyRecord | None) -> None:
    """Raise StepFailed if the package was read after an edit that the key does not know of."""
    if record is None:
        return
    keyed = {"": record.files["reward.file"], **record.facts.get("reward_files", {})}
    if keyed != {"": reward.main_digest, **reward.facts()}:
        raise StepFailed(f"{reward.place.main} or a file that travels with it has just changed. Run again")


class _RewardRow(msgspec.Struct):
    """A training row of the layout; other fields are passed to the grader unchanged."""

    messages: list[dict[str, Any]]
    reference_answer: Any = None


def _rollouts(path: Path) -> list[dict[str, Any]]:
    """Return what Bedrock would send for the first rows if the model gave the reference answers."""
    found = []
    with path.open("rb") as file:
        for number, line in enumerate(islice(file, rows_tried), start=1):
            row = msgspec.json.decode(line, type=_RewardRow)
            extra = msgspec.json.decode(line)
            metadata = {name: value for name, value in extra.items() if name not in ("messages", "id")}
            given = row.reference_answer
            text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
            messages = [*row.messages, {"role": "assistant", "content": text}]
            found.append({"id": str(extra.get("id", number)), "messages": messages, "metadata": metadata})
    return found
