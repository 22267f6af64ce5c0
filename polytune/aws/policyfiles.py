"""Policies written as JSON, Terraform or CloudFormation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class Policies:
    """The three policy documents of an experiment and the name of its service role."""

    role_name: str
    trust: dict[str, Any]
    service: dict[str, Any]
    caller: dict[str, Any]


def as_json(policies: Policies) -> str:
    """One object: roleName, trustPolicy, servicePolicy, callerPolicy."""
    documents = {
        "roleName": policies.role_name,
        "trustPolicy": policies.trust,
        "servicePolicy": policies.service,
        "callerPolicy": policies.caller,
    }
    return json.dumps(documents, indent=2) + "\n"


def as_terraform(policies: Policies) -> str:
    """An `aws_iam_role` with its inline policy, and an `aws_iam_policy` to attach to the caller."""
    name = _terraform_name(policies.role_name)
    return f"""\
resource "aws_iam_role" "{name}" {{
  name               = "{policies.role_name}"
  assume_role_policy = jsonencode({_hcl(policies.trust)})
}}

resource "aws_iam_role_policy" "{name}" {{
  name   = "{policies.role_name}"
  role   = aws_iam_role.{name}.id
  policy = jsonencode({_hcl(policies.service)})
}}

resource "aws_iam_policy" "{name}_caller" {{
  name   = "{policies.role_name}-caller"
  policy = jsonencode({_hcl(policies.caller)})
}}

output "role_arn" {{
  value = aws_iam_role.{name}.arn
}}
"""


def as_cloudformation(policies: Policies) -> str:
    """A template with the role and a managed policy for the caller; needs CAPABILITY_NAMED_IAM."""
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The service role of a polytune experiment and the permissions of its caller",
        "Resources": {
            "ServiceRole": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": policies.role_name,
                    "AssumeRolePolicyDocument": policies.trust,
                    "Policies": [{"PolicyName": policies.role_name, "PolicyDocument": policies.service}],
                },
            },
            "CallerPolicy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "ManagedPolicyName": f"{policies.role_name}-caller",
                    "PolicyDocument": policies.caller,
                },
            },
        },
        "Outputs": {"RoleArn": {"Value": {"Fn::GetAtt": ["ServiceRole", "Arn"]}}},
    }
    return yaml.dump(template, Dumper=_Plain, sort_keys=False, width=100)


class _Plain(yaml.SafeDumper):
    """Writes shared lists out in full: CloudFormation does not support YAML aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _hcl(document: dict[str, Any]) -> str:
    """The document as an HCL expression: JSON is valid HCL once `${` and `%{` are escaped."""
    text = json.dumps(document, indent=2).replace("${", "$${").replace("%{", "%%{")
    return text.replace("\n", "\n  ")


def _terraform_name(name: str) -> str:
    # Terraform identifiers must not start with a digit.
    safe = "".join(letter if letter.isalnum() else "_" for letter in name)
    return safe if safe[:1].isalpha() else f"polytune_{safe}"
