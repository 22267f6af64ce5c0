"""The files that rows of a dataset name, looked at in S3 before a job does: there, readable, as stated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure, Denied, Missing
from polytune.aws.places import place_of
from polytune.platforms._media import problem_of, telling
from polytune.platforms.interface import Medium

looks_at_once = 32
usable = re.compile(r"s3://[\w\-/.]+", re.ASCII)
"""What AWS's own validators let through in rows (aws-samples/amazon-nova-samples)."""
empty = ("InvalidRange", "416")
"""How S3 answers the question for the first bytes of an object that has none."""


def problems(access: Access, bucket: str, media: Sequence[Medium]) -> dict[str, str]:
    """What keeps a job whose rows lie in `bucket` from reading each file, by address.

    Raises AwsFailure when S3 cannot be asked.
    """
    with ThreadPoolExecutor(looks_at_once) as threads:
        found = threads.map(partial(_problem, access, bucket), media)
        return {medium.uri: problem for medium, problem in zip(media, found, strict=True) if problem}


def _problem(access: Access, bucket: str, medium: Medium) -> str:
    if medium.path is not None:
        with medium.path.open("rb") as file:
            return problem_of(medium, file.read(telling(medium)), medium.path.stat().st_size)
    if not usable.fullmatch(medium.uri):
        return "Bedrock takes letters, digits, _ - / and . only in the address of a file"
    place = place_of(medium.uri)
    if place.bucket != bucket:
        return f"is in another bucket than the rows, which go to {bucket}; Bedrock reads only that one"
    asked = {"Bucket": place.bucket, "Key": place.key, "Range": f"bytes=0-{telling(medium) - 1}"}
    try:
        answer = access.service("s3").call("GetObject", asked)
    except Missing:
        return "does not exist"
    except Denied as failure:
        return f"cannot be read: {failure}"
    except AwsFailure as failure:
        if failure.code in empty:
            return "is empty"
        raise
    with answer["Body"] as body:
        head = body.read()
    whole = str(answer.get("ContentRange", "")).rpartition("/")[2]
    return problem_of(medium, head, int(whole) if whole.isdigit() else len(head))
