"""Drivers for Bedrock's long-running work: customization, import, deployment, provisioned throughput.

They differ in the names of operations and members, which are in an `Api`, and in how a status is interpreted.

    submit    create, with the token as the API's idempotency token and in the name
              "name in use": look it up, compare, and adopt it or fail
    look      one call without the SDK's retries, because a failed look is followed by another one anyway
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Missing, NameTaken, NeedsCredentials
from polytune.aws.naming import tags_of, unique_name
from polytune.aws.service import Service
from polytune.engine.artifacts import Facts
from polytune.engine.clock import Clock
from polytune.engine.jobbook import JobState
from polytune.engine.jobs import Driver, Look
from polytune.errors import Paused, StepFailed
from polytune.platforms.bedrock.failures import calling, explained

first_pause_seconds, longest_pause_seconds = 5.0, 60.0
"""AWS's own SDK and notebooks poll once a minute; the shorter first pauses show an early rejection sooner."""
quiet_hours = 1.0
"""A stage that has not started for longer is reported as queued: queues of 25 to 74 hours have been seen."""


@dataclass(frozen=True)
class Api:
    """The operations and members for one kind of remote work."""

    create: str
    get: str
    identifier: str
    """The member of `get` for a name or an ARN."""
    names: tuple[str, ...]
    """The members of `create` for the unique name."""
    tags: tuple[str, ...]
    arn: str
    """The member with the ARN in the replies of `create` and `get`."""
    stop: str = ""
    """The polytune command that stops it."""


@dataclass(frozen=True)
class Waiting:
    """How a driver waits."""

    clock: Clock
    stall_seconds: float
    """A job is stopped when a stage lasts longer; 0 for never."""


class BedrockDriver(Driver):
    """The common part of all drivers."""

    pauses = (first_pause_seconds, longest_pause_seconds)
    api: ClassVar[Api]

    def __init__(self, access: Access, waiting: Waiting) -> None:
        self.access = access
        self.waiting = waiting

    async def submit(self, token: str, request: Facts, what: str) -> str:
        """The job with this token exists; returns its ARN. Raises Paused and StepFailed."""
        return await asyncio.to_thread(self._submitted, token, request)

    def _submitted(self, token: str, request: Facts) -> str:
        name = unique_name(request["label"], token)
        members = {
            **request["members"],
            **dict.fromkeys(self.api.names, name),
            **dict.fromkeys(self.api.tags, tags_of(request["label"], token, **request.get("lease", {}))),
            "clientRequestToken": token,
        }
        with calling(f"{self.api.create} {name}"):
            try:
                return str(self._service().call(self.api.create, members)[self.api.arn])
            # The reply to an earlier attempt was lost, and its idempotency token has expired since.
            except NameTaken:
                return self._adopted(name, request["members"])

    def _adopted(self, name: str, members: Mapping[str, Any]) -> str:
        """The ARN of the existing job with this name. Raises StepFailed when its request was different."""
        found = self._service().call(self.api.get, {self.api.identifier: name})
        other = [member for member in members if not self.same(member, members[member], found)]
        if other:
            raise StepFailed(
                f"{name} exists already and differs in {', '.join(sorted(other))}; polytune did not make it."
                " Run with --force and this step's name, which takes a new name"
            )
        return str(found[self.api.arn])

    def same(self, member: str, asked: Any, found: Mapping[str, Any]) -> bool:
        """Whether a member of an existing job has the requested value; true when the reply lacks it."""
        return member not in found or bool(found[member] == asked)

    async def look(self, token: str, handle: str) -> Look:
        """Its current state; trouble when AWS did not answer. Raises Paused when credentials have expired."""
        try:
            found = await asyncio.to_thread(
                self._service(attempts=1).call, self.api.get, {self.api.identifier: handle}
            )
        except NeedsCredentials as failure:
            raise Paused(f"{handle} is still running; checking it needs credentials. {failure}") from failure
        except Missing:
            return Look(state=JobState.LOST, message=f"{handle} does not exist any more")
        except AwsFailure as failure:
            return Look(state=JobState.SUBMITTED, message=f"could not look: {failure}", trouble=True)
        return self.judged(found, await self.waiting.clock.now())

    @abstractmethod
    def judged(self, found: Mapping[str, Any], now: float) -> Look:
        """The state in a reply of `get`; `now` is in seconds since 1970."""

    def detached(self, token: str, handle: str) -> str:
        """The command that stops it."""
        return f"polytune {self.api.stop} {handle}"

    def _service(self, attempts: int = 8) -> Service:
        return self.access.service("bedrock", attempts=attempts)


class CustomizationDriver(BedrockDriver):
    """Fine-tuning, distillation and reinforcement fine-tuning."""

    api = Api(
        create="CreateModelCustomizationJob",
        get="GetModelCustomizationJob",
        identifier="jobIdentifier",
        names=("jobName", "customModelName"),
        tags=("jobTags", "customModelTags"),
        arn="jobArn",
        stop="job stop",
    )

    def same(self, member: str, asked: Any, found: Mapping[str, Any]) -> bool:
        """The base model is requested by id (or by a custom model's ARN, which contains it) and returned as
        an ARN; hyperparameters are returned with all defaults filled in."""
        if member == "baseModelIdentifier":
            base = str(asked).rsplit("/", 2)[1] if ":custom-model/" in str(asked) else str(asked)
            return str(found["baseModelArn"]).endswith(f"/{base.rpartition('/')[2]}")
        if member == "hyperParameters":
            effective = found.get(member) or {}
            return all(_equal(value, effective.get(name, value)) for name, value in asked.items())
        return super().same(member, asked, found)

    def judged(self, found: Mapping[str, Any], now: float) -> Look:
        """Completed, failed with the likely fix, or its current stage."""
        match found["status"]:
            case "Completed":
                return Look(state=JobState.COMPLETED, done=1.0)
            case "Failed":
                return Look(state=JobState.FAILED, message=explained(found.get("failureMessage") or ""))
            case "Stopped":
                what = f"{found['jobName']} was stopped; no model was made, tokens used so far are billed"
                return Look(state=JobState.FAILED, message=what)
        return self._under_way(found, now)

    def _under_way(self, found: Mapping[str, Any], now: float) -> Look:
        stage, status, since = _stage(found)
        waited = max(0.0, now - since)
        message = f"{stage} {status}"
        if status == "NotStarted" and waited > quiet_hours * 3600:
            message += f" for {_duration(waited)}: Bedrock has it in a queue"
        if self.waiting.stall_seconds and waited > self.waiting.stall_seconds:
            return self._given_up(found, f"{stage} {status} for {_duration(waited)}")
        return Look(state=JobState.SUBMITTED, message=message, done=_share(found))

    def _given_up(self, found: Mapping[str, Any], what: str) -> Look:
        """The job has been stopped because it waited longer than the settings allow."""
        limit = _duration(self.waiting.stall_seconds)
        try:
            self._service().call("StopModelCustomizationJob", {"jobIdentifier": found["jobArn"]})
        except AwsFailure as failure:
            return Look(state=JobState.SUBMITTED, message=f"could not be stopped: {failure}", trouble=True)
        reason = f"{what}, longer than POLYTUNE_STALL_HOURS allows ({limit}); it was stopped"
        return Look(state=JobState.FAILED, message=reason)


class ImportDriver(BedrockDriver):
    """Custom model import."""

    api = Api(
        create="CreateModelImportJob",
        get="GetModelImportJob",
        identifier="jobIdentifier",
        names=("jobName", "importedModelName"),
        tags=("jobTags", "importedModelTags"),
        arn="jobArn",
        stop="job stop",
    )

    def judged(self, found: Mapping[str, Any], now: float) -> Look:
        """An import has no stages."""
        if found["status"] == "Failed":
            return Look(state=JobState.FAILED, message=explained(found.get("failureMessage") or ""))
        done = found["status"] == "Completed"
        return Look(state=JobState.COMPLETED if done else JobState.SUBMITTED, message=found["status"])


class DeploymentDriver(BedrockDriver):
    """On-demand deployments, each with a unique name or a stable one."""

    api = Api(
        create="CreateCustomModelDeployment",
        get="GetCustomModelDeployment",
        identifier="customModelDeploymentIdentifier",
        names=("modelDeploymentName",),
        tags=("tags",),
        arn="customModelDeploymentArn",
        stop="undeploy",
    )

    def __init__(self, access: Access, waiting: Waiting, model_arn: str) -> None:
        """`model_arn` is the model that the deployment must serve."""
        super().__init__(access, waiting)
        self.model_arn = model_arn

    def _submitted(self, token: str, request: Facts) -> str:
        name = request.get("stable_name")
        if not name:
            return super()._submitted(token, request)
        tags = tags_of(request["label"], token, **request["lease"])
        with calling(f"deployment {name}"):
            try:
                found = self._service().call(self.api.get, {self.api.identifier: name})
            except Missing:
                return self._created(name, token, request["members"], tags)
            arn = str(found[self.api.arn])
            if found["modelArn"] != request["members"]["modelArn"]:
                self._service().call(
                    "UpdateCustomModelDeployment",
                    {self.api.identifier: arn, "modelArn": request["members"]["modelArn"]},
                )
            self._service().call("TagResource", {"resourceARN": arn, "tags": tags})
            return arn

    def _created(
        self, name: str, token: str, members: Mapping[str, Any], tags: Sequence[Mapping[str, str]]
    ) -> str:
        """A new deployment with a stable name. After a lost reply, the call repeats with the same token."""
        whole = {**members, "modelDeploymentName": name, "tags": tags, "clientRequestToken": token}
        return str(self._service().call(self.api.create, whole)[self.api.arn])

    def judged(self, found: Mapping[str, Any], now: float) -> Look:
        """Complete when active without an update in progress; lost when it serves another model."""
        update = found.get("updateDetails") or {}
        if update.get("updateStatus") == "Updating":
            return Look(state=JobState.SUBMITTED, message="the model behind the deployment is being replaced")
        if "Failed" in (found["status"], update.get("updateStatus", "").removeprefix("Update")):
            return Look(state=JobState.FAILED, message=explained(found.get("failureMessage") or ""))
        if found["modelArn"] != self.model_arn and update.get("modelArn") != self.model_arn:
            return Look(state=JobState.LOST, message="the deployment serves another model now")
        done = found["status"] == "Active"
        return Look(state=JobState.COMPLETED if done else JobState.SUBMITTED, message=found["status"])


class ThroughputDriver(BedrockDriver):
    """Provisioned throughput: billed by the hour until it is deleted."""

    api = Api(
        create="CreateProvisionedModelThroughput",
        get="GetProvisionedModelThroughput",
        identifier="provisionedModelId",
        names=("provisionedModelName",),
        tags=("tags",),
        arn="provisionedModelArn",
        stop="undeploy",
    )

    def same(self, member: str, asked: Any, found: Mapping[str, Any]) -> bool:
        """The model is requested as `modelId` and returned as `modelArn`."""
        return bool(found["modelArn"] == asked) if member == "modelId" else super().same(member, asked, found)

    def judged(self, found: Mapping[str, Any], now: float) -> Look:
        """In service, failed, or in progress."""
        if found["status"] == "Failed":
            return Look(state=JobState.FAILED, message=explained(found.get("failureMessage") or ""))
        done = found["status"] == "InService"
        return Look(state=JobState.COMPLETED if done else JobState.SUBMITTED, message=found["status"])


stages = (
    ("validation", "validationDetails"),
    ("data processing", "dataProcessingDetails"),
    ("training", "trainingDetails"),
)


def _stage(found: Mapping[str, Any]) -> tuple[str, str, float]:
    """The first unfinished stage, its status, and since when it has it (seconds since 1970)."""
    details = found.get("statusDetails") or {}
    since = _seconds(found["creationTime"])
    for name, member in stages:
        stage = details.get(member)
        if stage is None:
            continue
        if stage.get("status") != "Completed":
            known = stage.get("lastModifiedTime") if stage.get("status") != "NotStarted" else None
            return name, stage.get("status", "NotStarted"), _seconds(known) if known else since
        since = _seconds(stage.get("lastModifiedTime") or found["creationTime"])
    return "training", found["status"], since


def _share(found: Mapping[str, Any]) -> float:
    """The share of finished stages; the API does not report progress within a stage."""
    details = found.get("statusDetails") or {}
    known = [details[member].get("status") for _, member in stages if details.get(member)]
    return known.count("Completed") / (len(known) + 1) if known else 0.0


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _duration(seconds: float) -> str:
    """`2 h 05 min`"""
    minutes = int(timedelta(seconds=seconds).total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _equal(asked: str, effective: str) -> bool:
    """Whether two numbers in text form are equal: the API returns 1.0E-4 for 0.0001."""
    try:
        return float(asked) == float(effective)
    except ValueError:
        return asked == effective
