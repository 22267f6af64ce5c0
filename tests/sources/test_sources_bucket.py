"""A bucket in real runs of the program: media that lie there already, and records that arrive there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polytune.aws.access import Access
from polytune.base_models.interface import BASE_MODELS
from polytune.platforms.bedrock.media import problems
from polytune.platforms.interface import Medium
from tests.bedrock.cloud import Cloud
from tests.messages import message

from .pictures import draw, png


def put(cloud: Cloud, key: str, content: bytes) -> str:
    """The object is in the account's bucket; its address."""
    bucket = cloud.rehearsal.bucket
    s3 = Access("us-east-1", environment=cloud.environment()).service("s3")
    s3.call("PutObject", {"Bucket": bucket, "Key": key, "Body": content})
    return f"s3://{bucket}/{key}"


def workspace(root: Path, text: str) -> str:
    """An experiment in a workspace of its own; its path."""
    for name in ("experiments", "runs"):
        (root / name).mkdir()
    (root / "experiments/own.yaml").write_text(text)
    return "experiments/own.yaml"


def test_what_lies_in_the_bucket_is_told_apart(cloud: Cloud) -> None:
    """There and right, there and wrong, empty, missing, and an address that Bedrock does not take."""
    picture = png("disc", "red")
    right = put(cloud, "media/right.png", picture)
    expected = {
        put(cloud, "media/wrong.png", b"\xff\xd8\xff\xe0" + picture): "is jpeg, and the row says png",
        put(cloud, "media/empty.png", b""): "is empty",
        put(cloud, "media/large.png", picture + bytes(10_000_001 - len(picture))): "has 10,000,001 bytes; "
        "at most 10,000,000 are taken",
        f"s3://{cloud.rehearsal.bucket}/media/missing.png": "does not exist",
        put(cloud, "media/a+b.png", picture): "Bedrock takes letters, digits, _ - / and . only in the address"
        " of a file",
    }
    allowed = BASE_MODELS.get("nova-lite").media_of("image")
    asked = [Medium(uri=uri, kind="image", format="png", allowed=allowed) for uri in (right, *expected)]

    found = problems(Access("us-east-1", environment=cloud.environment()), cloud.rehearsal.bucket, asked)

    assert found == expected


def test_media_in_the_bucket_are_trained_on(cloud: Cloud, tmp_path: Path) -> None:
    """Rows that name objects keep their bytes; they are looked up, and one job is submitted."""
    file = workspace(
        tmp_path,
        "name: own\nplatform: {kind: bedrock}\nbudget: {usd: 10}\nsteps:\n  dataset: {train: a.jsonl}\n"
        "  validate: {}\n  upload: {}\n  train: {base_model: nova-lite}\n",
    )
    rows = []
    for name, shape, _ in draw(tmp_path / "drawn"):
        uri = put(cloud, f"shapes/{name}", (tmp_path / "drawn" / name).read_bytes())
        image: dict[str, Any] = {"format": "png", "source": {"s3Location": {"uri": uri}}}
        asked = [{"text": f"{name}: which shape?"}, {"image": image}]
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": [{"text": shape}]}]
        rows.append({"schemaVersion": "bedrock-conversation-2024", "messages": turns})
    path = tmp_path / "experiments/a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    said = cloud.said(tmp_path, "run", file, "--json")

    assert said.code == 0, said.err
    upload = json.loads(said.out)["steps"]["upload"]
    assert upload["metrics"] == {"bytes": path.stat().st_size, "media_files": 12}
    assert [job["status"] for job in cloud.jobs] == ["Completed"]


def test_a_new_object_makes_the_step_stale(cloud: Cloud, tmp_path: Path) -> None:
    """The prefix is listed before every run: unchanged it is a hit, with one more object it runs again."""

    def day(name: str) -> None:
        rows = [{"prompt": f"{name} {n}", "completion": "A"} for n in range(10)]
        put(cloud, f"days/{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())

    file = workspace(
        tmp_path,
        f"name: own\nsteps:\n  collect: {{sources: [{{kind: s3, uri: 's3://{cloud.rehearsal.bucket}/days/'}}]}}\n",
    )
    day("monday")
    first = cloud.said(tmp_path, "run", file, "--json")
    again = cloud.said(tmp_path, "plan", file)
    day("tuesday")
    planned = cloud.said(tmp_path, "plan", file)
    second = cloud.said(tmp_path, "run", file, "--json")

    assert first.code == second.code == 0, first.err + second.err
    assert again.code == 0
    assert message("sources/content-no-longer-exists", name="s3") in planned.out
    samples = [json.loads(said.out)["steps"]["collect"]["metrics"]["samples"] for said in (first, second)]
    assert samples == [10, 20]
