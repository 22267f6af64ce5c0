"""train: supervised fine-tuning of a base model on an uploaded dataset, as a job on the platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from polytune.base_models.interface import (
    BaseModelEntry,
    Number,
    checked_base_model,
    is_folder,
    stated_base_model,
)
from polytune.data.prices import prices_of
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.step import Estimate, KeyFacts, Outcome, Port, Requirement, Work
from polytune.errors import Obstacle
from polytune.fingerprint import stated
from polytune.platforms.interface import Customization, CustomizationRequirement
from polytune.settings import Settings
from polytune.spec.model import CatalogueName, Effective, FieldProblem, Inherited, JsonObject, NameOrFolder
from polytune.steps import _customizing as customizing
from polytune.steps._platform import PlatformStep, PlatformStepSpec

words = (
    "epochs",
    "learning_rate",
    "warmup_steps",
    "batch_size",
    "steps",
    "learning_rate_multiplier",
    "early_stopping_threshold",
    "early_stopping_patience",
)
"""Fields whose range and default depend on the base model."""
price_unknown = "price unknown: no sourced training price for {}; POLYTUNE_PRICES may state one"
token_error = 0.25
"""Assumed relative error of a token count estimated from characters."""


class TrainSpec(PlatformStepSpec):
    """Fine-tunes a base model; settings that are left out take the base model's default."""

    base_model: Annotated[
        NameOrFolder, CatalogueName("base_models", is_closed=False), AfterValidator(checked_base_model)
    ]
    """Base model: a catalogue name such as `nova-lite`, an AWS id, the ARN of a custom model to train
    further, or the path of a Hugging Face folder."""
    epochs: customizing.Count = None
    """Passes over the training split; `auto` follows AWS's published rule for the size of the dataset."""
    learning_rate: customizing.Rate = None
    """Peak learning rate, or `auto`."""
    warmup_steps: customizing.Steps = None
    """Steps over which the learning rate rises to its peak, or `auto`."""
    batch_size: customizing.Count = None
    """Rows per step."""
    steps: customizing.Count = None
    """Training steps, for models that count steps instead of epochs."""
    learning_rate_multiplier: Annotated[Annotated[float, Field(gt=0)] | None, Effective()] = None
    """Factor on the learning rate, for models that choose the rate themselves."""
    early_stopping_threshold: Annotated[Annotated[float, Field(ge=0)] | None, Effective()] = None
    """Smallest improvement of the validation loss that counts."""
    early_stopping_patience: Annotated[Annotated[int, Field(ge=1)] | None, Effective()] = None
    """Number of evaluations without improvement after which training ends."""
    method: Literal["lora", "full"] | None = None
    """Local models only: `lora` trains adapters on every linear layer, `full` all weights."""
    lora_rank: Annotated[Annotated[int, Field(ge=1, le=1024)] | None, Effective()] = None
    """Local models with `method: lora` only: rank of the adapters."""
    seed: Annotated[int, Inherited()] = 0
    """Seed of initial weights and of the order of rows."""

    def problems(self) -> list[FieldProblem]:
        """Report settings outside the base model's ranges, and a base model of another platform."""
        entry = stated_base_model(self.base_model)
        values = customizing.stated(self, words)
        found = customizing.fitting_problems(entry, "fine_tuning", self.platform.kind, values)
        return found + self._method_problems(entry)

    def _method_problems(self, entry: BaseModelEntry) -> list[FieldProblem]:
        """Report a method that the base model does not have, and settings of another method."""
        methods = [each for offering in entry.platforms.values() for each in offering.methods]
        if not methods:
            what = f"{entry.name} has none; its platform chooses the method"
            return [FieldProblem(word, what) for word in ("method", "lora_rank") if getattr(self, word)]
        method = self.method or methods[0]
        if method not in methods:
            return [FieldProblem("method", f"{entry.name} can only be trained with {' or '.join(methods)}")]
        if self.lora_rank is not None and method != "lora":
            return [FieldProblem("lora_rank", "only with `method: lora`; here all weights are trained")]
        return []

    @classmethod
    def schema_rules(cls) -> list[JsonObject]:
        """Return each base model's ranges and defaults, where the file names the base model itself."""
        return customizing.schema_rules(words, "fine_tuning")


class Train(PlatformStep):
    """A custom model: its files where the platform provides them, and what is needed to use it."""

    version = 1
    Spec = TrainSpec
    spec: TrainSpec
    offer = "fine_tuning"
    consumes: ClassVar = {
        "dataset": Port(("RemoteDataset",)),
        "model": Port(("CustomModel",), optional=True, explicit=True),
    }
    produces = "CustomModel"

    def missing(self) -> Obstacle | None:
        """Return what the platform is missing here, or why it does not train the base model now."""
        return customizing.refused(self, self.spec.base_model)

    def key_facts(self) -> KeyFacts:
        """Return the effective hyperparameters, the rules behind `auto`, and the base model's identity."""
        entry = self._entry()
        facts: Facts = {"hyperparameters": self._hyperparameters(entry, None)}
        # A new rule of the vendor gives other values for the same `auto`, so the rule is part of the key.
        if "auto" in facts["hyperparameters"].values():
            facts["automatic"] = stated(entry.automatic)
        if not is_folder(self.spec.base_model):
            around = self.platform.key_facts()
            return KeyFacts(
                {**facts, "training_id": entry.on(self.spec.platform.kind).training_id, **around.facts},
                environment=around.environment,
            )
        # A folder has no id; its content is in the key as that of any input is.
        return KeyFacts(facts, tuple(self.files.values()))

    def _entry(self) -> BaseModelEntry:
        return customizing.base_model_of(self.spec.base_model, self.files)

    def _hyperparameters(self, entry: BaseModelEntry, rows: int | None) -> dict[str, Number | str]:
        values = customizing.in_force(
            entry, entry.hyperparameters or {}, customizing.stated(self.spec, words), rows
        )
        return values | ({"lora_rank": self.spec.lora_rank} if self.spec.lora_rank else {})

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Estimate tokens times epochs, and their price."""
        self.platform.refresh_prices()
        entry = self._entry()
        dataset = inputs.get("dataset")
        tokens = dataset.facts.get("train_tokens") if dataset else None
        epochs = self._hyperparameters(entry, customizing.rows_of(dataset)).get("epochs")
        passes = epochs if isinstance(epochs, int | float) else None
        estimate = training_estimate(entry, tokens, passes, self.scope.settings)
        return customizing.with_end_of_life(estimate, entry)

    def requirements(self) -> Sequence[Requirement]:
        """Return the permission for a fine-tuning job."""
        return [
            CustomizationRequirement(
                platform=self.platform.name,
                spec=self.platform.spec,
                kind="fine_tuning",
                base_model=self.spec.base_model,
            )
        ]

    async def run(self, work: Work) -> Outcome:
        """Submit the job or find the existing one, wait for it, and collect the model."""
        spec, dataset = self.spec, work.inputs["dataset"]
        folder = self.files.get("base_model")
        name = str(folder) if folder else customizing.short_name(spec.base_model)
        ask = Customization(
            base_model=name,
            starts_from=customizing.starting_point(spec.base_model, work.inputs.get("model")),
            method=spec.method or "",
            hyperparameters=self._hyperparameters(self._entry(), customizing.rows_of(dataset)),
            layout=dataset.facts["layout"],
            seed=spec.seed,
            label=self.label("train"),
        )
        facts = {
            "layout": dataset.facts["layout"],
            "system": dataset.facts["system"],
            "base_model": name,
            "platform": spec.platform.kind,
        }
        if folder is not None:
            # By content: the folder's place is in no key, so it must be in no output either.
            assert work.record is not None, "a run has a key record"
            base = work.record.files["base_model"]
            facts |= {"base_model": f"folder {base[:12]}", "base_digest": base}
        return await customizing.customized(self, work, ask, facts)


def training_estimate(
    entry: BaseModelEntry, tokens: int | None, epochs: float | None, settings: Settings
) -> Estimate:
    """Return tokens times epochs times price, with a note where a part of it is unknown.

    Raises UsageError when the user's own price file is invalid.
    """
    trained = None if tokens is None or epochs is None else round(tokens * epochs)
    prices = prices_of(entry, settings)
    if prices is None:
        return Estimate(tokens=trained, usd_low=0.0, usd_high=0.0, note="on this machine")
    price = prices.training_usd_per_1k_tokens
    if price is None:
        return Estimate(tokens=trained, note=price_unknown.format(entry.name))
    if trained is None:
        return Estimate(note=f"${price:g} per 1,000 tokens and epoch; the dataset does not exist yet")
    usd = trained / 1000 * price
    return Estimate(
        tokens=trained,
        usd_low=round(usd * (1 - token_error), 2),
        usd_high=round(usd * (1 + token_error), 2),
    )
