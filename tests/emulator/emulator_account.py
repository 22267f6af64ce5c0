"""One emulated account as tests use it: unmodified boto3 clients, its clock, its faults, its S3."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from polytune.emulator.bedrock.program import Emulator
from polytune.emulator.bedrock.rehearsal import Rehearsal

Answer = dict[str, Any]

keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "none"}
nova_lite = "amazon.nova-lite-v1:0:300k"
role = "arn:aws:iam::123456789012:role/anybody"
hours = 3600
key_arn = "arn:aws:kms:us-east-1:123456789012:key/082cd05f-96d1-49f6-a5ac-32093d2cfe38"


def asked(address: str, body: object = None, method: str | None = None) -> Answer:
    """What a control address answers; the body goes as JSON. Raises HTTPError for an error."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=data, method=method or ("POST" if data else "GET"))
    with urllib.request.urlopen(request, timeout=10) as response:
        found: Answer = json.load(response)
    return found


def refused(address: str, body: object) -> tuple[int, str]:
    """The status and message with which a control address refuses a body."""
    try:
        asked(address, body)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["message"]
    raise AssertionError("it was not refused")


@dataclass
class Account:
    """An emulated account; a context manager that closes the clients it made."""

    address: str
    role_arn: str = role
    beside: str = ""
    """The endpoint of S3, IAM and STS; '' when there is none."""
    bucket: str = "training-data"
    clients: dict[tuple[str, str, int], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, emulator: Emulator) -> Account:
        """The account of an emulator with nothing beside it."""
        return cls(emulator.address)

    @classmethod
    def rehearsed(cls, rehearsal: Rehearsal) -> Account:
        """The account of a rehearsal."""
        beside = rehearsal.environment()["AWS_ENDPOINT_URL"]
        return cls(rehearsal.emulator.address, rehearsal.role_arn, beside, rehearsal.bucket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self.clients.values():
            client.close()

    def client(self, service: str = "bedrock", region: str = "us-east-1", attempts: int = 3) -> Any:
        """A boto3 client, made once; `attempts` counts the first try."""
        wanted = (service, region, attempts)
        if wanted not in self.clients:
            endpoint = self.address if service.startswith("bedrock") else self.beside
            retries = {"mode": "standard", "total_max_attempts": attempts}
            config = Config(retries=retries, connect_timeout=5, read_timeout=10)
            self.clients[wanted] = boto3.client(
                service, endpoint_url=endpoint, region_name=region, config=config, **keys
            )
        return self.clients[wanted]

    @property
    def bedrock(self) -> Any:
        """The control plane in us-east-1."""
        return self.client()

    def control(self, what: str, body: object = None, method: str | None = None) -> Answer:
        """What `/_control/<what>` answers."""
        return asked(f"{self.address}/_control/{what}", body, method)

    def advance(self, seconds: float) -> None:
        """So much virtual time has passed."""
        self.control("advance", {"seconds": seconds})

    def fault(self, kind: str, operation: str = "*", **more: object) -> None:
        """A fault is scripted."""
        self.control("faults", {"kind": kind, "operation": operation, **more})

    def calls(self, operation: str) -> int:
        """How many calls of an operation have arrived."""
        return int(self.control("state")["calls"].get(operation, 0))

    def job_request(self, name: str = "job-1", **changed: Any) -> Answer:
        """The members of a CreateModelCustomizationJob; a member that is None is left out."""
        members = {
            "jobName": name,
            "customModelName": f"{name}-model",
            "roleArn": self.role_arn,
            "baseModelIdentifier": nova_lite,
            "trainingDataConfig": {"s3Uri": f"s3://{self.bucket}/data/train.jsonl"},
            "outputDataConfig": {"s3Uri": f"s3://{self.bucket}/out"},
        } | changed
        return {member: value for member, value in members.items() if value is not None}

    def create(self, name: str = "job-1", **changed: Any) -> str:
        """A customization job has been created; its ARN."""
        arn: str = self.bedrock.create_model_customization_job(**self.job_request(name, **changed))["jobArn"]
        return arn

    def job(self, identifier: str) -> Answer:
        """What GetModelCustomizationJob answers."""
        found: Answer = self.bedrock.get_model_customization_job(jobIdentifier=identifier)
        return found

    def trained(self, name: str = "job-1", **changed: Any) -> str:
        """A job has run to its end; the ARN of the model it made."""
        arn = self.create(name, **changed)
        self.advance(3 * hours)
        model: str = self.job(arn)["outputModelArn"]
        return model

    def put(self, key: str, content: bytes, bucket: str = "") -> str:
        """An object has this content; its URI."""
        self.client("s3").put_object(Bucket=bucket or self.bucket, Key=key, Body=content)
        return f"s3://{bucket or self.bucket}/{key}"

    def objects(self, prefix: str) -> dict[str, bytes]:
        """The objects below a prefix, by the rest of their keys."""
        s3 = self.client("s3")
        listed = s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {
            one["Key"].removeprefix(prefix): s3.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read()
            for one in listed
        }


def row(question: str = "What is a beat?", answer: str = "A pulse.") -> bytes:
    """A training row of the Nova models."""
    return json.dumps(
        {
            "schemaVersion": "bedrock-conversation-2024",
            "messages": [
                {"role": "user", "content": [{"text": question}]},
                {"role": "assistant", "content": [{"text": answer}]},
            ],
        }
    ).encode()


def rows(count: int) -> bytes:
    """A training file of so many rows."""
    return b"".join(row(f"Question {number}?") + b"\n" for number in range(count))
