"""A model on Amazon Bedrock that answers thousands of questions in batch jobs, at half the price.

teacher: {kind: bedrock_batch, model: nova-pro, records_per_job: 25000}

    missing questions --> records.jsonl in S3 --> one job for each file --> its output --> the answer memory
                     `--> fewer than a job takes: asked one by one, as `bedrock` does

Answers are the same as those of `bedrock` and have the same identity, so switching between the two asks
nothing again. This module has the spec and the teacher; `_batch_jobs` talks to AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, ClassVar

import msgspec
from pydantic import Field

from polytune.aws.variables import Defaults, rehearsal_remedy
from polytune.errors import Obstacle
from polytune.settings import Settings
from polytune.spec.model import FieldProblem
from polytune.teachers._batch_records import BatchTerms, ChunkWriter, Sizes
from polytune.teachers._converse import ConverseSpec, ConverseTeacher
from polytune.teachers.interface import (
    BatchContext,
    BatchQuestion,
    BatchTeacher,
    Price,
    TeacherSpec,
)

batch_share = 0.5
"""The batch price as a share of the on-demand price (aws.amazon.com/bedrock/pricing, 2026)."""
jobs_at_once = 10
"""Concurrent jobs per model and region: the quota stated in an AWS post on queues for batch jobs (2025)."""
largest_file_bytes = 1 << 30
"""The maximum size of an input file, chosen well below the 5 GB that S3 accepts in one request."""
usual_fewest = 100
"""The usual quota for the minimum number of records in 2026; it was 1,000 for some models before."""
usual_records = 25_000
"""The default records per job of AWS's own graphrag-toolkit (2026)."""
variables = {"bucket": "BEDROCK_TRAINING_BUCKET", "role_arn": "BEDROCK_ROLE_ARN"}
"""The environment variables that stand in for required fields."""
# Bedrock has no batch inference for models that run on capacity of their own.
answering_otherwise = (":custom-model-deployment/", ":provisioned-model/", ":imported-model/")


class BedrockBatchSpec(ConverseSpec):
    """Asks a model on Amazon Bedrock in batch jobs, which take hours and cost half the price."""

    bucket: str = ""
    """The S3 bucket for questions, in the same region. Default: BEDROCK_TRAINING_BUCKET."""
    output_bucket: str = ""
    """The S3 bucket for job output. Default: BEDROCK_OUTPUT_BUCKET, else `bucket`."""
    prefix: Annotated[str, Field(pattern=r"^[-!_*'().a-zA-Z0-9]+(/[-!_*'().a-zA-Z0-9]+)*$")] = "polytune"
    """The prefix of every key in the buckets."""
    role_arn: str = ""
    """The service role that jobs assume. Default: BEDROCK_ROLE_ARN."""
    kms_key_arn: str = ""
    """The KMS key that encrypts stored files. Default: BEDROCK_KMS_KEY_ARN, else keys managed by AWS."""
    fewest_records: Annotated[int, Field(ge=1, le=100_000)] = usual_fewest
    """The minimum number of records per job, which is the account's quota for this model. Fewer questions are
    asked one by one at the full price."""
    records_per_job: Annotated[int, Field(ge=1, le=100_000)] = usual_records
    """The maximum number of records per job. More questions are split into several jobs."""
    timeout_hours: Annotated[int, Field(ge=24, le=168)] = 72
    """Hours after which a job ends with the answers it has; the rest is submitted again."""

    def problems(self) -> list[FieldProblem]:
        """Problems of settings that batch jobs do not accept."""
        found = super().problems()
        if any(kind in self.model for kind in answering_otherwise):
            what = (
                "batch jobs do not accept deployments, provisioned or imported models: "
                "use the model's own name"
            )
            found.append(FieldProblem("model", what))
        # Silently unguarded answers would be worse than an error.
        if self.guardrail is not None:
            what = "batch jobs are not documented to apply guardrails: use `kind: bedrock`"
            found.append(FieldProblem("guardrail", what))
        if self.records_per_job < self.fewest_records:
            found.append(FieldProblem("records_per_job", f"is below fewest_records ({self.fewest_records})"))
        return found


class BedrockBatch(ConverseTeacher, BatchTeacher):
    """Batch jobs for many answers, Converse for a few."""

    Spec: ClassVar[type[TeacherSpec]] = BedrockBatchSpec

    def __init__(self, spec: TeacherSpec, files: Mapping[str, Path], settings: Settings) -> None:
        super().__init__(spec, files, settings)
        assert isinstance(spec, BedrockBatchSpec)
        self.spec = spec
        default = Defaults.of(settings.environment)
        bucket = spec.bucket or default.bucket
        self.terms = BatchTerms(
            model_id=self.model_id,
            region=spec.region,
            assume_role_arn=spec.assume_role_arn,
            bucket=bucket,
            output_bucket=spec.output_bucket or default.output_bucket or bucket,
            prefix=spec.prefix,
            role_arn=spec.role_arn or default.role_arn,
            kms_key_arn=spec.kms_key_arn or default.kms_key_arn,
            timeout_hours=spec.timeout_hours,
            subnet_ids=default.subnet_ids,
            security_group_ids=default.security_group_ids,
        )

    @property
    def label(self) -> str:
        """The model and the service, for batches and for single questions."""
        return f"{self.spec.model} on Bedrock"

    @property
    def fewest(self) -> int:
        """The spec's `fewest_records`."""
        return self.spec.fewest_records

    def missing(self) -> Obstacle | None:
        """That the bucket or the role is not set, or what Converse lacks."""
        lacking = [name for name in variables if not getattr(self.terms, name)]
        if not lacking:
            return super().missing()
        named = " and ".join(f"teacher.{name} (or {variables[name]})" for name in lacking)
        return Obstacle(f"needs {named}", rehearsal_remedy, "teacher")

    def price_for(self, answers: int) -> Price:
        """Half the on-demand price if there are enough questions for a batch job, else the full price."""
        price = self.price()
        read, written = price.input_usd_per_million_tokens, price.output_usd_per_million_tokens
        if answers < self.fewest or read is None or written is None:
            return price
        return msgspec.structs.replace(
            price,
            input_usd_per_million_tokens=read * batch_share,
            output_usd_per_million_tokens=written * batch_share,
        )

    def note(self, answers: int) -> str:
        """The number of jobs and the effect on the price."""
        if answers < self.fewest:
            few = f"a batch job takes {self.fewest} or more: asked one by one at the full price"
            return f"{self.label}; {few}"
        jobs = -(-answers // self.spec.records_per_job)
        word = "1 batch job" if jobs == 1 else f"{jobs} batch jobs"
        return f"{self.label}; {word} at half the price, done within hours"

    async def answer_all(
        self, questions: Callable[[], Iterator[BatchQuestion]], context: BatchContext
    ) -> int:
        """Finish open jobs that contain some of the questions, then submit the others."""
        from polytune.teachers._batch_jobs import Batches  # loads boto3

        with TemporaryDirectory(dir=context.folder, prefix=".batch-") as folder:
            replied = partial(self.replied, share=batch_share)
            batches = Batches(self.terms, self.settings, context, Path(folder), replied)
            await batches.finish_open(questions)
            # `questions()` again, and only now: the answers of the jobs that were open are stored.
            writer = self._writer(questions(), context, Path(folder))
            sent = 0
            while chunks := await writer.chunks(jobs_at_once):
                await batches.run(chunks)
                sent += sum(len(chunk.asks) for chunk in chunks)
            return sent

    def _writer(self, questions: Iterator[BatchQuestion], context: BatchContext, folder: Path) -> ChunkWriter:
        sizes = Sizes(self.fewest, self.spec.records_per_job, largest_file_bytes)
        worst = partial(self.worst, share=batch_share)
        return ChunkWriter(questions, folder, sizes, self.asked, worst, context)
