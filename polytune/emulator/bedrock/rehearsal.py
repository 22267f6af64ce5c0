"""A local AWS account in one process: the Bedrock emulator, plus moto for S3, IAM, STS and Lambda.

This is the only file that imports moto, which the extra `rehearsal` installs.
"""

from __future__ import annotations

import builtins
import importlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from polytune.aws.access import Access
from polytune.aws.failures import Missing, NameTaken
from polytune.aws.objects import Objects
from polytune.emulator.bedrock.clock import VirtualClock
from polytune.emulator.bedrock.program import Emulator
from polytune.emulator.bedrock.state import new_id
from polytune.emulator.bedrock.world import World, default_region, rehearsal_account
from polytune.errors import Unavailable
from polytune.extras import install_command


class StoredObjects:
    """An `ObjectStore` backed by the S3 that an Access connects to."""

    def __init__(self, access: Access) -> None:
        self._objects = Objects(access)

    def read(self, uri: str) -> bytes:
        """The object's content. Raises PolytuneError."""
        return self._objects.read(uri)

    def write(self, uri: str, content: bytes) -> None:
        """The object exists with this content. Raises PolytuneError."""
        self._objects.write(uri, content)

    def exists(self, uri: str) -> bool:
        """Whether the object exists. Raises PolytuneError."""
        return self._objects.exists(uri)

    def list(self, prefix: str) -> builtins.list[str]:
        """The URIs of all objects under a prefix, sorted. Raises PolytuneError."""
        return sorted(entry.uri for entry in self._objects.keys(prefix))

    def bucket_region(self, name: str) -> str | None:
        """The region of a bucket; None if it does not exist. Raises PolytuneError."""
        try:
            return self._objects.bucket_region(name)
        except Missing:
            return None


class Roles:
    """The roles of the IAM that an Access connects to. Callable, for `World.role_exists`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def __call__(self, role_arn: str) -> bool:
        """Whether the role exists. Raises PolytuneError if the IAM request fails."""
        # GetRole takes a name only. Compare the ARN too: its account or path may be another.
        try:
            found = self._access.service("iam").call("GetRole", {"RoleName": role_arn.rpartition("/")[2]})
        except Missing:
            return False
        return bool(found["Role"]["Arn"] == role_arn)


# Obviously fake, so that a request which leaves this machine by mistake cannot authenticate. The last one
# keeps SDKs from contacting the EC2 metadata service.
credentials = {
    "AWS_ACCESS_KEY_ID": "AKIAREHEARSAL0000000",
    "AWS_SECRET_ACCESS_KEY": "no-secret-at-all",
    "AWS_EC2_METADATA_DISABLED": "true",
}
trust = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["bedrock.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": rehearsal_account}},
        }
    ],
}


class Rehearsal:
    """An AWS account on this machine: nothing leaves it, nothing is charged, no model is trained."""

    def __init__(self, region: str = default_region, speed: float = 1.0) -> None:
        """`speed`: virtual seconds per real second; with 0, only `/_control/advance` moves the clock.

        Raises Unavailable if moto is not installed.
        """
        try:
            server = importlib.import_module("moto.server")
        except ImportError as error:
            what = f"a rehearsal needs moto. Run `{install_command('rehearsal', 'moto')}`"
            raise Unavailable(what) from error
        self.region = region
        self._speed = speed
        self._id = new_id()
        self.bucket = f"polytune-rehearsal-{self._id}"
        """The bucket created by `start`, in the rehearsal's region. Its name is new every time."""
        self._role_name = f"PolytuneRehearsal-{self._id}"
        # moto's state is global to the process: names with a random id keep two rehearsals apart.
        self._beside = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._emulator: Emulator | None = None

    @property
    def emulator(self) -> Emulator:
        """The emulator. Raises RuntimeError before `start`."""
        if self._emulator is None:
            raise RuntimeError("the rehearsal has not been started")
        return self._emulator

    def start(self, port: int = 0) -> None:
        """Both servers run; a bucket and a role exist. Raises Busy if the port is taken."""
        # moto's web server logs every request at INFO, between polytune's own output.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._beside.start()
        access = Access(self.region, environment=self._endpoint())
        world = World(
            VirtualClock(speed=self._speed), objects=StoredObjects(access), role_exists=Roles(access)
        )
        self._emulator = Emulator(world)
        self._emulator.start(port)
        self.make_bucket(self.bucket, self.region)
        self.make_role(self._role_name)

    def stop(self) -> None:
        """Both servers have stopped."""
        if self._emulator is not None:
            self._emulator.stop()
        self._beside.stop()

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[Rehearsal]:
        """Both servers run inside the `with`."""
        try:
            self.start(port)
            yield self
        finally:
            self.stop()

    @property
    def role_arn(self) -> str:
        """The ARN of the role created by `start`, which Bedrock may assume."""
        return f"arn:aws:iam::{rehearsal_account}:role/{self._role_name}"

    def environment(self) -> dict[str, str]:
        """The environment variables that make polytune and any AWS SDK use this account."""
        # The service-specific endpoints take precedence over AWS_ENDPOINT_URL, which points to moto.
        return self._endpoint() | {
            "AWS_ENDPOINT_URL_BEDROCK": self.emulator.address,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.emulator.address,
            "BEDROCK_TRAINING_BUCKET": self.bucket,
            "BEDROCK_ROLE_ARN": self.role_arn,
            "POLYTUNE_CLOCK_URL": self.emulator.control,
        }

    def _endpoint(self) -> dict[str, str]:
        host, port = self._beside.get_host_and_port()
        return credentials | {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": self.region}

    def make_bucket(self, name: str, region: str) -> None:
        """The bucket exists, in that region."""
        # S3 refuses us-east-1 as a LocationConstraint: it is the default, stated by leaving it out.
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        with suppress(NameTaken):
            Access(region, environment=self._endpoint()).service("s3").call(
                "CreateBucket", {"Bucket": name, "CreateBucketConfiguration": place or None}
            )

    def make_role(self, name: str) -> None:
        """The role exists; Bedrock and Lambda may assume it."""
        with suppress(NameTaken):
            Access(self.region, environment=self._endpoint()).service("iam").call(
                "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(trust)}
            )
