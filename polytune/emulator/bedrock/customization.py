"""Customization jobs: Create, Get, List, Stop. Jobs cannot be deleted; their names are reserved forever."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from polytune.base_models.interface import Hyperparameter
from polytune.emulator.bedrock.call import ApiCall, Area, Members, conflict, invalid, not_found, over_quota
from polytune.emulator.bedrock.catalogue import Foundation, find_foundation, find_teacher
from polytune.emulator.bedrock.jobs import CustomizationJob, EmulatedJobs, metrics, scripted
from polytune.emulator.bedrock.requests import check_new_name, check_role, key_arn
from polytune.emulator.bedrock.resources import CustomModel
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.service_model import iso
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.timeline import Durations, Timeline
from polytune.emulator.bedrock.world import World, foundation_arn


def effective(known: Iterable[Hyperparameter], given: Mapping[str, str]) -> dict[str, str]:
    """The given values plus defaults for the others, as strings. Raises EmulatedError for an invalid one."""
    by_name = {each.api_name: each for each in known}
    for name in given:
        if name not in by_name:
            taken = ", ".join(sorted(by_name)) or "none"
            raise invalid(f"The provided hyperparameter {name} is not supported. Supported: {taken}.")
    merged: dict[str, str] = {}
    for name, each in sorted(by_name.items()):
        if name in given:
            merged[name] = _checked(each, given[name])
        elif each.required:
            raise invalid(f"The hyperparameter {name} is required.")
        elif each.default is not None:
            merged[name] = _text(each.default, whole=each.whole)
    return merged


def effective_numbers(known: Iterable[Hyperparameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values plus the defaults of the others, as native values."""
    # No range checks here: unlike the string map of FINE_TUNING, the API model states these ranges itself.
    defaults = {each.api_name: each.default for each in known if each.default is not None}
    return defaults | dict(given)


def java_double(value: float) -> str:
    """A number in Java's notation for doubles, as the service echoes it: `1.0E-4`, `0.005`, `20.0`."""
    # The bounds are those of Java's Double.toString, which uses an exponent outside 10^-3 to 10^7.
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    digits, exponent = f"{Decimal(repr(value)):E}".split("E")
    return f"{float(digits)!r}E{int(exponent)}"


def _checked(known: Hyperparameter, text: str) -> str:
    # Some hyperparameters accept words such as `auto`: try the text itself before its numeric value.
    if known.holds(text):
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not known.holds(value):
        raise invalid(
            f"The provided value {text} of hyperparameter {known.api_name} is invalid: it must be "
            f"{known.allowed}."
        )
    return _text(value, whole=known.whole)


def _text(value: float | str, *, whole: bool) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if whole else java_double(value)


most_scheduled = 10
"""Jobs that may be scheduled at once: the quota observed by two projects."""
config_of = {"DISTILLATION": "distillationConfig", "REINFORCEMENT_FINE_TUNING": "rftConfig"}
"""customizationType -> the member of customizationConfig that it needs."""
stage_members = {
    "validation": "validationDetails",
    "data_processing": "dataProcessingDetails",
    "training": "trainingDetails",
}


class CustomizationArea(Area):
    """The account's customization jobs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.jobs = EmulatedJobs(world)
        self.listing = Listing[CustomizationJob](
            member="modelCustomizationJobSummaries",
            name=lambda job: job.name,
            created=lambda job: job.timeline.created,
            arn=lambda job: job.arn,
            summary=summary,
            equal={"statusEquals": "status"},
        )

    def settle(self, now: datetime) -> None:
        self.jobs.settle(now)

    def snapshot(self, now: datetime) -> dict[str, Any]:
        jobs = self.jobs.all().values()
        return {"jobs": [{"name": job.name, "arn": job.arn} | _shown(job) for job in jobs]}

    def create_model_customization_job(self, call: ApiCall) -> Members:
        """The job exists. Errors in its data show later, in validation."""
        kind = str(call.members.get("customizationType", "FINE_TUNING"))
        base, base_arn = self._base(call, kind)
        config = self._config(call, kind, base)
        reinforced = kind == "REINFORCEMENT_FINE_TUNING"
        given = call.members.get("hyperParameters", {})
        hyperparameters = {} if reinforced else effective(base.hyperparameters, given)
        # Match the fault last: a request that is refused must not use up a scripted fault.
        self._check_room(call)
        fault = self.world.faults.of_job(call.operation)
        timeline = Timeline(call.now, Durations(), distils=kind == "DISTILLATION")
        scripted(timeline, fault)
        job = CustomizationJob(
            arn=self.world.arn(call.region, f"model-customization-job/{base.model_id}/{new_id()}"),
            name=call.text("jobName"),
            region=call.region,
            request=call.members,
            customization_type=kind,
            base=base,
            base_arn=base_arn,
            hyperparameters=hyperparameters,
            config=config,
            kms_key_arn=key_arn(call, call.text("customModelKmsKeyId")),
            timeline=timeline,
            fault=fault,
        )
        self.world.state.add(job.arn, job, call.members.get("jobTags"))
        return {"jobArn": job.arn}

    def get_model_customization_job(self, call: ApiCall) -> Members:
        """The job with this name or ARN."""
        return details(self._find(call))

    def list_model_customization_jobs(self, call: ApiCall) -> Members:
        """The region's jobs."""
        jobs = [job for job in self.jobs.all().values() if job.region == call.region]
        return self.listing.page(call, jobs)

    def stop_model_customization_job(self, call: ApiCall) -> Members:
        """The job is stopping. Raises EmulatedError unless it was InProgress."""
        job = self._find(call)
        if job.timeline.status() != "InProgress":
            raise conflict(f"The job is {job.timeline.status()}; only a job in progress can be stopped.")
        self.jobs.stop(job, call.now)
        return {}

    def _find(self, call: ApiCall) -> CustomizationJob:
        wanted = call.text("jobIdentifier")
        for job in self.jobs.all().values():
            if job.region == call.region and wanted in (job.arn, job.name):
                return job
        raise not_found("The provided job identifier was not found.")

    def _check_room(self, call: ApiCall) -> None:
        """Raises EmulatedError unless role, names and quota allow another job."""
        check_role(self.world, call.text("roleArn"))
        check_new_name(call.text("jobName"), self._names(call.region), "job name")
        check_new_name(call.text("customModelName"), self._model_names(call.region), "custom model name")
        if len(self.jobs.scheduled(call.region)) >= most_scheduled:
            raise over_quota(f"Too many scheduled customization jobs: at most {most_scheduled} are allowed.")

    def _names(self, region: str) -> set[str]:
        return {job.name for job in self.jobs.all().values() if job.region == region}

    def _model_names(self, region: str) -> set[str]:
        models = self.world.state.table(CustomModel).values()
        jobs = self.jobs.all().values()
        # A model appears only when its job completes, but its name is taken from the start.
        coming = {
            job.request["customModelName"]
            for job in jobs
            if job.region == region and job.timeline.outcome is None
        }
        return coming | {model.name for model in models if model.region == region}

    def _base(self, call: ApiCall, kind: str) -> tuple[Foundation, str]:
        """The foundation model to train, and the ARN of the model that the job refers to."""
        wanted = call.text("baseModelIdentifier")
        model = self.world.state.table(CustomModel).get(wanted)
        if model is not None and model.base is not None and model.region == call.region:
            base, arn = model.base, model.arn
        else:
            found = find_foundation(wanted, call.region)
            # The emulator cannot train further what has no known base, such as an unknown custom model.
            if found is None or ":custom-model/" in wanted:
                raise invalid("The provided model identifier is invalid.")
            base, arn = found, foundation_arn(call.region, found.model_id)
        if kind not in base.customizations:
            raise invalid(
                f"Customization type {kind} is not supported for model {base.model_id} in {call.region}."
            )
        return base, arn

    def _config(self, call: ApiCall, kind: str, base: Foundation) -> Members | None:
        """The job's `customizationConfig` with defaults filled in. Raises EmulatedError."""
        config: Members | None = call.members.get("customizationConfig")
        logs = "invocationLogsConfig" in call.members["trainingDataConfig"]
        # Exactly one source of training data. The API model cannot say so: both members are optional.
        if logs == ("s3Uri" in call.members["trainingDataConfig"]) or (logs and kind not in config_of):
            raise invalid(
                "trainingDataConfig must have s3Uri, or invocationLogsConfig for distillation and "
                "reinforcement fine-tuning."
            )
        needed = config_of.get(kind)
        if needed is None:
            if config is not None:
                raise invalid(f"customizationConfig is not supported for customization type {kind}.")
            return None
        if config is None or needed not in config:
            raise invalid(f"customizationConfig.{needed} is required for customization type {kind}.")
        if kind == "DISTILLATION":
            self._check_teacher(call, config, base)
            return config
        if "graderConfig" not in config[needed]:
            raise invalid("customizationConfig.rftConfig.graderConfig is required.")
        # Reinforcement fine-tuning has typed hyperparameters of its own; the string map does not apply.
        if call.members.get("hyperParameters"):
            raise invalid("hyperParameters belong in customizationConfig.rftConfig.hyperParameters.")
        given = config[needed].get("hyperParameters", {})
        return {needed: config[needed] | {"hyperParameters": effective_numbers(base.reinforcement, given)}}

    def _check_teacher(self, call: ApiCall, config: Members, base: Foundation) -> None:
        wanted = config["distillationConfig"]["teacherModelConfig"]["teacherModelIdentifier"]
        teacher = find_teacher(wanted, call.region)
        if teacher is None or not base.taught_by(teacher):
            raise invalid(f"The teacher model {wanted} is not supported for student model {base.model_id}.")


def details(job: CustomizationJob) -> Members:
    """The members of the GetModelCustomizationJob response."""
    # Members that are None are left out, as the service does for a job that has not got that far.
    request, line = job.request, job.timeline
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "outputModelName": request["customModelName"],
        "outputModelArn": job.model_arn,
        "clientRequestToken": request.get("clientRequestToken"),
        "roleArn": request["roleArn"],
        "status": line.status(),
        "statusDetails": status_details(line),
        "failureMessage": job.failure or None,
        "creationTime": line.created,
        "lastModifiedTime": line.changed,
        "endTime": line.ended,
        "baseModelArn": foundation_arn(job.region, job.base.model_id),
        "hyperParameters": job.hyperparameters,
        "trainingDataConfig": request["trainingDataConfig"],
        "validationDataConfig": request.get("validationDataConfig"),
        "outputDataConfig": request["outputDataConfig"],
        "customizationType": job.customization_type,
        "outputModelKmsKeyArn": job.kms_key_arn,
        "vpcConfig": request.get("vpcConfig"),
        "customizationConfig": job.config,
    } | metrics(job, job.curve)


def summary(job: CustomizationJob) -> Members:
    """The members of a job in ListModelCustomizationJobs."""
    line = job.timeline
    return {
        "jobArn": job.arn,
        "baseModelArn": job.base_arn,
        "jobName": job.name,
        "status": line.status(),
        "statusDetails": status_details(line),
        "lastModifiedTime": line.changed,
        "creationTime": line.created,
        "endTime": line.ended,
        "customModelArn": job.model_arn,
        "customModelName": job.request["customModelName"],
        "customizationType": job.customization_type,
    }


def status_details(line: Timeline) -> Members:
    """The `statusDetails` member: status and times of each stage."""
    return {
        stage_members[stage]: {"status": status, "creationTime": started, "lastModifiedTime": changed}
        for stage, (status, started, changed) in line.stages().items()
    }


def _shown(job: CustomizationJob) -> dict[str, Any]:
    line = job.timeline
    stages = {stage: status for stage, (status, _, _) in line.stages().items()}
    return {
        "status": line.status(),
        "stages": stages,
        "region": job.region,
        "type": job.customization_type,
        "created": iso(line.created),
        "failure": job.failure,
        "token": job.request.get("clientRequestToken", ""),
        "fault": job.fault.kind if job.fault is not None else "",
    }
