"""Customization jobs: Create, Get, List, Stop. They cannot be deleted; their names are used up for ever."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from polytune.emulator.bedrock.call import Area, Call, Members, conflict, invalid, not_found, over_quota
from polytune.emulator.bedrock.catalogue import Foundation, find_foundation, find_teacher
from polytune.emulator.bedrock.hyperparameters import effective, effective_numbers
from polytune.emulator.bedrock.jobs import CustomizationJob, Jobs, metrics, scripted
from polytune.emulator.bedrock.requests import check_new_name, check_role, key_arn
from polytune.emulator.bedrock.resources import CustomModel
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.service_model import iso
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.timeline import Durations, Timeline
from polytune.emulator.bedrock.world import World, foundation_arn

most_scheduled = 10
"""Jobs that may wait to be trained: the quota that two projects saw."""
config_of = {"DISTILLATION": "distillationConfig", "REINFORCEMENT_FINE_TUNING": "rftConfig"}
"""customizationType -> the member of customizationConfig that it needs."""
stage_members = {
    "validation": "validationDetails",
    "data_processing": "dataProcessingDetails",
    "training": "trainingDetails",
}


class Customization(Area):
    """The account's customization jobs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.jobs = Jobs(world)
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

    def create_model_customization_job(self, call: Call) -> Members:
        """The job is accepted; what is wrong with its data shows later."""
        kind = str(call.members.get("customizationType", "FINE_TUNING"))
        base, base_arn = self._base(call, kind)
        config = self._config(call, kind, base)
        reinforced = kind == "REINFORCEMENT_FINE_TUNING"
        given = call.members.get("hyperParameters", {})
        hyperparameters = {} if reinforced else effective(base.hyperparameters, given)
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

    def get_model_customization_job(self, call: Call) -> Members:
        """The job by name or ARN."""
        return details(self._find(call))

    def list_model_customization_jobs(self, call: Call) -> Members:
        """The region's jobs."""
        jobs = [job for job in self.jobs.all().values() if job.region == call.region]
        return self.listing.page(call, jobs)

    def stop_model_customization_job(self, call: Call) -> Members:
        """The job is stopping, if it was in progress."""
        job = self._find(call)
        if job.timeline.status() != "InProgress":
            raise conflict(f"The job is {job.timeline.status()}; only a job in progress can be stopped.")
        self.jobs.stop(job, call.now)
        return {}

    def _find(self, call: Call) -> CustomizationJob:
        wanted = call.text("jobIdentifier")
        for job in self.jobs.all().values():
            if job.region == call.region and wanted in (job.arn, job.name):
                return job
        raise not_found("The provided job identifier was not found.")

    def _check_room(self, call: Call) -> None:
        """Role, names and quota allow another job. Raises EmulatedError."""
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
        coming = {
            job.request["customModelName"]
            for job in jobs
            if job.region == region and job.timeline.outcome is None
        }
        return coming | {model.name for model in models if model.region == region}

    def _base(self, call: Call, kind: str) -> tuple[Foundation, str]:
        """The foundation model that is trained, and the ARN that the job names or means."""
        wanted = call.text("baseModelIdentifier")
        model = self.world.state.table(CustomModel).get(wanted)
        if model is not None and model.base is not None and model.region == call.region:
            base, arn = model.base, model.arn
        else:
            found = find_foundation(wanted, call.region)
            if found is None or ":custom-model/" in wanted:
                raise invalid("The provided model identifier is invalid.")
            base, arn = found, foundation_arn(call.region, found.model_id)
        if kind not in base.customizations:
            raise invalid(
                f"Customization type {kind} is not supported for model {base.model_id} in {call.region}."
            )
        return base, arn

    def _config(self, call: Call, kind: str, base: Foundation) -> Members | None:
        """The `customizationConfig` of the job, defaults merged in. Raises EmulatedError."""
        config: Members | None = call.members.get("customizationConfig")
        logs = "invocationLogsConfig" in call.members["trainingDataConfig"]
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
        if call.members.get("hyperParameters"):
            raise invalid("hyperParameters belong in customizationConfig.rftConfig.hyperParameters.")
        given = config[needed].get("hyperParameters", {})
        return {needed: config[needed] | {"hyperParameters": effective_numbers(base.reinforcement, given)}}

    def _check_teacher(self, call: Call, config: Members, base: Foundation) -> None:
        wanted = config["distillationConfig"]["teacherModelConfig"]["teacherModelIdentifier"]
        teacher = find_teacher(wanted, call.region)
        if teacher is None or not base.taught_by(teacher):
            raise invalid(f"The teacher model {wanted} is not supported for student model {base.model_id}.")


def details(job: CustomizationJob) -> Members:
    """What GetModelCustomizationJob answers."""
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
    """What ListModelCustomizationJobs tells of a job."""
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
    """The sub-stages."""
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
