"""Custom model import: a Hugging Face folder in S3 becomes a model, if Bedrock supports its architecture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from polytune.data.importable import architectures, missing_files, no_converse, regions, single_region
from polytune.emulator.bedrock.call import ApiCall, Area, Members, invalid, not_found
from polytune.emulator.bedrock.requests import check_new_name, check_role, key_arn
from polytune.emulator.bedrock.resources import CopyStatus, ImportedModel
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.storage import JobRefused, JobStorage, name_of
from polytune.emulator.bedrock.world import World

importing_time = timedelta(minutes=12)
"""Assumed; no observation was found."""
unread_architecture = "LlamaForCausalLM"
"""The assumed architecture when there is no S3 to read from."""


@dataclass
class ImportJob:
    """One CreateModelImportJob."""

    arn: str
    name: str
    region: str
    created: datetime
    request: Members
    kms_key_arn: str | None
    status: CopyStatus = "InProgress"
    failure: str = ""
    ended: datetime | None = None
    model_arn: str | None = None

    @property
    def changed(self) -> datetime:
        """When the job last changed."""
        return self.ended or self.created


class Imports(Area):
    """The account's import jobs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.listing = Listing[ImportJob](
            member="modelImportJobSummaries",
            name=lambda job: job.name,
            created=lambda job: job.created,
            arn=lambda job: job.arn,
            summary=summary,
            equal={"statusEquals": "status"},
        )

    @property
    def _jobs(self) -> dict[str, ImportJob]:
        return self.world.state.table(ImportJob)

    def settle(self, now: datetime) -> None:
        for job in list(self._jobs.values()):
            # The end is the time when it was due, not the time of this call.
            moment = job.created + importing_time
            if job.status == "InProgress" and now >= moment:
                self._finish(job, moment)

    def snapshot(self, now: datetime) -> dict[str, Any]:
        return {
            "imports": [
                {"name": job.name, "arn": job.arn, "status": job.status, "failure": job.failure}
                for job in self._jobs.values()
            ]
        }

    def create_model_import_job(self, call: ApiCall) -> Members:
        """The import job exists. Errors in its files show later, when it ends."""
        # The rules are those of `data/importable.py`, which also checks a model before it is uploaded.
        if call.region not in regions:
            raise invalid(f"Custom model import is not available in {call.region}.")
        check_role(self.world, call.text("roleArn"))
        here = [job for job in self._jobs.values() if job.region == call.region]
        check_new_name(call.text("jobName"), {job.name for job in here}, "job name")
        models = self.world.state.table(ImportedModel).values()
        taken = {model.name for model in models if model.region == call.region}
        # The model appears only when its job completes; until then the job reserves its name.
        taken |= {job.request["importedModelName"] for job in here if job.status == "InProgress"}
        check_new_name(call.text("importedModelName"), taken, "imported model name")
        arn = self.world.arn(call.region, f"model-import-job/{new_id()}")
        key = key_arn(call, call.text("importedModelKmsKeyId"))
        job = ImportJob(arn, call.text("jobName"), call.region, call.now, call.members, key)
        self.world.state.add(arn, job, call.members.get("jobTags"))
        return {"jobArn": arn}

    def get_model_import_job(self, call: ApiCall) -> Members:
        """The job with this name or ARN."""
        wanted = call.text("jobIdentifier")
        for job in self._jobs.values():
            if job.region == call.region and wanted in (job.arn, job.name):
                return summary(job) | {
                    "roleArn": job.request["roleArn"],
                    "modelDataSource": job.request["modelDataSource"],
                    "failureMessage": job.failure or None,
                    "vpcConfig": job.request.get("vpcConfig"),
                    "importedModelKmsKeyArn": job.kms_key_arn,
                }
        raise not_found("The provided job identifier was not found.")

    def list_model_import_jobs(self, call: ApiCall) -> Members:
        """The region's import jobs."""
        return self.listing.page(call, [job for job in self._jobs.values() if job.region == call.region])

    def _finish(self, job: ImportJob, moment: datetime) -> None:
        """The job has ended: the model exists, or the job has failed."""
        job.ended = moment
        try:
            architecture = self._architecture(job)
        except JobRefused as refused:
            job.status, job.failure = "Failed", str(refused)
            return
        job.status = "Completed"
        job.model_arn = self.world.arn(job.region, f"imported-model/{new_id()}")
        model = ImportedModel(
            arn=job.model_arn,
            name=job.request["importedModelName"],
            region=job.region,
            created=moment,
            architecture=architecture,
            # AWS documents that Converse does not support these architectures.
            instruct=architecture not in no_converse,
            job_arn=job.arn,
            job_name=job.name,
            source=job.request["modelDataSource"],
            kms_key_arn=job.kms_key_arn,
        )
        self.world.state.add(model.arn, model, job.request.get("importedModelTags"))

    def _architecture(self, job: ImportJob) -> str:
        """The architecture in the folder's config.json. Raises JobRefused, also if files are missing."""
        if self.world.objects is None:
            return unread_architecture
        storage = JobStorage(self.world.objects, job.region)
        folder = job.request["modelDataSource"]["s3DataSource"]["s3Uri"].rstrip("/") + "/"
        names = {name_of(uri) for uri in storage.below(folder)}
        missing = missing_files(names)
        if missing:
            raise JobRefused(f"Files are missing in {folder}: {', '.join(missing)}.")
        return named_architecture(storage.read(folder + "config.json"), job.region)


def named_architecture(config: bytes, region: str) -> str:
    """The architecture in a config.json. Raises JobRefused if the region does not support it."""
    try:
        found = json.loads(config)
        architecture = str(found["architectures"][0])
    except (ValueError, LookupError, TypeError) as error:
        raise JobRefused("config.json does not name an architecture.") from error
    if architecture not in architectures or single_region.get(architecture, region) != region:
        raise JobRefused(f"The model architecture {architecture} is not supported in {region}.")
    return architecture


def summary(job: ImportJob) -> Members:
    """The members of a job in ListModelImportJobs."""
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "status": job.status,
        "lastModifiedTime": job.changed,
        "creationTime": job.created,
        "endTime": job.ended,
        "importedModelArn": job.model_arn,
        "importedModelName": job.request["importedModelName"],
    }
