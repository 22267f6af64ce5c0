"""What polytune asks of Bedrock's API: pure functions from what a step asks for to a request's members.

A request is {"label", "members", ...}: everything but names, tokens and tags, which the drivers add.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from polytune.base_models.interface import BaseModelEntry
from polytune.engine.artifacts import Facts
from polytune.platforms.interface import Customization, Deploying, Importing, Label

platform_name = "bedrock"
"""What YAML and the catalogue of base models call this platform."""
commitments = {"one_month": "OneMonth", "six_months": "SixMonths"}
customization_types = {
    "fine_tuning": "FINE_TUNING",
    "distillation": "DISTILLATION",
    "reinforcement_fine_tuning": "REINFORCEMENT_FINE_TUNING",
}


@dataclass(frozen=True)
class Places:
    """Where a platform stores and with whose rights jobs work: as in force, wherever it was stated."""

    region: str
    bucket: str
    output_bucket: str
    prefix: str
    role_arn: str
    kms_key_arn: str = ""
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()

    def outputs(self, project: str) -> str:
        """The URI below which jobs write."""
        return f"s3://{self.output_bucket}/{self.prefix}/{project}/jobs/"


def label_facts(label: Label) -> Facts:
    """A label as part of a request."""
    return {"project": label.project, "experiment": label.experiment, "step": label.step}


def customization(
    ask: Customization, entry: BaseModelEntry, teacher_id: str, uris: Mapping[str, str], places: Places
) -> Facts:
    """CreateModelCustomizationJob."""
    members: dict[str, Any] = {
        "customizationType": customization_types[ask.kind],
        "baseModelIdentifier": ask.starts_from or entry.on(platform_name).training_id,
        "roleArn": places.role_arn,
        "trainingDataConfig": _training_data(ask, uris),
        "outputDataConfig": {"s3Uri": places.outputs(ask.label.project)},
        **_guarded(places),
    }
    if "validation" in uris and _takes_validation(ask, entry):
        members["validationDataConfig"] = {"validators": [{"s3Uri": uris["validation"]}]}
    if ask.kind == "fine_tuning":
        members["hyperParameters"] = _by_api_name(ask, entry.hyperparameters or {})
    else:
        members["customizationConfig"] = _configuration(ask, entry, teacher_id)
    return {"label": label_facts(ask.label), "members": members}


def _training_data(ask: Customization, uris: Mapping[str, str]) -> dict[str, Any]:
    if ask.logs is None:
        return {"s3Uri": uris["train"]}
    filters = {"requestMetadataFilters": ask.logs.filters} if ask.logs.filters else {}
    logs = {
        "invocationLogSource": {"s3Uri": ask.logs.uri},
        "usePromptResponse": ask.logs.use_responses,
        **filters,
    }
    return {"invocationLogsConfig": logs}


def _takes_validation(ask: Customization, entry: BaseModelEntry) -> bool:
    limits = entry.other_limits.get(ask.kind, entry.limits)
    doubtful = limits is None or limits.validation_doubtful or limits.max_validation_rows == 0
    return ask.kind != "distillation" and not doubtful


def _guarded(places: Places) -> dict[str, Any]:
    """Encryption and network, where they are chosen."""
    found: dict[str, Any] = {}
    if places.kms_key_arn:
        found["customModelKmsKeyId"] = places.kms_key_arn
    if places.subnet_ids:
        found["vpcConfig"] = {
            "subnetIds": list(places.subnet_ids),
            "securityGroupIds": list(places.security_group_ids),
        }
    return found


def _by_api_name(ask: Customization, known: Mapping[str, Any]) -> dict[str, str]:
    """The API takes text only; 5e-05 is written 0.00005, as its own examples do."""
    return {known[word].api_name: _written(value) for word, value in ask.hyperparameters.items()}


def _written(value: float | str) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.12f}".rstrip("0")
    return str(int(value)) if isinstance(value, float) else str(value)


def _configuration(ask: Customization, entry: BaseModelEntry, teacher_id: str) -> dict[str, Any]:
    if ask.teaching is not None:
        teacher = {
            "teacherModelIdentifier": teacher_id,
            "maxResponseLengthForInference": ask.teaching.max_response_tokens,
        }
        return {"distillationConfig": {"teacherModelConfig": teacher}}
    known = entry.reinforcement or {}
    values = {known[word].api_name: value for word, value in ask.hyperparameters.items()}
    return {
        "rftConfig": {
            "graderConfig": {"lambdaGrader": {"lambdaArn": ask.grader}},
            "hyperParameters": values,
        }
    }


def importing(ask: Importing, places: Places) -> Facts:
    """CreateModelImportJob."""
    members: dict[str, Any] = {
        "roleArn": places.role_arn,
        "modelDataSource": {"s3DataSource": {"s3Uri": ask.uri}},
    }
    guarded = _guarded(places)
    if "customModelKmsKeyId" in guarded:
        guarded["importedModelKmsKeyId"] = guarded.pop("customModelKmsKeyId")
    return {"label": label_facts(ask.label), "members": {**members, **guarded}}


def deploying(ask: Deploying, now: datetime | None = None) -> Facts:
    """CreateCustomModelDeployment, or CreateProvisionedModelThroughput."""
    request: Facts = {
        "kind": ask.kind,
        "label": label_facts(ask.label),
        "lease": _lease(ask, now or datetime.now(UTC)),
    }
    if ask.kind == "on_demand":
        return {**request, "stable_name": ask.name, "members": {"modelArn": ask.model["model_arn"]}}
    members: dict[str, Any] = {"modelId": ask.model["model_arn"], "modelUnits": ask.units}
    if ask.commitment in commitments:
        members["commitmentDuration"] = commitments[ask.commitment]
    return {**request, "members": members}


def _lease(ask: Deploying, now: datetime) -> dict[str, str]:
    """Tags that say when the deployment may be torn down, readable by `reap` on any machine."""
    found = {}
    if ask.ttl_seconds:
        found["expires_at"] = f"{now + timedelta(seconds=ask.ttl_seconds):%Y-%m-%dT%H:%M:%SZ}"
    if ask.idle_seconds:
        found["idle_seconds"] = str(ask.idle_seconds)
    return found
