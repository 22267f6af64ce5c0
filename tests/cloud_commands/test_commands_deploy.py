"""`polytune deploy`, `undeploy` and `reap`: deployments by hand, their prices, and their leases."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from polytune.emulator.bedrock.rehearsal import Rehearsal
from tests.cloud_commands.cloud_program import Space
from tests.messages import matching, message

day = 24 * 3600


def tags(space: Space, arn: str) -> dict[str, str]:
    """The tags of a thing."""
    found = space.account.bedrock.list_tags_for_resource(resourceARN=arn)["tags"]
    return {tag["key"]: tag["value"] for tag in found}


def deployments(space: Space) -> list[dict[str, Any]]:
    """The account's on-demand deployments."""
    found: list[dict[str, Any]] = space.account.bedrock.list_custom_model_deployments()[
        "modelDeploymentSummaries"
    ]
    return found


def test_deploying_twice_is_one_deployment(space: Space) -> None:
    """It answers at the end, carries its lease, and the second call finds it."""
    model = space.model("songs")

    first = space.run("deploy", model, "--ttl", "7d", "--json").json
    second = space.run("deploy", "songs-model", "--ttl", "1d", "--idle-after", "2h", "--json").json

    found = tags(space, first["arn"])
    assert (first["status"], first["name"], second["arn"]) == ("Active", "songs-model", first["arn"])
    assert len(deployments(space)) == 1
    assert found["polytune:step"] == "by-hand"
    assert found["polytune:idle-seconds"] == "7200"
    ends = datetime.fromisoformat(found["polytune:expires-at"])
    assert ends - datetime.fromisoformat(first["created"]) < timedelta(days=2)


def test_another_model_is_put_behind_a_name_after_a_yes(space: Space) -> None:
    """Applications that ask the deployment get another model, so somebody must agree."""
    space.model("songs")
    other = space.model("poems")
    space.run("deploy", "songs-model", "--name", "live")

    silent = space.run("deploy", "poems-model", "--name", "live")
    agreed = space.run("deploy", "poems-model", "--name", "live", typed="y\n")

    assert (silent.code, message("cloud_commands/replace-it-with-poems-model") in silent.err) == (2, True)
    assert (agreed.code, "live: Updating" in agreed.err) == (0, True)
    assert [each["modelArn"] for each in deployments(space)] == [other]


def test_provisioned_throughput_shows_its_price_and_asks(space: Space) -> None:
    """Nothing is bought without a yes; a second call finds what was bought; another size is refused."""
    space.model("songs")
    words = ("deploy", "songs-model", "--kind", "provisioned")

    silent = space.run(*words)
    bought = space.account.calls("CreateProvisionedModelThroughput")
    agreed = space.run(*words, "--json", typed="y\n")
    again = space.run(*words, "--json")
    larger = space.run(*words, "--units", "2", "--yes")

    assert (silent.code, bought) == (2, 0)
    assert message("cloud_commands/an-hour", number="$108.15", number2="$78,950") in silent.err
    assert '"status":"InService"' in agreed.out
    assert again.json["arn"] in agreed.out
    assert (larger.code, "exists already: 1 units" in larger.err) == (2, True)
    assert space.account.calls("CreateProvisionedModelThroughput") == 1


def test_a_commitment_says_that_it_cannot_be_ended(space: Space) -> None:
    """Neither by `undeploy` nor otherwise, before its term ends; an unknown price is said to be."""
    space.model("songs")
    words = ("--kind", "provisioned", "--commitment", "one_month", "--name", "mine")

    done = space.run("deploy", "songs-model", *words, "--yes")
    early = space.run("undeploy", "mine", "--yes")

    assert done.code == 0
    assert message("cloud_commands/price-that-is-unknown") in done.err
    assert (early.code, message("cloud_commands/is-committed-until") in early.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ttl", "week"), "--ttl week: " + message("cloud_commands/write-minutes")),
        (("--units", "2"), "--units and --commitment are for --kind provisioned"),
        (("--name", "-x-"), "--name -x-: " + message("cloud_commands/letters-and-digits")),
    ],
)
def test_a_wrong_wish_is_one_clear_error(space: Space, words: tuple[str, ...], said: str) -> None:
    """Nothing is made of it."""
    space.model("songs")

    done = space.run("deploy", "songs-model", *words)

    assert (done.code, said in done.err, deployments(space)) == (2, True, [])


def test_a_model_that_aws_does_not_deploy_so_is_refused(rehearsal: Rehearsal, space: Space) -> None:
    """Claude 3 Haiku's custom models are only provisioned; the error names the kind that works."""
    west = "us-west-2"
    client = space.account.client("bedrock", west)
    name = "anthropic.claude-3-haiku-20240307-v1:0:200k"
    uri = "s3://elsewhere-in-the-west/train.jsonl"
    s3 = space.account.client("s3", west)
    s3.create_bucket(Bucket="elsewhere-in-the-west", CreateBucketConfiguration={"LocationConstraint": west})
    row = b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n'
    s3.put_object(Bucket="elsewhere-in-the-west", Key="train.jsonl", Body=row * 40)
    request = space.account.job_request("haiku", baseModelIdentifier=name)
    request |= {
        "trainingDataConfig": {"s3Uri": uri},
        "outputDataConfig": {"s3Uri": uri.replace("train", "o")},
    }
    client.create_model_customization_job(**request)
    space.account.advance(day)

    done = space.run("deploy", "haiku-model", "--region", west)

    assert (done.code, message("cloud_commands/cannot-be-deployed", name="on_demand") in done.err) == (
        2,
        True,
    )


def test_undeploy_leaves_the_model(space: Space) -> None:
    """It asks, deletes, and says what stays; something that is being made cannot go yet."""
    model = space.model("songs")
    space.run("deploy", model, "--no-wait")

    early = space.run("undeploy", "songs-model", "--yes")
    space.account.advance(3600)
    silent = space.run("undeploy", "songs-model")
    gone = space.run("undeploy", "songs-model", "--yes")

    assert (early.code, "Try again" in early.err) == (2, True)
    assert (silent.code, gone.code) == (2, 0)
    assert f"its model {model} stays" in gone.out
    assert deployments(space) == []
    assert space.run("undeploy", "songs-model", "--yes").code == 2


def test_reap_ends_what_has_expired_and_nothing_else(space: Space) -> None:
    """Dry by default; past its ttl goes, within it stays, untagged is not even looked at."""
    model = space.model("songs")
    for name, lease in (("short", ("--ttl", "1h")), ("long", ("--ttl", "30d")), ("free", ())):
        assert space.run("deploy", model, "--name", name, *lease).code == 0
    space.account.bedrock.create_custom_model_deployment(modelDeploymentName="theirs", modelArn=model)
    space.account.advance(2 * day)

    dry = space.run("reap")
    forced_dry = space.run("reap", "--yes", "--dry-run")
    before = len(deployments(space))
    wet = space.run("reap", "--yes", "--json").json

    assert (dry.code, forced_dry.out, before) == (0, dry.out, 4)
    assert message("cloud_commands/would-be-torn-down") in dry.out
    assert "theirs" not in dry.out
    assert {each["name"]: each["torn_down"] for each in wet["deployments"]} == {
        "short": True,
        "long": False,
        "free": False,
    }
    assert {each["customModelDeploymentName"] for each in deployments(space)} == {"long", "free", "theirs"}


def test_reap_ends_what_nobody_asks(space: Space) -> None:
    """CloudWatch's invocations decide: asked stays, unasked goes, young stays."""
    model = space.model("songs")
    arns = {}
    for name in ("asked", "unasked"):
        arns[name] = space.run("deploy", model, "--name", name, "--idle-after", "2h", "--json").json["arn"]
    young = space.run("reap", "--json").json["deployments"]
    space.account.advance(5 * 3600)
    now = datetime.fromisoformat(space.account.control("now")["now"])
    space.account.client("cloudwatch").put_metric_data(
        Namespace="AWS/Bedrock",
        MetricData=[
            {
                "MetricName": "Invocations",
                "Dimensions": [{"Name": "ModelId", "Value": arns["asked"]}],
                "Timestamp": (now - timedelta(minutes=30)).astimezone(UTC),
                "Value": 3.0,
            }
        ],
    )

    found = {each["name"]: each for each in space.run("reap", "--yes", "--json").json["deployments"]}

    assert {each["state"] for each in young} == {"leased"}
    assert (found["asked"]["state"], found["asked"]["why"]) == ("leased", "asked 3 times in 2 h")
    assert (found["unasked"]["state"], found["unasked"]["torn_down"]) == ("idle", True)


def test_reap_knows_whose_deployments_are_orphans(made: Space, space: Space) -> None:
    """A run's deployment is no orphan in its workspace; in a workspace that knows nothing of it it is one."""
    stranger = Space(space.folder, made.account, made.variables)
    text = "".join(f"{name}={value}\n" for name, value in made.variables.items())
    (space.folder / ".env").write_text(text)

    at_home = made.run("reap", "--json").json["deployments"]
    abroad = stranger.run("reap", "--json").json["deployments"]

    assert [(each["orphan"], each["state"]) for each in at_home] == [(False, "leased")]
    assert [(each["orphan"], each["due"]) for each in abroad] == [(True, False)]
    assert re.search(matching("cloud_commands/no-run-here-refers"), stranger.run("reap").out)


def test_what_cannot_be_torn_down_is_told_and_fails(space: Space) -> None:
    """A refused delete leaves the others alone and makes the exit code 1."""
    model = space.model("songs")
    for name in ("one", "two"):
        space.run("deploy", model, "--name", name, "--ttl", "1h")
    space.account.advance(day)
    space.account.fault(
        "error", "DeleteCustomModelDeployment", code="AccessDeniedException", status=403, times=1
    )

    done = space.run("reap", "--yes")

    assert (done.code, len(deployments(space))) == (1, 1)
    assert "bedrock:DeleteCustomModelDeployment" in done.out


def test_an_account_without_polytune_s_deployments_is_left_in_peace(space: Space) -> None:
    """Nothing to do is said, and is no error."""
    done = space.run("reap", "--yes")

    assert (done.code, done.out) == (
        0,
        message("cloud_commands/no-deployment-here-carries-polytune-tags") + "\n",
    )
