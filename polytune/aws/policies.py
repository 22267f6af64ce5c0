"""The IAM policies that an experiment needs, as plain documents; nothing here calls AWS.

Sources: the Bedrock user guide's pages on the customization service role, job access security, import,
batch inference and reinforcement fine-tuning (docs.aws.amazon.com/bedrock/latest/userguide, read 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from polytune.aws.places import place_of

Job = Literal["model-customization-job", "model-import-job", "model-invocation-job", "evaluation-job"]
"""The kinds of job that assume the service role, as spelled in the job's ARN."""

version = "2012-10-17"
bedrock = "bedrock.amazonaws.com"

# The tags that Bedrock puts on the network interfaces it creates in a customer's VPC.
job_tag = "BedrockModelCustomizationJobArn"
managed_tag = "BedrockManaged"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The resources that an experiment uses; an empty field leaves its permissions out."""

    account: str
    """12 digits."""
    region: str
    jobs: tuple[Job, ...] = ("model-customization-job",)
    reads: tuple[str, ...] = ()
    """Prefixes that jobs read: s3://bucket/prefix."""
    writes: tuple[str, ...] = ()
    """Prefixes that jobs write."""
    kms_key_arns: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    function_arns: tuple[str, ...] = ()
    """Lambda functions that grade a reinforcement fine-tuning job."""
    invoked_models: tuple[str, ...] = ()
    """Foundation models that a job itself invokes: a distillation teacher, a judge, a batch's model."""
    invoked_profiles: tuple[str, ...] = ()
    """Inference profiles that a job invokes models through, such as us.amazon.nova-premier-v1:0."""
    profile_regions: tuple[str, ...] = ()
    """The regions those profiles route to; all regions when empty."""
    publishes_function_with: str = ""
    """The execution role of the Lambda function that the caller creates from a grader file."""
    deploys: bool = False
    """Whether the caller also deploys, invokes and deletes custom models."""
    partition: str = "aws"

    def arn(
        self, resource: str, *, service: str = "bedrock", region: str = "", account: str | None = None
    ) -> str:
        """The ARN of a resource of the account, or of the service itself when `account` is ''."""
        owner = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{region or self.region}:{owner}:{resource}"


def trust_policy(facts: Facts) -> dict[str, Any]:
    """Lets only Bedrock assume the service role, and only for this account's jobs in this region.

    The conditions prevent the confused deputy problem: without them another account's job could use it.
    """
    return _document(
        {
            "Sid": "BedrockJobsOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": bedrock},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": facts.account},
                "ArnLike": {"aws:SourceArn": [facts.arn(f"{job}/*") for job in facts.jobs]},
            },
        }
    )


def service_policy(facts: Facts) -> dict[str, Any]:
    """What a job may do after it has assumed the service role."""
    statements = [*_storage(facts), *_keys(facts), *_network(facts)]
    if facts.function_arns:
        statements.append(_allow("Graders", ["lambda:InvokeFunction"], list(facts.function_arns)))
    statements.extend(_invocations(facts))
    return _document(*statements)


def caller_policy(facts: Facts, role_arn: str) -> dict[str, Any]:
    """The permissions that the user or machine running polytune needs."""
    statements = [
        _allow(
            "Jobs", _job_actions(facts), [*(facts.arn(f"{job}/*") for job in facts.jobs), *_models(facts)]
        ),
        # List actions do not support resource-level permissions.
        _allow("Listings", _listing_actions(facts), ["*"]),
        _allow("Tags", [f"bedrock:{verb}" for verb in ("TagResource", "UntagResource")], [facts.arn("*")]),
        {
            **_allow("PassTheServiceRole", ["iam:PassRole"], [role_arn]),
            "Condition": {"StringEquals": {"iam:PassedToService": bedrock}},
        },
        *_callers_storage(facts),
    ]
    if facts.kms_key_arns:
        actions = ["kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"]
        statements.append(_allow("Keys", actions, list(facts.kms_key_arns)))
    if facts.publishes_function_with:
        statements.extend(_publishing(facts))
    if facts.deploys:
        statements.append(_allow("UseOfDeployments", ["cloudwatch:GetMetricStatistics"], ["*"]))
        statements.append(_allow("Deployments", list(_deployment_actions), _deployed(facts)))
    return _document(*statements)


def _publishing(facts: Facts) -> list[dict[str, Any]]:
    """Statements for publishing a grader file as a Lambda function with its own execution role."""
    actions = [
        "lambda:CreateFunction",
        "lambda:GetFunction",
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
    ]
    own = facts.arn("function:polytune-reward-*", service="lambda")
    passing = _allow("PassTheFunctionsRole", ["iam:PassRole"], [facts.publishes_function_with])
    condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    return [_allow("GraderFunction", actions, [own]), {**passing, "Condition": condition}]


_deployment_actions = (
    "bedrock:CreateCustomModelDeployment",
    "bedrock:GetCustomModelDeployment",
    "bedrock:UpdateCustomModelDeployment",
    "bedrock:DeleteCustomModelDeployment",
    "bedrock:CreateProvisionedModelThroughput",
    "bedrock:GetProvisionedModelThroughput",
    "bedrock:UpdateProvisionedModelThroughput",
    "bedrock:DeleteProvisionedModelThroughput",
    "bedrock:DeleteCustomModel",
    "bedrock:DeleteImportedModel",
    "bedrock:InvokeModel",
    "bedrock:InvokeModelWithResponseStream",
)

_actions_of_jobs: dict[Job, tuple[str, ...]] = {
    "model-customization-job": (
        "CreateModelCustomizationJob",
        "GetModelCustomizationJob",
        "StopModelCustomizationJob",
        "GetCustomModel",
        "GetFoundationModel",
    ),
    "model-import-job": ("CreateModelImportJob", "GetModelImportJob", "GetImportedModel"),
    "model-invocation-job": ("CreateModelInvocationJob", "GetModelInvocationJob", "StopModelInvocationJob"),
    "evaluation-job": ("CreateEvaluationJob", "GetEvaluationJob", "StopEvaluationJob"),
}

_listings_of_jobs: dict[Job, tuple[str, ...]] = {
    "model-customization-job": ("ListModelCustomizationJobs", "ListCustomModels"),
    "model-import-job": ("ListModelImportJobs", "ListImportedModels"),
    "model-invocation-job": ("ListModelInvocationJobs",),
    "evaluation-job": ("ListEvaluationJobs",),
}

_listings_of_deployments = ("ListCustomModelDeployments", "ListProvisionedModelThroughputs")


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def _allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _storage(facts: Facts) -> list[dict[str, Any]]:
    found = []
    if facts.reads or facts.writes:
        found.append(_listing(facts, (*facts.reads, *facts.writes)))
    if facts.reads:
        found.append(_allow("ReadData", ["s3:GetObject"], _objects(facts, facts.reads)))
    if facts.writes:
        found.append(_allow("WriteResults", ["s3:GetObject", "s3:PutObject"], _objects(facts, facts.writes)))
    # A deleted bucket's name can be taken by another account: jobs must not write there.
    return [
        {**statement, "Condition": {"StringEquals": {"aws:ResourceAccount": facts.account}}}
        for statement in found
    ]


def _callers_storage(facts: Facts) -> list[dict[str, Any]]:
    everything = (*facts.reads, *facts.writes)
    if not everything:
        return []
    actions = [
        "s3:GetObject",
        "s3:PutObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ]
    listing = _listing(facts, everything)
    listing["Action"] = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    return [listing, _allow("Objects", actions, _objects(facts, everything))]


def _listing(facts: Facts, uris: tuple[str, ...]) -> dict[str, Any]:
    buckets = sorted({place_of(uri).bucket for uri in uris})
    return _allow(
        "ListBuckets", ["s3:ListBucket"], [f"arn:{facts.partition}:s3:::{name}" for name in buckets]
    )


def _objects(facts: Facts, uris: tuple[str, ...]) -> list[str]:
    places = [place_of(uri) for uri in uris]
    keys = [f"{place.bucket}/{place.key.rstrip('/')}/*".replace("//", "/") for place in places]
    return sorted({f"arn:{facts.partition}:s3:::{key}" for key in keys})


def _keys(facts: Facts) -> list[dict[str, Any]]:
    actions = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
    return [_allow("Keys", actions, list(facts.kms_key_arns))] if facts.kms_key_arns else []


def _network(facts: Facts) -> list[dict[str, Any]]:
    if not facts.subnet_ids:
        return []
    described = ("NetworkInterfaces", "Vpcs", "DhcpOptions", "Subnets", "SecurityGroups")
    subnets = [facts.arn(f"subnet/{name}", service="ec2") for name in facts.subnet_ids]
    groups = [facts.arn(f"security-group/{name}", service="ec2") for name in facts.security_group_ids]
    interfaces = [facts.arn("network-interface/*", service="ec2")]
    jobs = [facts.arn("model-customization-job/*")]
    return [
        _allow("SeeNetwork", [f"ec2:Describe{what}" for what in described], ["*"]),
        {
            **_allow("MakeInterfaces", ["ec2:CreateNetworkInterface"], interfaces),
            "Condition": {
                "StringEquals": {f"aws:RequestTag/{managed_tag}": "true"},
                "ArnLike": {f"aws:RequestTag/{job_tag}": jobs},
            },
        },
        _allow("UseSubnets", ["ec2:CreateNetworkInterface"], [*subnets, *groups]),
        {
            **_allow(
                "KeepInterfaces",
                [
                    "ec2:CreateNetworkInterfacePermission",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DeleteNetworkInterfacePermission",
                ],
                ["*"],
            ),
            "Condition": {
                "ArnEquals": {"ec2:Subnet": subnets},
                "ArnLike": {f"ec2:ResourceTag/{job_tag}": jobs},
                "StringEquals": {f"ec2:ResourceTag/{managed_tag}": "true"},
            },
        },
        {
            **_allow("TagInterfaces", ["ec2:CreateTags"], interfaces),
            "Condition": {
                "StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"},
                "ForAllValues:StringEquals": {"aws:TagKeys": [managed_tag, job_tag]},
            },
        },
    ]


def _invocations(facts: Facts) -> list[dict[str, Any]]:
    # Invoking an inference profile needs permission for the profile and for its model in every region it
    # routes to; the model's ID is the profile's without the geography, such as `us.`.
    regions = facts.profile_regions or ("*",)
    routed = [profile.partition(".")[2] for profile in facts.invoked_profiles]
    resources = [
        *(facts.arn(f"foundation-model/{name}", account="") for name in facts.invoked_models),
        *(facts.arn(f"inference-profile/{name}") for name in facts.invoked_profiles),
        *(
            facts.arn(f"foundation-model/{name}", region=region, account="")
            for name in routed
            for region in regions
        ),
    ]
    return [_allow("InvokeModels", ["bedrock:InvokeModel"], resources)] if resources else []


def _job_actions(facts: Facts) -> list[str]:
    return [f"bedrock:{action}" for job in facts.jobs for action in _actions_of_jobs[job]]


def _listing_actions(facts: Facts) -> list[str]:
    listings = [action for job in facts.jobs for action in _listings_of_jobs[job]]
    listings += _listings_of_deployments if facts.deploys else ()
    return [f"bedrock:{action}" for action in (*listings, "ListFoundationModels", "ListTagsForResource")]


def _models(facts: Facts) -> list[str]:
    return [
        facts.arn("custom-model/*"),
        facts.arn("imported-model/*"),
        facts.arn("foundation-model/*", account=""),
    ]


def _deployed(facts: Facts) -> list[str]:
    kinds = (
        "custom-model-deployment",
        "provisioned-model",
        "custom-model",
        "imported-model",
        "inference-profile",
    )
    return [
        *(facts.arn(f"{kind}/*") for kind in kinds),
        facts.arn("foundation-model/*", region="*", account=""),
    ]
