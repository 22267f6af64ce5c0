"""The policies are what the Bedrock guide asks for, no more, and come in three languages."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from polytune.aws.iam import allows, statements_of
from polytune.aws.policies import Facts, caller_policy, service_policy, trust_policy
from polytune.aws.policyfiles import Policies, as_cloudformation, as_json, as_terraform

role = "arn:aws:iam::123456789012:role/polytune"
tuning = Facts(
    account="123456789012",
    region="us-east-1",
    reads=("s3://train/polytune/strudel",),
    writes=("s3://out/strudel/",),
)


def may(document: dict[str, Any], action: str, resource: str) -> bool:
    """Whether the document allows the action."""
    return allows(statements_of("p", document), action, resource)


def test_only_this_accounts_jobs_of_the_named_kinds_may_assume_the_role() -> None:
    """The confused-deputy conditions are there, for every kind of job."""
    document = trust_policy(replace(tuning, jobs=("model-customization-job", "model-import-job")))

    assert document == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "BedrockJobsOfThisAccount",
                "Effect": "Allow",
                "Principal": {"Service": "bedrock.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": "123456789012"},
                    "ArnLike": {
                        "aws:SourceArn": [
                            "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/*",
                            "arn:aws:bedrock:us-east-1:123456789012:model-import-job/*",
                        ]
                    },
                },
            }
        ],
    }


def test_a_tuning_job_reads_its_data_and_writes_its_results_only() -> None:
    """Neither may it write where the data lie, nor touch anything else."""
    document = service_policy(tuning)

    assert may(document, "s3:GetObject", "arn:aws:s3:::train/polytune/strudel/sha256-0/train.jsonl")
    assert may(document, "s3:ListBucket", "arn:aws:s3:::train")
    assert may(document, "s3:PutObject", "arn:aws:s3:::out/strudel/model-customization-job-x/a.csv")
    assert not may(document, "s3:PutObject", "arn:aws:s3:::train/polytune/strudel/x")
    assert not may(document, "s3:GetObject", "arn:aws:s3:::train/other/x")
    assert not may(document, "bedrock:InvokeModel", "*")
    assert len(document["Statement"]) == 3


def test_a_whole_bucket_can_be_named() -> None:
    """s3://bucket without a prefix covers every key."""
    document = service_policy(replace(tuning, reads=("s3://train",)))

    assert may(document, "s3:GetObject", "arn:aws:s3:::train/anything")


def test_a_teacher_behind_a_profile_may_be_invoked_in_every_region_of_it() -> None:
    """The profile and the foundation model in each region it routes to."""
    profile = "us.amazon.nova-premier-v1:0"
    document = service_policy(
        replace(tuning, invoked_profiles=(profile,), profile_regions=("us-east-1", "us-west-2"))
    )

    for region in ("us-east-1", "us-west-2"):
        model = f"arn:aws:bedrock:{region}::foundation-model/amazon.nova-premier-v1:0"
        assert may(document, "bedrock:InvokeModel", model)
    assert may(
        document, "bedrock:InvokeModel", f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{profile}"
    )
    assert not may(
        document,
        "bedrock:InvokeModel",
        "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-premier-v1:0",
    )


def test_graders_keys_and_networks_are_allowed_when_they_are_used() -> None:
    """Each only for what the experiment names."""
    grader = "arn:aws:lambda:us-east-1:123456789012:function:grader"
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    document = service_policy(
        replace(
            tuning,
            function_arns=(grader,),
            kms_key_arns=(key,),
            subnet_ids=("subnet-1",),
            security_group_ids=("sg-1",),
        )
    )

    assert may(document, "lambda:InvokeFunction", grader)
    assert may(document, "kms:Decrypt", key)
    assert may(document, "kms:GenerateDataKey", key)
    subnet = "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-1"
    assert may(document, "ec2:CreateNetworkInterface", subnet)
    assert not may(document, "ec2:CreateNetworkInterface", subnet + "2")
    interfaces = next(one for one in document["Statement"] if one["Sid"] == "MakeInterfaces")
    assert interfaces["Condition"]["StringEquals"] == {"aws:RequestTag/BedrockManaged": "true"}


def test_the_caller_may_submit_watch_and_pass_the_role() -> None:
    """And upload; but pass no other role, and deploy only when the experiment does."""
    document = caller_policy(tuning, role)

    job = "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/a.b/abcdefghij12"
    model = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0:300k"
    assert may(document, "bedrock:CreateModelCustomizationJob", job)
    assert may(document, "bedrock:CreateModelCustomizationJob", model)
    assert may(document, "bedrock:ListModelCustomizationJobs", "*")
    assert may(document, "iam:PassRole", role)
    assert not may(document, "iam:PassRole", role + "2")
    assert may(document, "s3:PutObject", "arn:aws:s3:::train/polytune/strudel/sha256-0/train.jsonl")
    assert not may(document, "bedrock:CreateCustomModelDeployment", "*")
    assert not may(document, "bedrock:CreateModelImportJob", "*")
    deployment = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghij12"
    assert may(caller_policy(replace(tuning, deploys=True), role), "bedrock:InvokeModel", deployment)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"jobs": ("model-import-job", "model-invocation-job", "evaluation-job")},
        {"kms_key_arns": ("k",), "subnet_ids": ("s",), "security_group_ids": ("g",), "function_arns": ("f",)},
        {"invoked_profiles": ("us.a.b",), "invoked_models": ("a.b",), "deploys": True},
    ],
)
def test_every_document_fits_into_iam(changed: dict[str, Any]) -> None:
    """Statement ids are unique words, and the inline limit of 10,240 characters is kept."""
    facts = replace(tuning, **changed)

    for document in (trust_policy(facts), service_policy(facts), caller_policy(facts, role)):
        ids = [statement["Sid"] for statement in document["Statement"]]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch("[A-Za-z0-9]+", one) for one in ids)
        assert len(json.dumps(document, separators=(",", ":"))) < 10_240


@pytest.fixture
def policies() -> Policies:
    """The three documents under a role's name."""
    trust = trust_policy(tuning)
    return Policies("polytune-strudel", trust, service_policy(tuning), caller_policy(tuning, role))


def test_json_holds_the_documents(policies: Policies) -> None:
    """They can be fed to the AWS CLI after jq."""
    held = json.loads(as_json(policies))

    assert held["roleName"] == "polytune-strudel"
    assert (held["trustPolicy"], held["servicePolicy"]) == (policies.trust, policies.service)
    assert held["callerPolicy"] == policies.caller


def test_cloudformation_holds_the_documents(policies: Policies) -> None:
    """Every list is written out: the template language knows no aliases."""
    text = as_cloudformation(policies)
    resources = yaml.safe_load(text)["Resources"]

    assert resources["ServiceRole"]["Properties"]["AssumeRolePolicyDocument"] == policies.trust
    assert resources["ServiceRole"]["Properties"]["Policies"][0]["PolicyDocument"] == policies.service
    assert resources["CallerPolicy"]["Properties"]["PolicyDocument"] == policies.caller
    assert not re.search(r"[&*]id\d", text)


def test_terraform_holds_the_documents(policies: Policies) -> None:
    """Each inside a jsonencode, with Terraform's own templates escaped."""
    named = replace(policies, caller={"Resource": "${aws:username}"})
    text = as_terraform(named)

    encoded = [json.loads(found) for found in re.findall(r"jsonencode\((\{.*?\n  \})\)", text, re.DOTALL)]
    assert encoded == [policies.trust, policies.service, {"Resource": "$${aws:username}"}]
    assert 'resource "aws_iam_role" "polytune_strudel" {' in text
