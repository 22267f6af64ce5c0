"""Resolves the `modelId` of a call: foundation models, profiles, and the account's own models.

amazon.nova-lite-v1:0              a foundation model, by id or ARN
us.amazon.nova-2-lite-v1:0         a profile; some models can be invoked only through one
amazon.nova-lite-v1:0:300k         the customizable variant: cannot be invoked on demand
...:custom-model-deployment/<id>   once it is Active
...:provisioned-model/<id>         once it is InService
...:imported-model/<id>
...:custom-model/<base>/<id>       in batch jobs only; other calls need a deployment or throughput
"""

from __future__ import annotations

import re
from datetime import datetime

from polytune.emulator.bedrock.call import EmulatedError, invalid, not_found
from polytune.emulator.bedrock.catalogue import Foundation, find_foundation, find_profile
from polytune.emulator.bedrock.completions import ModelBehaviour
from polytune.emulator.bedrock.resources import CustomModel, Deployment, ImportedModel, ProvisionedThroughput
from polytune.emulator.bedrock.state import AccountState

geography = re.compile(r"(us|eu|apac|global)\.")
unknown_model = "Model not found."
not_ready = "Model is not ready for inference. Wait and try your request again."
both_ways = ("amazon.nova-micro-v1:0",)
"""Models that can be invoked by plain id although their catalogue entry names the profile: the plain id is
the `modelId` of real batch jobs, and the Bedrock guide lists it for on-demand use."""
other_teachers = (
    "anthropic.claude-haiku-4-5-20251001-v1:0",
    "anthropic.claude-sonnet-4-20250514-v1:0",
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
)
"""Models that answer only through a profile and have no catalogue entry, because they cannot be trained."""


def invoked(state: AccountState, identifier: str, region: str, now: datetime) -> ModelBehaviour:
    """The model that answers a call at `now`. Raises EmulatedError if the model cannot be invoked."""
    for find in (_deployment, _provisioned, _imported):
        behaviour = find(state, identifier, region, now)
        if behaviour is not None:
            return behaviour
    if identifier in state.table(CustomModel):
        raise invalid(_wants_more(identifier))
    return _named(identifier, region)


def batched(state: AccountState, identifier: str, region: str) -> ModelBehaviour:
    """The model that answers a batch job. Raises EmulatedError if it is unknown or takes no batches."""
    own = state.table(CustomModel).get(identifier)
    if own is not None and own.region == region:
        return _trained(own)
    return _named(identifier, region)


def _deployment(state: AccountState, identifier: str, region: str, now: datetime) -> ModelBehaviour | None:
    found = state.table(Deployment).get(identifier)
    if found is None or found.region != region:
        return None
    # AWS returns this error with status 429, so SDKs retry the call until the deployment is ready.
    if found.status(now) != "Active":
        raise EmulatedError("ModelNotReadyException", not_ready, 429)
    return _owned(state, found.serving(now))


def _provisioned(state: AccountState, identifier: str, region: str, now: datetime) -> ModelBehaviour | None:
    found = state.table(ProvisionedThroughput).get(identifier)
    if found is None or found.region != region:
        return None
    if found.status(now) == "Creating":
        raise EmulatedError("ModelNotReadyException", not_ready, 429)
    return _owned(state, found.serving(now))


def _imported(state: AccountState, identifier: str, region: str, now: datetime) -> ModelBehaviour | None:
    found = state.table(ImportedModel).get(identifier)
    return ModelBehaviour(found.arn) if found is not None and found.region == region else None


def _owned(state: AccountState, arn: str) -> ModelBehaviour:
    """The custom model, or the foundation model for which throughput was bought."""
    own = state.table(CustomModel).get(arn)
    return ModelBehaviour(arn) if own is None else _trained(own)


def _trained(model: CustomModel) -> ModelBehaviour:
    data = model.details.get("trainingDataConfig") or {}
    # These jobs train on prompts without answers, so there may be no training answer to repeat.
    learnt_otherwise = model.customization_type in ("DISTILLATION", "REINFORCEMENT_FINE_TUNING")
    return ModelBehaviour(model.arn, str(data.get("s3Uri", "")), teaches=learnt_otherwise)


def _named(identifier: str, region: str) -> ModelBehaviour:
    """A foundation model, by id or profile."""
    profile = find_profile(identifier)
    if profile is not None:
        return _foundation(profile)
    bare = geography.sub("", identifier.rpartition("/")[2], count=1)
    through_profile = bare != identifier.rpartition("/")[2]
    if bare in other_teachers:
        if not through_profile:
            raise invalid(_wants_more(identifier))
        return ModelBehaviour(bare, teaches=True)
    found = find_foundation(bare if through_profile else identifier, region)
    if found is None or found.trainable:
        raise not_found(unknown_model)
    # The catalogue's inference id is a profile where AWS refuses the plain id on demand.
    wants_profile = geography.match(found.offering.inference_id) and found.model_id not in both_ways
    if wants_profile and not through_profile:
        raise invalid(_wants_more(identifier))
    return _foundation(found)


def _foundation(found: Foundation) -> ModelBehaviour:
    return ModelBehaviour(found.model_id, teaches=found.offering.training_id is None)


def _wants_more(identifier: str) -> str:
    return (
        f"Invocation of model ID {identifier} with on-demand throughput isn't supported. Retry your request "
        "with the ID or ARN of an inference profile that contains this model."
    )
