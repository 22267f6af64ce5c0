"""The S3 and IAM beside the emulator, through polytune's own AWS access."""

from __future__ import annotations

import builtins

from polytune.aws.access import Access
from polytune.aws.failures import Missing
from polytune.aws.objects import Objects


class StoredObjects:
    """An `ObjectStore` on the S3 that an Access reaches."""

    def __init__(self, access: Access) -> None:
        self._objects = Objects(access)

    def read(self, uri: str) -> bytes:
        """The object's content. Raises PolytuneError."""
        return self._objects.read(uri)

    def write(self, uri: str, content: bytes) -> None:
        """The object has this content. Raises PolytuneError."""
        self._objects.write(uri, content)

    def exists(self, uri: str) -> bool:
        """Whether there is such an object. Raises PolytuneError."""
        return self._objects.exists(uri)

    def list(self, prefix: str) -> builtins.list[str]:
        """The URIs of all objects below a prefix, sorted. Raises PolytuneError."""
        return sorted(entry.uri for entry in self._objects.keys(prefix))

    def bucket_region(self, name: str) -> str | None:
        """The region of a bucket; None when it does not exist. Raises PolytuneError."""
        try:
            return self._objects.bucket_region(name)
        except Missing:
            return None


class Roles:
    """The roles of the IAM that an Access reaches; may be called as `World.role_exists`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def __call__(self, role_arn: str) -> bool:
        """Whether the role exists. Raises PolytuneError when IAM cannot be asked."""
        try:
            found = self._access.service("iam").call("GetRole", {"RoleName": role_arn.rpartition("/")[2]})
        except Missing:
            return False
        return bool(found["Role"]["Arn"] == role_arn)
