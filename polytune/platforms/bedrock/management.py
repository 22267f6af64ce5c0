"""Bedrock for the command line: one account, in the region of an ARN, of `--region`, or the default one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import msgspec

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Missing, NeedsCredentials
from polytune.aws.objects import Objects
from polytune.aws.places import content_uri
from polytune.aws.pricing import live_prices
from polytune.aws.variables import Defaults
from polytune.base_models.interface import BaseModelEntry
from polytune.data.tokens import TokenCounter
from polytune.engine.artifacts import Artifact
from polytune.engine.jobbook import JobBook
from polytune.errors import PolytuneError, Unavailable, UsageError
from polytune.files import digest_of
from polytune.platforms.bedrock.converse import ConverseClient
from polytune.platforms.bedrock.deploy import Deployer, ModelDeployment, price_words
from polytune.platforms.bedrock.doctor import AccountExamination
from polytune.platforms.bedrock.failures import explained
from polytune.platforms.bedrock.leases import Leases
from polytune.platforms.bedrock.models import Models, entry_of
from polytune.platforms.bedrock.platform import BedrockSpec, credential_variables, places_of
from polytune.platforms.bedrock.policies import policies
from polytune.platforms.bedrock.requests import platform_name
from polytune.platforms.bedrock.requirements import AccountRequirements, requirements_of
from polytune.platforms.bedrock.resources import (
    Inventory,
    batch,
    check_removable,
    check_stoppable,
    customization,
    deployment_kinds,
    facts_of,
    kind_named,
    model_import,
)
from polytune.platforms.bedrock.results import read_curves
from polytune.platforms.bedrock.tokens import BedrockTokens
from polytune.platforms.interface import Inference, Platform
from polytune.platforms.management import (
    AnsweringModel,
    Curves,
    DeploymentPlan,
    DeploymentRequest,
    JobListing,
    LeasedDeployment,
    ManagedJob,
    ManagedModel,
    Management,
    ModelClient,
    OfferedModels,
    PlatformUse,
    PreflightCheck,
    StoredFile,
    ok,
)
from polytune.settings import load_settings

usual_region = "us-east-1"
"""The same default as for an experiment that names no region."""
offered_attempts = 2
"""Attempts at listing the live models, which is only a check: the catalogue is always available."""
patient_attempts = 8
no_credentials = "NoCredentialsError"
"""The error code when AWS is not set up on this machine."""
endpoints = "AWS_ENDPOINT_URL"

_arn = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:(?P<region>[a-z0-9-]*):[0-9]*:.+")
_region = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")


class BedrockManagement(Management):
    """The account that the workspace's environment variables select."""

    name = platform_name
    # The union of all three kinds of jobs, from the API's enums (botocore's `bedrock` model, 2023-04-20).
    statuses = (
        "InProgress",
        "Completed",
        "Failed",
        "Stopping",
        "Stopped",
        "Submitted",
        "Validating",
        "Scheduled",
        "PartiallyCompleted",
        "Expired",
    )
    variables: ClassVar = ("AWS_", "BEDROCK_")
    _access: Access | None = None

    def owns(self, identifier: str) -> bool:
        """An ARN, or the token of a job whose handle in the ledger is one."""
        return self._handle(identifier).startswith("arn:")

    def _handle(self, name: str) -> str:
        """The ARN that the ledger has for a job's token; otherwise the name itself."""
        job = None if name.startswith("arn:") else JobBook(self.ledger).of_token(name)
        return job.handle if job and job.handle.startswith("arn:") else name

    def reopen(self) -> None:
        """Uses the current `.env` and credentials, if they can be read."""
        try:
            self.settings = load_settings(self.workspace.root)
        except (PolytuneError, OSError):
            # The file may be half edited; new clients still pick up credentials that were renewed elsewhere.
            self._access = replace(self._access) if self._access else None
        else:
            self._access = None

    def access(self, *names: str) -> Access:
        """The account, in the region of the ARNs among the names. Raises UsageError if regions conflict."""
        region = self._region_of(names)
        if self._access is None or self._access.region != region:
            self._access = Access(region=region, environment=self.settings.environment)
        return self._access

    def _region_of(self, names: Iterable[str]) -> str:
        if self.region and not _region.fullmatch(self.region):
            raise UsageError(f"--region {self.region}: not a region; write one as {usual_region}")
        chosen = self.region
        for name in names:
            found = _arn.fullmatch(name)
            if name.startswith("arn:") and not found:
                raise UsageError(f"'{name}' is not an ARN: arn:aws:bedrock:REGION:ACCOUNT:...")
            stated = found["region"] if found else ""
            if stated and chosen and stated != chosen:
                raise UsageError(f"{name} is in {stated}, not in {chosen}")
            chosen = chosen or stated
        return chosen or Defaults.of(self.settings.environment).region or usual_region

    def _inventory(self, *names: str, attempts: int = patient_attempts) -> Inventory:
        return Inventory(self.access(*names), attempts=attempts)

    # jobs

    def jobs(self) -> JobListing:
        """Customization, import and batch jobs; import and batch jobs that cannot be listed become gaps."""
        known = {job.handle for job in JobBook(self.ledger).all_jobs()}
        inventory = self._inventory()
        try:
            found = list(inventory.all(customization))
        except NeedsCredentials as failure:
            if failure.code == no_credentials:
                raise Unavailable(str(failure)) from failure
            raise
        gaps = []
        for kind in (model_import, batch):
            try:
                found += inventory.all(kind)
            except AwsFailure as failure:
                gaps.append(f"{kind.word} jobs could not be listed: {failure}")
        jobs = (msgspec.structs.replace(each, own=each.own or each.id in known) for each in found)
        return JobListing(jobs=tuple(jobs), gaps=tuple(gaps))

    def find_job(self, name: str, *, once: bool = False) -> ManagedJob:
        """A job or a deployment by ARN, name or the ledger's token."""
        handle = self._handle(name)
        return self._inventory(handle, attempts=1 if once else patient_attempts).find(handle)

    def look(self, job: ManagedJob) -> ManagedJob | None:
        """One call, without retries."""
        try:
            return self._inventory(job.id, attempts=1).read(kind_named(job.kind), job.id)
        except Missing:
            return None

    def curves(self, job: ManagedJob) -> Curves:
        """The curves that a customization job has written to S3 so far."""
        if job.kind != customization.word:
            return Curves()
        return read_curves(Objects(self.access(job.id)), job.details)

    def facts(self, job: ManagedJob) -> Iterable[tuple[str, str]]:
        """Models, data, output and metrics."""
        return facts_of(job.details)

    def why(self, job: ManagedJob) -> str:
        """AWS's message with the likely fix."""
        return explained(job.message) if job.status == "Failed" or job.message else ""

    def cost_of_stopping(self, job: ManagedJob) -> str:
        """What is billed even if it is stopped."""
        check_stoppable(job)
        return kind_named(job.kind).billed

    def stop(self, job: ManagedJob) -> ManagedJob:
        """The job is stopping."""
        inventory = self._inventory(job.id)
        inventory.stop(job)
        return inventory.read(kind_named(job.kind), job.id)

    # models

    def _models(self, *names: str) -> Models:
        return Models(self._inventory(*names), self.settings)

    def models(self) -> list[ManagedModel]:
        """Custom and imported models of the region."""
        return self._models().owned()

    def find_model(self, name: str) -> ManagedModel:
        """A custom or imported model by ARN or name."""
        return self._models(name).find(name)

    def check_unused(self, model: ManagedModel) -> None:
        """No deployment uses it."""
        self._models(model.id).check_unused(model)

    def delete_model(self, model: ManagedModel) -> None:
        """The model is deleted, unless a deployment uses it."""
        self._models(model.id).delete(model)

    def offered_models(self) -> OfferedModels:
        """ListFoundationModels of the region."""
        inventory = self._inventory(attempts=offered_attempts)
        region = inventory.access.region
        try:
            found = inventory.bedrock.call("ListFoundationModels", {})["modelSummaries"]
        except AwsFailure as failure:
            return OfferedModels(region=region, customizations={}, failure=str(failure))
        types = {str(one["modelId"]): tuple(one.get("customizationsSupported") or ()) for one in found}
        return OfferedModels(region=region, customizations=types)

    def live_prices(self, entry: BaseModelEntry) -> Mapping[str, float]:
        """Prices from the AWS Price List API."""
        offering = entry.platforms.get(self.name)
        family = offering.price_family if offering else None
        return live_prices(self.access(), family) if family else {}

    def token_counter(self, entry: BaseModelEntry) -> TokenCounter | None:
        """CountTokens, if the environment has credentials; else None."""
        if not any(self.settings.environment.get(name) for name in credential_variables):
            return None
        offering = entry.on(self.name)
        region = self._region_of(())
        access = Access(
            region=region if region in offering.regions else offering.regions[0],
            environment=self.settings.environment,
        )
        return BedrockTokens(access, offering.inference_id)

    # asking

    def answering(self, name: str) -> AnsweringModel:
        """The profile of a base model, the deployment of a custom model, or the imported model itself."""
        models = self._models(name)
        found = models.answering(name)
        return AnsweringModel(
            id=found.target.model_id,
            base=found.base,
            custom=found.custom,
            name=models.find(found.model_arn).name if found.custom else "",
            deployment_kind=found.kind,
            region=models.inventory.access.region,
        )

    def client(self, name: str, inference: Inference) -> ModelClient:
        """A Converse client with the prices of the model."""
        models = self._models(name)
        return ConverseClient(models.inventory.access, models.answering(name).target, inference)

    def client_of(self, platform: Platform, model: Artifact, inference: Inference) -> ModelClient:
        """A Converse client for the run's deployment, or for whatever serves its model."""
        return self.client(platform.address(model), inference)

    # deployments

    def plan_deployment(self, request: DeploymentRequest) -> DeploymentPlan:
        """The existing deployment with the name, and the cost of provisioned throughput."""
        models = self._models(request.model)
        wanted = ModelDeployment(request=request, model=models.find(request.model))
        if problem := wanted.problem():
            raise UsageError(problem)
        model, existing = wanted.model, Deployer(models.inventory).existing(wanted)
        notice = question = ""
        if existing is not None and existing.model != model.id:
            question = f"{existing.name} serves {existing.model}. Replace it with {model.name}?"
        elif existing is None and wanted.kind == "provisioned":
            entry = entry_of(model.base)
            price = price_words(wanted, self.settings, self.live_prices(entry) if entry else {})
            units = f"{request.units} model unit{'s' * (request.units != 1)}"
            notice, question = f"{units} of {model.name}: {price}", "Buy it?"
        return DeploymentPlan(
            request=request, model=model, existing=existing, notice=notice, question=question
        )

    def deploy(self, plan: DeploymentPlan, now: datetime) -> ManagedJob:
        """An on-demand deployment or provisioned throughput, tagged with its lease."""
        wanted = ModelDeployment(request=plan.request, model=plan.model)
        return Deployer(self._inventory(plan.model.id)).deploy(wanted, plan.existing, now)

    def deployments(self, now: datetime) -> list[LeasedDeployment]:
        """Deployments with polytune's tags. An orphan is one that the ledger does not know."""
        handles = {job.handle for job in JobBook(self.ledger).all_jobs()}
        known = handles | {uri for result in self.ledger.results() for uri in result.resources.values()}
        return Leases(self._inventory(), now, known).all()

    def find_deployment(self, name: str) -> ManagedJob:
        """A deployment or provisioned throughput by ARN or name."""
        return self._inventory(name).find(name, deployment_kinds)

    def check_removable(self, deployment: ManagedJob) -> None:
        """Returns when it is neither committed nor being changed; raises UsageError otherwise."""
        check_removable(deployment)

    def undeploy(self, deployment: ManagedJob) -> None:
        """The deployment is deleted; its model is kept, and its storage is still billed."""
        check_removable(deployment)
        self._inventory(deployment.id).delete(deployment)

    # before a run

    def checks(self, use: PlatformUse | None, options: Mapping[str, str]) -> Iterator[PreflightCheck]:
        """Endpoints, region, identity, bucket, permissions, models, quotas and names."""
        needed = self._requirements(use) if use else self._stated(options)
        for name, value in sorted(self.settings.environment.items()):
            if name.startswith(endpoints) and value:
                yield ok("endpoint", f"{name} sends calls to {value}, not to AWS")
        yield ok("region", needed.places.region)
        access = Access(
            region=needed.places.region,
            assume_role_arn=needed.assume_role_arn,
            environment=self.settings.environment,
        )
        yield from AccountExamination(access, needed).checks()

    def policies(self, use: PlatformUse, form: str, account: str) -> str:
        """The service role's trust policy and permissions, and the caller's permissions."""
        return policies(self._requirements(use), form, account, self.settings.environment)

    def _requirements(self, use: PlatformUse) -> AccountRequirements:
        assert isinstance(use.spec, BedrockSpec)
        places = places_of(use.spec, self.settings)
        return requirements_of(use.project, places, use.spec.assume_role_arn, use.requirements)

    def _stated(self, options: Mapping[str, str]) -> AccountRequirements:
        """The requirements of any experiment, with the bucket and the role from the command line."""
        spec = BedrockSpec(
            kind=self.name,
            region=self._region_of(()),
            bucket=options.get("bucket", "").removeprefix("s3://").rstrip("/"),
            role_arn=options.get("role_arn", ""),
        )
        places = places_of(spec, self.settings)
        return AccountRequirements(project="", places=places, invokes=True)

    def upload(self, files: Mapping[str, Path], options: Mapping[str, str]) -> dict[str, StoredFile]:
        """The files are in a bucket of the region, as <prefix>/<project>/sha256-<digest>/<name>.jsonl."""
        defaults = Defaults.of(self.settings.environment)
        bucket = options["bucket"].removeprefix("s3://").rstrip("/") or defaults.bucket
        if not bucket:
            raise UsageError("no bucket: give --bucket, or set BEDROCK_TRAINING_BUCKET")
        access = self.access()
        objects = Objects(access)
        _check_region(objects, bucket, access.region)
        key = options["kms_key_arn"] or defaults.kms_key_arn
        stored = {}
        for name, path in files.items():
            digest = digest_of(path)
            uri = content_uri(bucket, options["prefix"], options["project"], digest, f"{name}{path.suffix}")
            sent = objects.put_file(path, uri, digest, kms_key_arn=key)
            stored[name] = StoredFile(uri=uri, sent=sent)
        return stored


def _check_region(objects: Objects, bucket: str, region: str) -> None:
    """Returns when jobs of the region can read the bucket. Raises UsageError when they cannot."""
    try:
        found = objects.bucket_region(bucket)
    except Missing as failure:
        what = f"bucket {bucket} does not exist; make it in {region}, or name another"
        raise UsageError(what) from failure
    if found != region:
        raise UsageError(
            f"bucket {bucket} is in {found}, and jobs of {region} cannot read it: --region {found}"
        )
