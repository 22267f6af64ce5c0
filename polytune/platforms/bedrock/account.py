"""The account behind the Bedrock platform: all of its calls to AWS.

`platform` imports it only when an account is needed, because boto3 takes half a second to load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Missing, NeedsCredentials
from polytune.aws.functions import Function, deploy
from polytune.aws.objects import Objects
from polytune.aws.places import content_uri
from polytune.aws.pricing import live_prices
from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, Prices, find_base_model
from polytune.data.prices import price_list, prices_of
from polytune.engine.artifacts import Facts
from polytune.engine.clock import clock_at
from polytune.engine.jobbook import JobRow
from polytune.errors import Obstacle, StepFailed
from polytune.files import digest_of, write_whole
from polytune.fingerprint import fingerprint
from polytune.platforms.bedrock import requests as requests
from polytune.platforms.bedrock import results as results
from polytune.platforms.bedrock import rewards as rewards
from polytune.platforms.bedrock.converse import ConverseInvoker, base_target, custom_target
from polytune.platforms.bedrock.drivers import (
    BedrockDriver,
    CustomizationDriver,
    DeploymentDriver,
    ImportDriver,
    ThroughputDriver,
    Waiting,
)
from polytune.platforms.bedrock.failures import calling
from polytune.platforms.bedrock.media import problems as media_problems
from polytune.platforms.bedrock.requests import platform_name
from polytune.platforms.interface import (
    Collected,
    Customization,
    Deploying,
    Importing,
    Inference,
    Invoked,
    Invoker,
    Job,
    Medium,
    RewardTrial,
)
from polytune.programs.packaged import PackagedProgram
from polytune.settings import Settings


class Account:
    """Stores, customizes, imports, deploys and invokes in one AWS account and region."""

    def __init__(self, places: requests.Places, assume_role_arn: str, root: Path, settings: Settings) -> None:
        self.places = places
        self.root = root
        self.settings = settings
        self.access = Access(
            region=places.region, assume_role_arn=assume_role_arn, environment=settings.environment
        )
        self._seen: dict[str, bool] = {}

    def unready(self) -> Obstacle | None:
        """A problem that a run would hit later: credentials, a missing bucket, its region."""
        places = self.places
        try:
            self.access.identity()
            region = Objects(self.access).bucket_region(places.bucket)
        except AwsFailure as failure:
            return Obstacle(str(failure))
        if region == places.region:
            return None
        return Obstacle(
            f"bucket {places.bucket} is in {region}, but jobs run in {places.region}, and Bedrock reads only"
            " buckets of its own region",
            "Set platform.region, or take a bucket there",
            "platform",
        )

    def refresh_prices(self) -> None:
        """The cached AWS price list is at most a day old, if AWS can be reached."""
        refresh_price_list(self.access, self.settings)

    # data

    async def store(self, project: str, files: Mapping[str, Path]) -> dict[str, str]:
        """Each file is in the bucket under its digest; bytes that are already there are not sent."""
        uris = {}
        for name, path in files.items():
            digest = await asyncio.to_thread(digest_of, path)
            uri = self._content_uri(project, digest, f"{name}{path.suffix}")
            await self._put(path, uri, digest)
            uris[name] = uri
        return uris

    async def store_folder(self, project: str, files: Mapping[str, Path]) -> str:
        """The files are in the bucket under one prefix, named by the digest of all; returns the prefix."""
        digests = {name: await asyncio.to_thread(digest_of, path) for name, path in files.items()}
        whole = fingerprint("polytune.folder.v1", dict(digests))
        prefix = self._content_uri(project, whole, "") + "/"
        for name, path in files.items():
            await self._put(path, f"{prefix}{name}", digests[name])
        return prefix

    async def media_problems(self, media: Sequence[Medium]) -> dict[str, str]:
        """Files that are missing, unreadable, in another bucket, or not what the row states."""
        with calling("looking at media files"):
            return await asyncio.to_thread(media_problems, self.access, self.places.bucket, media)

    def _content_uri(self, project: str, digest: str, name: str) -> str:
        return content_uri(self.places.bucket, self.places.prefix, project, digest, name)

    async def _put(self, path: Path, uri: str, digest: str) -> None:
        with calling(f"upload of {path.name}"):
            await asyncio.to_thread(
                Objects(self.access).put_file, path, uri, digest, kms_key_arn=self.places.kms_key_arn
            )

    # jobs

    def customization(self, ask: Customization, uris: Mapping[str, str]) -> Job:
        """CreateModelCustomizationJob. Raises StepFailed if the model is not customized in this region."""
        entry = self._entry(ask.base_model)
        regions = entry.on(platform_name).regions
        if self.places.region not in regions:
            raise StepFailed(
                f"{entry.title} is customized in {', '.join(regions)}, not in {self.places.region}."
                " Set platform.region, with a bucket there"
            )
        teacher = self._entry(ask.teaching.teacher_model) if ask.teaching else None
        request = requests.customization(ask, entry, _teacher_id(teacher), uris, self.places)
        return self._driver(CustomizationDriver), request

    def collect(self, job: JobRow, folder: Path) -> Collected:
        """The model's ARN, the effective hyperparameters, and the curves from S3."""
        with calling("reading the finished job"):
            found = self._bedrock("GetModelCustomizationJob", {"jobIdentifier": job.handle})
            files = results.fetched(Objects(self.access), found, folder)
        model = found["outputModelArn"]
        return Collected(
            files=files,
            facts={"model_arn": model, "region": self.places.region, "training": found["customizationType"]},
            metrics=results.metrics(found, folder),
            resources={"model": model},
        )

    def try_reward(self, reward: PackagedProgram, rollouts: Sequence[Facts]) -> RewardTrial:
        """Runs the grader locally, and checks that it is deterministic, fast and scores from 0 to 1."""
        return rewards.tried(reward, rollouts)

    def publish_reward(self, reward: PackagedProgram, role_arn: str, timeout_seconds: int) -> str:
        """The grader is a Lambda function named by the package's content; returns its ARN."""
        with calling(f"deploying {reward.place.main.name} as a Lambda function"):
            function = Function(
                "polytune-reward",
                rewards.package(reward),
                handler="reward_handler.handler",
                role_arn=role_arn,
                timeout_seconds=timeout_seconds,
                description="Rewards answers in reinforcement fine-tuning; made by polytune",
            )
            return deploy(self.access, function)

    def importing(self, ask: Importing) -> Job:
        """CreateModelImportJob."""
        return self._driver(ImportDriver), requests.importing(ask, self.places)

    def imported(self, job: JobRow) -> Collected:
        """The imported model, which can be called without a deployment."""
        with calling("reading the finished import"):
            found = self._bedrock("GetModelImportJob", {"jobIdentifier": job.handle})
        model = found["importedModelArn"]
        facts = {
            "model_arn": model,
            "invocation_arn": model,
            "region": self.places.region,
            "training": "IMPORTED",
        }
        return Collected(facts=facts, resources={"model": model})

    def deploying(self, ask: Deploying) -> Job:
        """An on-demand deployment or provisioned throughput."""
        request = requests.deploying(ask)
        if ask.kind == "provisioned":
            return self._driver(ThroughputDriver), request
        return DeploymentDriver(self.access, self._waiting, str(ask.model["model_arn"])), request

    def deployed(self, job: JobRow) -> Collected:
        """The deployment's ARN, which is what applications invoke."""
        facts = {"invocation_arn": job.handle, "deployment": job.request["kind"]}
        resources = {"deployment": job.handle}
        if job.request.get("stable_name"):
            resources["deployment of this model"] = (
                f"{job.handle}{serving}{job.request['members']['modelArn']}"
            )
        return Collected(facts=facts, resources=resources)

    def _driver(self, driver: type[BedrockDriver]) -> BedrockDriver:
        return driver(self.access, self._waiting)

    @property
    def _waiting(self) -> Waiting:
        return Waiting(clock_at(self.settings.clock_url), self.settings.stall_seconds)

    # use

    def invoker(self, model: Invoked, inference: Inference) -> Invoker:
        """Converse with the base model, or with the custom model's deployment."""
        facts = model.artifact.facts
        if model.base:
            entry = self._entry(str(facts["base_model"]))
            target = base_target(entry.on(platform_name).call_id, self._prices(entry))
        elif "invocation_arn" not in facts:
            raise StepFailed(
                "a custom model answers on Bedrock only when deployed: add `deploy: {}` to steps"
            )
        elif facts["training"] == "IMPORTED":
            target = custom_target(str(facts["invocation_arn"]), Prices())
        else:
            prices = self._prices(self._entry(str(facts["base_model"])))
            target = custom_target(str(facts["invocation_arn"]), prices)
        return ConverseInvoker(self.access, target, inference)

    def _entry(self, name: str) -> BaseModelEntry:
        return find_base_model(name, self.root)

    def _prices(self, entry: BaseModelEntry) -> Prices:
        return prices_of(entry, self.settings) or Prices()

    def exists(self, uri: str) -> bool:
        """Whether an object, a model or a deployment still exists; True when this cannot be checked."""
        # One answer per process: planning asks for the same resource once per step that uses it.
        if uri not in self._seen:
            self._seen[uri] = self._exists(uri)
        return self._seen[uri]

    def _exists(self, uri: str) -> bool:
        try:
            if uri.startswith("s3://"):
                return Objects(self.access).exists(uri)
            arn, _, served = uri.partition(serving)
            look = next((look for part, look in looks.items() if f":{part}/" in arn), None)
            found = self._bedrock(look[0], {look[1]: arn}) if look is not None else {}
            return not served or found["modelArn"] == served
        except Missing:
            return False
        except (NeedsCredentials, AwsFailure):
            # Without an answer the cached result stays valid: redoing paid work must never follow from an
            # outage.
            return True

    def _bedrock(self, operation: str, members: Mapping[str, str]) -> dict[str, Any]:
        return self.access.service("bedrock").call(operation, members)


price_list_seconds = 24 * 3600
"""The maximum age of the cached price list, which all workspaces share."""
serving = "#serving="
"""Separates a stable deployment's ARN from the model that a result needs it to serve."""
looks = {
    "custom-model-deployment": ("GetCustomModelDeployment", "customModelDeploymentIdentifier"),
    "custom-model": ("GetCustomModel", "modelIdentifier"),
    "imported-model": ("GetImportedModel", "modelIdentifier"),
    "provisioned-model": ("GetProvisionedModelThroughput", "provisionedModelId"),
}
"""The operation and member that check whether a resource exists, by the resource type in its ARN."""


def _teacher_id(teacher: BaseModelEntry | None) -> str:
    """The teacher's identifier in a distillation job: its profile if that is the only way, else its id."""
    if teacher is None:
        return ""
    offering = teacher.on(platform_name)
    by_id = "on_demand" in offering.teacher_invocation or offering.profile_id is None
    return offering.inference_id if by_id else str(offering.profile_id)


def refresh_price_list(access: Access, settings: Settings) -> None:
    """The cached list is at most a day old; unchanged when AWS cannot be reached."""
    path = price_list(settings)
    if path.is_file() and time.time() - path.stat().st_mtime < price_list_seconds:
        return
    found: dict[str, dict[str, float]] = {}
    for name in BASE_MODELS.names():
        entry = BASE_MODELS.get(name)
        offering = entry.platforms.get(platform_name)
        if offering and offering.price_family and access.region in offering.regions:
            prices = live_prices(access, offering.price_family)
            # No prices for the first family mostly means no permission or no network: do not try the others.
            if not prices and not found:
                return
            found[name] = prices
    if any(found.values()):
        write_whole(path, msgspec.json.encode({name: prices for name, prices in found.items() if prices}))
