"""Copies of custom models between regions. CreateModelCopyJob is called in the target region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from polytune.emulator.bedrock.call import ApiCall, Area, Members, not_found
from polytune.emulator.bedrock.requests import check_new_name, key_arn
from polytune.emulator.bedrock.resources import CopyStatus, CustomModel
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.world import World

copying_time = timedelta(minutes=10)
"""Assumed; no observation was found."""


@dataclass
class CopyJob:
    """One CreateModelCopyJob."""

    arn: str
    region: str
    created: datetime
    source: CustomModel
    target: CustomModel
    tags: list[dict[str, str]]
    kms_key_arn: str | None
    done: bool = False

    def status(self) -> CopyStatus:
        """InProgress until the copy exists."""
        return "Completed" if self.done else "InProgress"


class Copies(Area):
    """The account's copy jobs."""

    def __init__(self, world: World) -> None:
        self.world = world

    def settle(self, now: datetime) -> None:
        for job in self._jobs.values():
            # The target exists as an object from the start; only now does the account own it.
            if not job.done and now >= job.created + copying_time:
                job.done = True
                self.world.state.add(job.target.arn, job.target, job.tags)

    def snapshot(self, now: datetime) -> dict[str, Any]:
        return {"copies": [{"arn": job.arn, "status": job.status()} for job in self._jobs.values()]}

    @property
    def _jobs(self) -> dict[str, CopyJob]:
        return self.world.state.table(CopyJob)

    def create_model_copy_job(self, call: ApiCall) -> Members:
        """The model is being copied to the region of the call."""
        models = self.world.state.table(CustomModel)
        source = models.get(call.text("sourceModelArn"))
        if source is None or source.status(call.now) != "Active":
            raise not_found("The provided source model was not found.")
        taken = {model.name for model in models.values() if model.region == call.region}
        check_new_name(call.text("targetModelName"), taken, "custom model name")
        path = source.arn.partition(":custom-model/")[2].partition("/")[0]
        key = key_arn(call, call.text("modelKmsKeyId"))
        target = CustomModel(
            arn=self.world.arn(call.region, f"custom-model/{path}/{new_id()}"),
            name=call.text("targetModelName"),
            region=call.region,
            created=call.now + copying_time,
            base=source.base,
            # A copy names the base model of its own region.
            base_arn=source.base_arn.replace(f":{source.region}:", f":{call.region}:", 1),
            customization_type=source.customization_type,
            details={"modelKmsKeyArn": key, "hyperParameters": source.details.get("hyperParameters")},
        )
        arn = self.world.arn(call.region, f"model-copy-job/{new_id()}")
        tags = call.members.get("targetModelTags", [])
        self.world.state.add(arn, CopyJob(arn, call.region, call.now, source, target, tags, key))
        return {"jobArn": arn}

    def get_model_copy_job(self, call: ApiCall) -> Members:
        """The job with this ARN. Unlike customization jobs, it cannot be found by name."""
        job = self._jobs.get(call.text("jobArn"))
        if job is None or job.region != call.region:
            raise not_found("The provided model copy job was not found.")
        return self._described(job)

    def list_model_copy_jobs(self, call: ApiCall) -> Members:
        """The region's copy jobs."""
        listing = Listing[CopyJob](
            member="modelCopyJobSummaries",
            name=lambda job: job.target.name,
            created=lambda job: job.created,
            arn=lambda job: job.arn,
            summary=self._described,
            equal={
                "statusEquals": "status",
                "sourceAccountEquals": "sourceAccountId",
                "sourceModelArnEquals": "sourceModelArn",
            },
            name_filter="targetModelNameContains",
        )
        return listing.page(call, [job for job in self._jobs.values() if job.region == call.region])

    def _described(self, job: CopyJob) -> Members:
        return {
            "jobArn": job.arn,
            "status": job.status(),
            "creationTime": job.created,
            "targetModelArn": job.target.arn,
            "targetModelName": job.target.name,
            "sourceAccountId": self.world.account,
            "sourceModelArn": job.source.arn,
            "targetModelKmsKeyArn": job.kms_key_arn,
            "targetModelTags": job.tags,
            "sourceModelName": job.source.name,
        }
