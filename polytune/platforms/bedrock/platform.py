"""Amazon Bedrock: datasets in S3, customization, import, deployment and Converse, each job bought once.

    s3://<bucket>/<prefix>/<project>/sha256-<digest>/train.jsonl     stored data, by content
    s3://<bucket>/<prefix>/<project>/jobs/                           what jobs write

This file is what an experiment states and what planning needs; `account` talks to AWS: `requests` says what
is asked for, `drivers` drive it, `results` reads what it left. `management` is for the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from pydantic import Field

from polytune.aws.stated import credentials_obstacle
from polytune.aws.variables import Defaults, rehearsal_remedy
from polytune.base_models.interface import custom_model_arn, end_of_life_obstacle, find_base_model
from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.jobbook import JobRow
from polytune.engine.step import KeyFacts
from polytune.errors import Obstacle
from polytune.platforms.bedrock import rewards as rewards
from polytune.platforms.bedrock.requests import Places
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
    Offer,
    Platform,
    PlatformSpec,
    RewardTrial,
)
from polytune.programs.packaged import PackagedProgram
from polytune.settings import Settings
from polytune.spec.model import Items

if TYPE_CHECKING:
    from polytune.platforms.bedrock.account import Account

variables = {
    "bucket": "BEDROCK_TRAINING_BUCKET",
    "output_bucket": "BEDROCK_OUTPUT_BUCKET",
    "role_arn": "BEDROCK_ROLE_ARN",
    "kms_key_arn": "BEDROCK_KMS_KEY_ARN",
}
"""Environment variables that hold where the file states nothing."""


credential_variables = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
"""Any of these means that AWS is meant to be reached."""


class BedrockSpec(PlatformSpec):
    """Amazon Bedrock and S3, in an account of your own."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] = "us-east-1"
    """Where jobs run; the bucket must be in the same region."""
    bucket: str = ""
    """Where datasets are stored; '' takes BEDROCK_TRAINING_BUCKET."""
    output_bucket: str = ""
    """Where jobs write; '' takes BEDROCK_OUTPUT_BUCKET, else `bucket`."""
    prefix: Annotated[str, Field(pattern=r"^[-!_*'().a-zA-Z0-9]+(/[-!_*'().a-zA-Z0-9]+)*$")] = "polytune"
    """What every key in the buckets begins with."""
    role_arn: str = ""
    """The service role that jobs assume; '' takes BEDROCK_ROLE_ARN."""
    kms_key_arn: str = ""
    """Encrypts stored data and custom models; '' takes BEDROCK_KMS_KEY_ARN, else keys of AWS."""
    subnet_ids: Items[str] = ()
    """Where jobs run inside your network."""
    security_group_ids: Items[str] = ()
    """What guards jobs inside your network."""
    assume_role_arn: str = ""
    """A role that polytune itself assumes for this experiment, for example in another account."""


def places_of(spec: BedrockSpec, settings: Settings) -> Places:
    """The places and rights in force: the file's, and the environment's where it states none."""
    default = Defaults.of(settings.environment)
    bucket = spec.bucket or default.bucket
    return Places(
        region=spec.region,
        bucket=bucket,
        output_bucket=spec.output_bucket or default.output_bucket or bucket,
        prefix=spec.prefix,
        role_arn=spec.role_arn or default.role_arn,
        kms_key_arn=spec.kms_key_arn or default.kms_key_arn,
        subnet_ids=spec.subnet_ids or default.subnet_ids,
        security_group_ids=spec.security_group_ids or default.security_group_ids,
    )


class Bedrock(Platform):
    """Trains, imports, deploys and invokes on Amazon Bedrock."""

    Spec = BedrockSpec
    name = "bedrock"
    offers = frozenset(get_args(Offer))
    reward_names = rewards.names
    spec: BedrockSpec

    def __init__(self, spec: BedrockSpec, root: Path, settings: Settings) -> None:
        super().__init__(spec, root, settings)
        self.places = places_of(spec, settings)

    @cached_property
    def account(self) -> Account:
        """The account behind the platform. Imported here, because boto3 takes half a second to load."""
        from polytune.platforms.bedrock.account import Account

        return Account(self.places, self.spec.assume_role_arn, self.root, self.settings)

    def missing(self) -> Obstacle | None:
        """The bucket or the role that nobody named, or the credentials that nobody left here."""
        if bool(self.places.subnet_ids) != bool(self.places.security_group_ids):
            cause = "jobs inside your network need both `subnet_ids` and `security_group_ids`"
            return Obstacle(cause, "Set both, or none", "platform")
        lacking = [name for name in ("bucket", "role_arn") if not getattr(self.places, name)]
        if not lacking:
            return credentials_obstacle(self.settings.environment)
        named = " and ".join(f"platform.{name} (or {variables[name]})" for name in lacking)
        return Obstacle(f"needs {named}", rehearsal_remedy, "platform")

    def refuses(self, base_model: str) -> Obstacle | None:
        """A base model that AWS has retired, or does not customize in the region."""
        entry = find_base_model(base_model, self.root)
        # The stand-ins of a rehearsal know no calendar.
        ended = None if self.settings.rehearsal else end_of_life_obstacle(entry, datetime.now(UTC).date())
        # What a custom model was made from may have ended before the model itself does.
        if ended is not None and custom_model_arn(base_model) is None:
            return ended
        regions = entry.on(self.name).regions
        if self.places.region in regions:
            return None
        cause = f"{entry.title} is customized in {', '.join(regions)}, not in {self.places.region}"
        return Obstacle(cause, "Set platform.region, with a bucket there", "platform")

    def unready(self) -> Obstacle | None:
        """What an account lacks that a run would meet later: credentials, the bucket, its region."""
        return self.account.unready()

    def refresh_prices(self) -> None:
        """Today's price list, for whoever states credentials; never where a stand-in takes AWS's place."""
        environment = self.settings.environment
        stated = any(environment.get(name) for name in credential_variables)
        elsewhere = self.settings.rehearsal or environment.get("AWS_ENDPOINT_URL")
        if stated and not elsewhere:
            self.account.refresh_prices()

    def key_facts(self) -> KeyFacts:
        """What the environment decides because the file does not."""
        unstated = [name for name in variables if not getattr(self.spec, name)]
        facts = {name: getattr(self.places, name) for name in unstated if getattr(self.places, name)}
        return KeyFacts(facts, environment=tuple(variables[name] for name in unstated))

    async def store(self, project: str, files: Mapping[str, Path]) -> dict[str, str]:
        """Each file is in the bucket under its digest; bytes that are there already are not sent."""
        return await self.account.store(project, files)

    async def store_folder(self, project: str, files: Mapping[str, Path]) -> str:
        """The files are in the bucket under one prefix, named by all their contents; the prefix."""
        return await self.account.store_folder(project, files)

    async def media_problems(self, media: Sequence[Medium]) -> dict[str, str]:
        """Files that are not there, cannot be read, lie in another bucket, or are not as the row says."""
        return await self.account.media_problems(media)

    def customization(self, ask: Customization, uris: Mapping[str, str]) -> Job:
        """CreateModelCustomizationJob. Raises StepFailed where the region has no such customization."""
        return self.account.customization(ask, uris)

    def collect(self, job: JobRow, folder: Path) -> Collected:
        """The model's ARN, the values in force, and the curves from S3."""
        return self.account.collect(job, folder)

    def try_reward(self, reward: PackagedProgram, rollouts: Sequence[Facts]) -> RewardTrial:
        """Deterministic, from 0 to 1, and quick: tried in processes of this machine."""
        return self.account.try_reward(reward, rollouts)

    def publish_reward(self, reward: PackagedProgram, role_arn: str, timeout_seconds: int) -> str:
        """A Lambda function named by the package's content; its ARN."""
        return self.account.publish_reward(reward, role_arn, timeout_seconds)

    def importing(self, ask: Importing) -> Job:
        """CreateModelImportJob."""
        return self.account.importing(ask)

    def imported(self, job: JobRow) -> Collected:
        """The imported model, which answers without a deployment."""
        return self.account.imported(job)

    def deploying(self, ask: Deploying) -> Job:
        """An on-demand deployment or provisioned throughput."""
        return self.account.deploying(ask)

    def deployed(self, job: JobRow) -> Collected:
        """The deployment's ARN, which is what applications invoke."""
        return self.account.deployed(job)

    def address(self, model: Artifact) -> str:
        """What to invoke: the deployment, the imported model, else the custom model's own ARN."""
        return str(model.facts.get("invocation_arn") or model.facts["model_arn"])

    def has_base(self, model: Artifact) -> bool:
        """Not for a model that was imported: Bedrock does not have what it was made from."""
        return model.facts.get("training") != "IMPORTED"

    def invoker(self, model: Invoked, inference: Inference) -> Invoker:
        """Converse with the base model, or with what makes the custom one answer."""
        return self.account.invoker(model, inference)

    def exists(self, uri: str) -> bool:
        """Whether an object, a model or a deployment is still there; True when nobody can be asked."""
        return self.account.exists(uri)
