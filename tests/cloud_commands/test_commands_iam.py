"""`polytune iam FILE`: the policies name what the experiment touches, in three formats."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.cloud_commands.cloud_program import Space
from tests.messages import message

distilled = """\
name: taught
project: songs
platform: {kind: bedrock, region: us-east-1, bucket: my-bucket, output_bucket: my-results,
  role_arn: "arn:aws:iam::111122223333:role/teachers/songs",
  kms_key_arn: "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
  subnet_ids: [subnet-1], security_group_ids: [sg-1]}
steps:
  distill: {base_model: nova-pro, teacher_model: nova-premier, logs: {uri: "s3://my-logs/bedrock"}}
"""
reinforced = """\
name: rewarded
project: songs
platform: {kind: bedrock, bucket: my-bucket}
steps:
  generate:
    prompts: ../prompts/lines.yaml
    teacher: {kind: replay, path: ../answers/lines.jsonl}
    count: 40
    matrix: {audience: [customers, engineers]}
  format: {layout: bedrock-rft}
  validate: {}
  upload: {}
  reinforce:
    base_model: nova-2-lite
    reward: {function_arn: "arn:aws:lambda:us-east-1:111122223333:function:judge"}
"""


def documents(space: Space, text: str, *words: str) -> dict[str, Any]:
    """What `iam --json` prints for an experiment."""
    path = space.folder / "experiments/policies.yaml"
    path.write_text(text)
    done = space.run("iam", str(path), "--json", *words)
    path.unlink()
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


def granted(policy: dict[str, Any], action: str) -> set[str]:
    """The resources on which a policy allows an action."""
    return {
        resource
        for statement in policy["Statement"]
        if action in statement["Action"]
        for resource in statement["Resource"]
    }


def test_a_distillation_gets_its_profile_keys_network_and_logs(made: Space) -> None:
    """Prefixes of this project only; the profile and the models behind it; the key; the subnets."""
    found = documents(made, distilled)

    service = found["servicePolicy"]
    assert found["roleName"] == "songs"
    assert granted(service, "s3:GetObject") == {
        "arn:aws:s3:::my-bucket/polytune/songs/*",
        "arn:aws:s3:::my-logs/bedrock/*",
        "arn:aws:s3:::my-results/polytune/songs/jobs/*",
    }
    assert granted(service, "s3:PutObject") == {"arn:aws:s3:::my-results/polytune/songs/jobs/*"}
    assert any("nova-premier" in each for each in granted(service, "bedrock:InvokeModel"))
    assert granted(service, "kms:Decrypt") == {
        "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    }
    assert "arn:aws:ec2:us-east-1:111122223333:subnet/subnet-1" in granted(
        service, "ec2:CreateNetworkInterface"
    )
    assert granted(found["callerPolicy"], "iam:PassRole") == {"arn:aws:iam::111122223333:role/teachers/songs"}
    condition = found["trustPolicy"]["Statement"][0]["Condition"]
    assert condition["StringEquals"] == {"aws:SourceAccount": "111122223333"}


def test_a_reinforcement_gets_its_grader(made: Space) -> None:
    """The function's ARN, and no model of anybody's; the account may be given."""
    found = documents(made, reinforced, "--account", "111122223333")

    service = found["servicePolicy"]
    assert granted(service, "lambda:InvokeFunction") == {
        "arn:aws:lambda:us-east-1:111122223333:function:judge"
    }
    assert granted(service, "bedrock:InvokeModel") == set()


def test_the_caller_s_account_is_taken_where_no_role_tells_it(made: Space) -> None:
    """The role gets a name of the project's."""
    text = reinforced.replace("bucket: my-bucket}", "bucket: my-bucket, role_arn: ''}")
    (made.folder / ".env").rename(made.folder / "kept.env")
    try:
        kept = (made.folder / "kept.env").read_text().splitlines()
        lines = [line for line in kept if not line.startswith("BEDROCK_ROLE_ARN")]
        (made.folder / ".env").write_text("\n".join(lines) + "\n")
        found = documents(made, text)
    finally:
        (made.folder / "kept.env").replace(made.folder / ".env")

    assert found["roleName"] == "polytune-songs"
    assert granted(found["callerPolicy"], "iam:PassRole") == {"arn:aws:iam::123456789012:role/polytune-songs"}


def test_all_three_formats_hold_the_same_policies(made: Space) -> None:
    """CloudFormation parses as YAML, Terraform has the documents as JSON expressions."""
    file = str(made.folder / "experiments/lines.yaml")

    as_json = made.run("iam", file).json
    template = yaml.safe_load(made.run("iam", file, "--format", "cloudformation").out)
    terraform = made.run("iam", file, "--format", "terraform").out

    role = template["Resources"]["ServiceRole"]["Properties"]
    assert role["AssumeRolePolicyDocument"] == as_json["trustPolicy"]
    assert role["Policies"][0]["PolicyDocument"] == as_json["servicePolicy"]
    assert terraform.count("jsonencode(") == 3
    start = terraform.index("jsonencode(") + len("jsonencode(")
    assert json.JSONDecoder().raw_decode(terraform[start:])[0] == as_json["trustPolicy"]


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (reinforced, ("--account", "12"), message("cloud_commands/aws-account-is-digits")),
        (reinforced, ("--json", "--format", "terraform"), "--json is --format json"),
        (
            distilled.replace("arn:aws:iam::111122223333:role/teachers/songs", "me"),
            (),
            message("cloud_commands/is-not-role-arn", name="me"),
        ),
        (distilled.replace("kind: bedrock", "kind: bedrok"), (), "bedrok"),
    ],
)
def test_what_has_no_policies_is_one_clear_error(
    made: Space, text: str, words: tuple[str, ...], said: str
) -> None:
    """Wrong accounts, wrong roles, two formats at once, wrong files."""
    path = made.folder / "experiments/policies.yaml"
    path.write_text(text)

    done = made.run("iam", str(path), *words)
    path.unlink()

    assert (done.code, done.out) == (2, "")
    assert said in done.err
