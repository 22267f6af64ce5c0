"""`polytune doctor`: each thing that would stop a run is a problem with its fix, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud_commands.cloud_program import Done, Space, write_variables
from tests.messages import message

experiment = "experiments/lines.yaml"


def lines(done: Done) -> dict[str, dict[str, Any]]:
    """The checks by what they look at."""
    return {check["what"]: check for check in json.loads(done.out)}


def problems(done: Done) -> set[str]:
    """What is wrong."""
    return {name for name, check in lines(done).items() if check["state"] == "problem"}


@pytest.fixture
def role(space: Space) -> Iterator[str]:
    """A service role of its own, made after what `polytune iam` prints; its name."""
    client = space.account.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "bedrock.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    client.create_role(RoleName="doctors", AssumeRolePolicyDocument=json.dumps(trust))
    client.put_role_policy(
        RoleName="doctors",
        PolicyName="all",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}],
            }
        ),
    )
    yield "doctors"
    client.delete_role_policy(RoleName="doctors", PolicyName="all")
    client.delete_role(RoleName="doctors")


def arn_of(name: str) -> str:
    """The role's ARN."""
    return f"arn:aws:iam::123456789012:role/{name}"


def test_a_sound_account_has_no_problem(space: Space, role: str) -> None:
    """Identity, region, bucket, role and quotas are ok; the endpoints of the rehearsal are named."""
    done = space.run("doctor", "--role-arn", arn_of(role), "--json")

    found = lines(done)
    assert (done.code, problems(done)) == (0, set())
    assert {
        "identity",
        "region",
        "service role",
        message("cloud_commands/service-role-rights"),
        "quotas",
    } <= found.keys()
    assert found[f"bucket {space.account.bucket}"]["found"] == "exists in us-east-1"
    assert "AWS_ENDPOINT_URL" in found["endpoint"]["found"]
    assert "AWS_SECRET_ACCESS_KEY" in found[".env"]["found"]
    assert "no-secret-at-all" not in done.out


def test_each_problem_has_a_fix_and_makes_the_exit_code_3(space: Space) -> None:
    """As lines: ok, problem, fix."""
    done = space.run("doctor", "--bucket", "no-such-bucket-anywhere", "--role-arn", arn_of("nosuch"))

    told = done.out.splitlines()
    assert done.code == 3
    assert told[-1] == "2 problems"
    for number, line in enumerate(told):
        if line.startswith("problem"):
            assert told[number + 1].startswith("fix      ")
    assert message("cloud_commands/problem-bucket-does-not-exist") in done.out
    assert (
        message("cloud_commands/problem-service-role", role="arn:aws:iam::123456789012:role/nosuch")
        in done.out
    )


def test_a_bucket_elsewhere_is_a_problem(space: Space, role: str) -> None:
    """Bedrock reads buckets of its own region only."""
    done = space.run("doctor", "--region", "us-west-2", "--role-arn", arn_of(role), "--json")

    check = lines(done)[f"bucket {space.account.bucket}"]
    assert (check["state"], check["found"]) == ("problem", "is in us-east-1")
    assert "set platform.region to us-east-1" in check["fix"]


def test_a_bucket_policy_that_denies_everybody_is_a_problem(space: Space, role: str) -> None:
    """A Deny for one user is nobody else's."""
    s3 = space.account.client("s3")
    everything = {
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{space.account.bucket}/*",
    }
    what = f"policy of bucket {space.account.bucket}"
    states = []
    for principal in ({"AWS": "arn:aws:iam::123456789012:user/somebody"}, "*"):
        policy = {"Version": "2012-10-17", "Statement": [everything | {"Principal": principal}]}
        s3.put_bucket_policy(Bucket=space.account.bucket, Policy=json.dumps(policy))
        states.append(lines(space.run("doctor", "--role-arn", arn_of(role), "--json"))[what]["state"])
    s3.delete_bucket_policy(Bucket=space.account.bucket)

    assert states == ["ok", "problem"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            {"Principal": {"Service": "lambda.amazonaws.com"}},
            message("cloud_commands/does-not-trust-bedrock"),
        ),
        (
            {
                "Principal": {"Service": "bedrock.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}},
            },
            message("cloud_commands/may-be-used-by-jobs", account=999999999999),
        ),
    ],
)
def test_a_role_that_bedrock_cannot_use_is_a_problem(
    space: Space, role: str, statement: dict[str, Any], said: str
) -> None:
    """Another service, or another account, is trusted."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole"} | statement
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    space.account.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=document)

    check = lines(space.run("doctor", "--role-arn", arn_of(role), "--json"))["service role"]

    assert (check["state"], said in check["found"]) == ("problem", True)


def test_rights_that_the_role_lacks_are_named(space: Space, role: str) -> None:
    """An action and a resource each."""
    space.account.client("iam").put_role_policy(
        RoleName=role,
        PolicyName="all",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
                ],
            }
        ),
    )

    check = lines(space.run("doctor", "--role-arn", arn_of(role), "--json"))["service role's rights"]

    assert check["state"] == "problem"
    assert "lacks s3:PutObject on arn:aws:s3:::" in check["found"]
    assert "s3:GetObject" not in check["found"]


def test_nothing_else_is_looked_at_without_credentials(space: Space) -> None:
    """The identity is the problem, and no check guesses; another platform is checked all the same."""
    write_variables(space.folder, {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere"})

    done = space.run("doctor", "--json")

    assert (done.code, problems(done)) == (3, {"identity"})
    assert list(lines(done)) == ["workspace", ".env", "region", "identity", "local libraries", "local device"]
    narrowed = space.run("doctor", "--platform", "bedrock", "--json")
    assert list(lines(narrowed)) == ["workspace", ".env", "region", "identity"]


def test_what_nobody_may_look_at_is_unknown_not_wrong(space: Space, role: str) -> None:
    """A denied list leaves the exit code alone."""
    for name in ("ListModelCustomizationJobs", "ListFoundationModels"):
        space.account.fault("error", name, code="AccessDeniedException", status=403)

    done = space.run("doctor", "--role-arn", arn_of(role), "--json")

    found = lines(done)
    assert done.code == 0
    assert (found["quotas"]["state"], found["base models"]["state"]) == ("unknown", "unknown")
    assert "bedrock:ListFoundationModels" in found["base models"]["found"]


def test_a_full_account_is_a_problem(space: Space, role: str) -> None:
    """Ten jobs that wait are as many as an account usually has."""
    for number in range(10):
        space.job(f"job-{number}")

    check = lines(space.run("doctor", "--role-arn", arn_of(role), "--json"))["quotas"]

    assert (check["state"], "10 of 10 jobs" in check["found"]) == ("problem", True)


def test_an_experiment_is_examined_for_what_it_wants(made: Space) -> None:
    """Its base model is there; the rehearsal's role, which has no policies, lacks its prefixes."""
    done = made.run("doctor", str(made.folder / experiment), "--json")

    found = lines(done)
    assert problems(done) == {message("cloud_commands/service-role-rights")}
    assert (
        found[message("cloud_commands/base-model-of-train")]["found"] == "amazon.nova-lite-v1:0:300k is there"
    )
    assert "/polytune/lines/*" in found[message("cloud_commands/service-role-rights")]["found"]


def test_a_model_that_the_region_does_not_customize_is_a_problem(made: Space) -> None:
    """Nova is customized in us-east-1 only; the bucket is elsewhere then too."""
    words = ("--set", "platform.region=us-west-2")

    done = made.run("doctor", str(made.folder / experiment), *words, "--json")

    assert {message("cloud_commands/base-model-of-train"), f"bucket {made.account.bucket}"} <= problems(done)
    assert lines(done)[message("cloud_commands/base-model-of-train")]["fix"].startswith(
        "Set platform.region to us-east-1"
    )


def test_a_stable_name_that_somebody_else_has_is_a_problem(made: Space) -> None:
    """polytune would put its model behind a deployment that it did not make."""
    model = made.account.bedrock.list_custom_models()["modelSummaries"][0]["modelArn"]
    create = made.account.bedrock.create_custom_model_deployment
    arn = create(modelDeploymentName="theirs", modelArn=model)["customModelDeploymentArn"]
    words = ("--set", "steps.deploy.name=theirs")

    taken = made.run("doctor", str(made.folder / experiment), *words, "--json")
    free = made.run("doctor", str(made.folder / experiment), "--set", "steps.deploy.name=mine", "--json")
    made.account.advance(3600)
    made.account.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)

    assert "name theirs" in problems(taken)
    assert lines(free)["name mine"]["found"] == "is free"


def test_an_experiment_without_bedrock_needs_no_account(made: Space) -> None:
    """Nobody is asked who they are."""
    local = made.folder / "experiments/local.yaml"
    local.write_text(
        (made.folder / experiment).read_text().split("  train:")[0].replace("bedrock}", "local}")
    )

    done = made.run("doctor", str(local), "--set", "steps.validate.base_model=tiny-llama", "--json")
    local.unlink()

    assert done.code == 0, done.err
    assert "identity" not in lines(done)
    assert lines(done)["bedrock"]["found"] == message("cloud_commands/no-step-of-experiment-works")
    assert lines(done)["local libraries"]["state"] == "ok"


def test_options_that_the_file_states_are_refused(made: Space) -> None:
    """A file and `--bucket` contradict each other."""
    done = made.run("doctor", str(made.folder / experiment), "--bucket", "x")

    assert (done.code, "--set platform.bucket" in done.err) == (2, True)


def test_the_doctor_changes_nothing(space: Space, role: str) -> None:
    """Every call that Bedrock saw is a Get or a List."""
    space.run("doctor", "--role-arn", arn_of(role))

    calls = space.account.control("state")["calls"]
    assert calls
    assert all(name.startswith(("Get", "List")) for name in calls)
