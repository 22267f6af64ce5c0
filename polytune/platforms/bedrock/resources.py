"""What an account holds, whoever made it: jobs, deployments and their models, listed, found and read.

Operations and members differ from kind to kind; a `Kind` states the names, everything else is written once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from polytune.aws.access import Access
from polytune.aws.failures import Missing
from polytune.aws.naming import key_digits, tag_prefix
from polytune.aws.service import Service
from polytune.aws.shapes import RequestRefused
from polytune.engine.artifacts import Facts
from polytune.engine.jobbook import JobState
from polytune.errors import UsageError
from polytune.platforms.bedrock.drivers import stages
from polytune.platforms.bedrock.requests import platform_name
from polytune.platforms.management import ManagedJob

made_by_polytune = re.compile(rf".+-[0-9a-f]{{{key_digits}}}-[1-9][0-9]*")
"""The end of every name that a run gives: digits of the step's key, and the attempt."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How the API calls the parts of one kind of thing."""

    word: str
    """What polytune calls it."""
    resource: str
    """The part of its ARN that says what it is."""
    get: str
    listing: str
    items: str
    """The member of `listing`'s answer."""
    identifier: str = "jobIdentifier"
    """The member of `get` that takes the ARN, and a name where `named` says so."""
    arn: str = "jobArn"
    names: tuple[str, ...] = ("jobName",)
    """Get and List do not always agree."""
    created: tuple[str, ...] = ("creationTime",)
    models: tuple[str, ...] = ()
    """Members that hold the ARN of the model it makes, or serves."""
    named: bool = True
    stop: str = ""
    """The operation that stops it; '' for what cannot be stopped."""
    billed: str = ""
    """What stopping it costs, and what is lost."""
    delete: str = ""
    good: str = "Completed"
    """The status in which it has succeeded."""
    bad: tuple[str, ...] = ("Failed", "Stopped")


customization = Kind(
    word="customization",
    resource="model-customization-job",
    get="GetModelCustomizationJob",
    listing="ListModelCustomizationJobs",
    items="modelCustomizationJobSummaries",
    models=("outputModelArn", "customModelArn"),
    stop="StopModelCustomizationJob",
    billed="tokens trained on so far are billed, no model is made, and the job cannot be continued",
)
model_import = Kind(
    word="import",
    resource="model-import-job",
    get="GetModelImportJob",
    listing="ListModelImportJobs",
    items="modelImportJobSummaries",
    models=("importedModelArn",),
)
batch = Kind(
    word="batch",
    resource="model-invocation-job",
    get="GetModelInvocationJob",
    listing="ListModelInvocationJobs",
    items="invocationJobSummaries",
    created=("submitTime",),
    models=("modelId",),
    named=False,
    stop="StopModelInvocationJob",
    billed="records answered so far are billed, and written to the output place",
    bad=("Failed", "Stopped", "Expired", "PartiallyCompleted"),
)
deployment = Kind(
    word="on demand",
    resource="custom-model-deployment",
    get="GetCustomModelDeployment",
    listing="ListCustomModelDeployments",
    items="modelDeploymentSummaries",
    identifier="customModelDeploymentIdentifier",
    arn="customModelDeploymentArn",
    names=("modelDeploymentName", "customModelDeploymentName"),
    created=("createdAt",),
    models=("modelArn",),
    delete="DeleteCustomModelDeployment",
    good="Active",
    bad=("Failed", "UpdateFailed"),
)
provisioned = Kind(
    word="provisioned",
    resource="provisioned-model",
    get="GetProvisionedModelThroughput",
    listing="ListProvisionedModelThroughputs",
    items="provisionedModelSummaries",
    identifier="provisionedModelId",
    arn="provisionedModelArn",
    names=("provisionedModelName",),
    models=("modelArn",),
    delete="DeleteProvisionedModelThroughput",
    good="InService",
    bad=("Failed",),
)
job_kinds = (customization, model_import, batch)
deployment_kinds = (deployment, provisioned)
kinds = (*job_kinds, *deployment_kinds)


def kind_named(word: str) -> Kind:
    """How the API calls the parts of what polytune calls so."""
    return next(kind for kind in kinds if kind.word == word)


def described(kind: Kind, found: Mapping[str, Any]) -> ManagedJob:
    """A job or a deployment, from the answer of Get or List."""
    details = found.get("statusDetails") or {}
    name, status = _first(found, kind.names), _status(found)
    return ManagedJob(
        platform=platform_name,
        kind=kind.word,
        id=str(found[kind.arn]),
        name=name,
        status=status,
        state=_state(kind, status),
        stages={each: details[member].get("status", "") for each, member in stages if details.get(member)},
        created=_moment(found, *kind.created),
        changed=_moment(found, "lastModifiedTime", "lastUpdatedAt"),
        ended=_moment(found, "endTime"),
        model=_first(found, kind.models),
        message=_first(found, ("failureMessage", "message")),
        details={member: value for member, value in found.items() if member != "ResponseMetadata"},
        own=made_by_polytune.fullmatch(name) is not None,
    )


def _state(kind: Kind, status: str) -> JobState:
    if status in kind.bad:
        return JobState.FAILED
    return JobState.COMPLETED if status == kind.good else JobState.SUBMITTED


def _status(found: Mapping[str, Any]) -> str:
    """The status, or that of the change of model that a deployment is going through."""
    update = str((found.get("updateDetails") or {}).get("updateStatus") or "")
    return update if update in ("Updating", "UpdateFailed") else str(found["status"])


def _first(found: Mapping[str, Any], members: tuple[str, ...]) -> str:
    return str(next((found[member] for member in members if found.get(member)), ""))


def _moment(found: Mapping[str, Any], *members: str) -> datetime | None:
    moment = next((found[member] for member in members if found.get(member)), None)
    if not isinstance(moment, datetime):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def kind_of(arn: str) -> Kind | None:
    """The kind of thing that an ARN names; None for another kind, or a name."""
    return next((kind for kind in kinds if f":{kind.resource}/" in arn), None)


@dataclass(frozen=True)
class Inventory:
    """One account and region. Every method raises AwsFailure when AWS does not do as asked."""

    access: Access
    attempts: int = field(default=8, kw_only=True)
    """How often a call is tried."""

    @property
    def bedrock(self) -> Service:
        """The control plane."""
        return self.access.service("bedrock", attempts=self.attempts)

    def all(self, kind: Kind, **filters: str) -> Iterator[ManagedJob]:
        """Everything of a kind, in the service's order."""
        for found in self.bedrock.pages(kind.listing, filters, kind.items):
            yield described(kind, found)

    def deployments(self, model_arn: str = "") -> list[ManagedJob]:
        """Everything through which custom models answer; or through which one does."""
        filters = {"modelArnEquals": model_arn} if model_arn else {}
        return [each for kind in deployment_kinds for each in self.all(kind, **filters)]

    def read(self, kind: Kind, identifier: str) -> ManagedJob:
        """The thing as it stands. Raises Missing when it does not exist."""
        return described(kind, self.bedrock.call(kind.get, {kind.identifier: identifier}))

    def find(self, name: str, among: tuple[Kind, ...] = kinds) -> ManagedJob:
        """The thing of that ARN or name. Raises UsageError when there is none of those kinds."""
        kind = kind_of(name)
        if name.startswith("arn:") and kind not in among:
            raise UsageError(f"{name}: not the ARN of {_listed(among)}")
        for each in [kind] if kind else among:
            found = self._found(each, name)
            if found is not None:
                return found
        raise UsageError(f"no {_listed(among)} '{name}' in {self.access.region}")

    def _found(self, kind: Kind, name: str) -> ManagedJob | None:
        try:
            if kind.named or name.startswith("arn:"):
                return self.read(kind, name)
            return next((each for each in self.all(kind, nameContains=name) if each.name == name), None)
        except (Missing, RequestRefused):
            return None

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a thing; {} for what is gone by now."""
        try:
            found = self.bedrock.call("ListTagsForResource", {"resourceARN": arn}).get("tags") or ()
        except Missing:
            return {}
        return {str(tag["key"]): str(tag["value"]) for tag in found}

    def stop(self, job: ManagedJob) -> None:
        """The job is stopping. Raises UsageError for what cannot be stopped, or has ended."""
        check_stoppable(job)
        self.bedrock.call(kind_named(job.kind).stop, {"jobIdentifier": job.id})

    def delete(self, job: ManagedJob) -> None:
        """The deployment is gone; its model stays."""
        kind = kind_named(job.kind)
        self.bedrock.call(kind.delete, {kind.identifier: job.id})


def check_stoppable(job: ManagedJob) -> None:
    """Returns for a job that can be stopped. Raises UsageError, with what can be done instead."""
    if job.kind == model_import.word:
        raise UsageError(
            f"{job.name}: AWS has no way to stop an import; `polytune model delete` removes what it made"
        )
    if not kind_named(job.kind).stop:
        raise UsageError(f"{job.name} is a deployment: `polytune undeploy {job.id}` ends it")
    if job.final or job.status == "Stopping":
        raise UsageError(f"{job.name} is {job.status}: there is nothing to stop")


def check_removable(job: ManagedJob) -> None:
    """Returns for a deployment that AWS deletes now. Raises UsageError with what stands against it."""
    until = _moment(job.details, "commitmentExpirationTime")
    if until and until > datetime.now(UTC):
        raise UsageError(f"{job.name} is committed until {until:%Y-%m-%d}; AWS deletes it only then")
    if job.status in ("Creating", "Updating"):
        raise UsageError(f"{job.name} is being made or changed; AWS deletes it only after that. Try again")


def polytunes(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that polytune wrote, without their prefix."""
    return {
        name.removeprefix(tag_prefix): value for name, value in tags.items() if name.startswith(tag_prefix)
    }


def _listed(among: tuple[Kind, ...]) -> str:
    words = [kind.resource.replace("-", " ") for kind in among]
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


shown_details = (
    ("base model", "baseModelArn"),
    ("model", "outputModelArn"),
    ("model", "importedModelArn"),
    ("model", "modelArn"),
    ("model", "modelId"),
    ("type", "customizationType"),
    ("role", "roleArn"),
    ("units", "modelUnits"),
    ("committed until", "commitmentExpirationTime"),
)


def facts_of(details: Facts) -> Iterator[tuple[str, str]]:
    """What is worth showing of AWS's description of a job or a deployment: label and value."""
    for label, member in shown_details:
        if details.get(member):
            yield label, str(details[member])
    for label, member in (("data", "trainingDataConfig"), ("output", "outputDataConfig")):
        if (details.get(member) or {}).get("s3Uri"):
            yield label, str(details[member]["s3Uri"])
    if details.get("hyperParameters"):
        values = sorted(details["hyperParameters"].items())
        yield "in force", ", ".join(f"{name} {value}" for name, value in values)
    if (details.get("trainingMetrics") or {}).get("trainingLoss") is not None:
        yield "training loss", f"{details['trainingMetrics']['trainingLoss']:.4g}"
    for validator in details.get("validationMetrics") or ():
        if validator.get("validationLoss") is not None:
            yield "validation loss", f"{validator['validationLoss']:.4g}"
    yield from _records(details)


def _records(details: Facts) -> Iterator[tuple[str, str]]:
    """Of a batch job: how many records it has, and how many are done."""
    counts = [
        (word, details.get(f"{word}RecordCount")) for word in ("total", "processed", "success", "error")
    ]
    if counts[0][1] is not None:
        yield "records", ", ".join(f"{count} {word}" for word, count in counts if count is not None)
