"""Roles, functions, counts and prices of an account, read and made on moto or a scripted server."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from polytune.aws.failures import Missing
from polytune.aws.functions import Function, deploy, packaged
from polytune.aws.iam import allows, role, trusts
from polytune.aws.pricing import live_prices
from polytune.aws.usage import invocations_since
from polytune.aws.variables import Defaults
from polytune.errors import PolytuneError, UsageError
from tests.aws.faulty import Answer, answered, faulty, refused
from tests.aws.stands import Stand
from tests.messages import matching

trust = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": ["lambda.amazonaws.com", "bedrock.amazonaws.com"]},
        "Action": "sts:AssumeRole",
    },
}
source = b"def handler(event, context):\n    return event\n"


def document(effect: str, action: str, resource: str) -> str:
    """A policy of one statement."""
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def role_arn(moto: Stand) -> str:
    """A role with an inline and an attached policy."""
    iam = moto.access().service("iam")
    made = iam.call("CreateRole", {"RoleName": "facts", "AssumeRolePolicyDocument": json.dumps(trust)})[
        "Role"
    ]
    inline = document("Allow", "s3:*", "arn:aws:s3:::bucket/*")
    iam.call("PutRolePolicy", {"RoleName": "facts", "PolicyName": "inline", "PolicyDocument": inline})
    denial = document("Deny", "s3:Put*", "arn:aws:s3:::bucket/train/*")
    policy = iam.call("CreatePolicy", {"PolicyName": "attached", "PolicyDocument": denial})["Policy"]
    iam.call("AttachRolePolicy", {"RoleName": "facts", "PolicyArn": policy["Arn"]})
    return str(made["Arn"])


def test_a_role_tells_whom_it_trusts_and_what_it_allows(moto: Stand, role_arn: str) -> None:
    """Inline and attached policies together; a denial outweighs."""
    facts = role(moto.access(), role_arn)

    assert facts.name == "facts"
    assert trusts(facts, "bedrock.amazonaws.com")
    assert not trusts(facts, "ec2.amazonaws.com")
    assert sorted(statement.policy for statement in facts.statements) == ["attached", "inline"]
    assert allows(facts.statements, "s3:GetObject", "arn:aws:s3:::bucket/train/*")
    assert allows(facts.statements, "S3:putobject", "arn:aws:s3:::bucket/out/x")
    assert not allows(facts.statements, "s3:PutObject", "arn:aws:s3:::bucket/train/x")
    assert not allows(facts.statements, "s3:GetObject", "arn:aws:s3:::Bucket/out/x")


def test_a_role_that_does_not_exist_is_missing(moto: Stand) -> None:
    """And something that is no role's ARN is told apart."""
    with pytest.raises(Missing, match="NoSuchEntity"):
        role(moto.access(), "arn:aws:iam::123456789012:role/service-role/nobody")
    with pytest.raises(UsageError, match=matching("aws/is-not-role-arn")):
        role(moto.access(), "polytune")


def test_the_same_source_is_the_same_package() -> None:
    """Whatever order the files come in; and it unpacks to them."""
    files = {"b.py": b"2", "a/__init__.py": b""}
    package = packaged(files)

    assert package == packaged(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert archive.infolist()[1].external_attr >> 16 == 0o644


def test_a_functions_name_follows_from_its_source() -> None:
    """Known digest: a change of the layout would orphan functions."""
    function = Function("polytune-grader", {"main.py": source}, "main.handler", "arn")

    assert function.name == "polytune-grader-fc724636d51d"
    assert Function("p" * 80, {"main.py": source}, "main.handler", "arn").name.startswith("p" * 51 + "-")


def test_a_function_is_deployed_once_and_mended(moto: Stand, role_arn: str) -> None:
    """The second time it is found; edited by hand it is put right."""
    function = Function("grader", {"main.py": source}, "main.handler", role_arn, timeout_seconds=60)
    access = moto.access()
    arn = deploy(access, function)
    service = access.service("lambda")
    made = service.call("GetFunction", {"FunctionName": arn})["Configuration"]

    assert deploy(access, function) == arn
    assert service.call("GetFunction", {"FunctionName": arn})["Configuration"] == made
    assert (made["Runtime"], made["Timeout"], made["Handler"]) == ("python3.12", 60, "main.handler")
    service.call(
        "UpdateFunctionCode", {"FunctionName": arn, "ZipFile": packaged({"main.py": b"edited = True\n"})}
    )
    deploy(access, function)
    mended = service.call("GetFunction", {"FunctionName": arn})["Configuration"]
    assert mended["CodeSha256"] == made["CodeSha256"]


def configuration(**changed: object) -> Answer:
    """GetFunction's answer for a function as it should be, but for what is changed."""
    return answered({"Configuration": {"FunctionArn": "arn:f", "State": "Active", **changed}})


def test_a_function_is_waited_for() -> None:
    """Until it is active, and until the new role can be assumed."""
    naps: list[float] = []
    too_new = refused(
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
        400,
    )
    script = [
        refused("ResourceNotFoundException", "no", 404),
        too_new,
        answered({"FunctionArn": "arn:f"}, 201),
        configuration(State="Pending"),
        configuration(),
    ]
    with faulty(script) as server:
        function = Function("f", {"main.py": source}, "main.handler", "arn:aws:iam::123456789012:role/x")
        assert deploy(Stand(server.url).access(), function, sleep=naps.append) == "arn:f"

    assert len(naps) == 2


def test_a_function_that_cannot_start_is_told() -> None:
    """With AWS's reason."""
    script = [
        configuration(State="Failed", StateReason="The image is broken"),
    ]
    with faulty(script) as server, pytest.raises(PolytuneError, match=matching("aws/failed-to-start")):
        deploy(Stand(server.url).access(), Function("f", {}, "main.handler", "arn"))


def test_a_function_that_runs_longer_than_lambda_allows_is_refused(moto: Stand) -> None:
    """Before anything is made."""
    with pytest.raises(UsageError, match="1 to 900 s, not 901"):
        deploy(moto.access(), Function("f", {}, "main.handler", "arn", timeout_seconds=901))


def test_invocations_are_counted_since_a_time(moto: Stand) -> None:
    """Of one model, over ten days as over ten minutes."""
    now = datetime.now(UTC)
    data = [
        {
            "MetricName": "Invocations",
            "Value": 3,
            "Timestamp": now - timedelta(minutes=90),
            "Dimensions": [{"Name": "ModelId", "Value": model}],
        }
        for model in ("deployed", "another")
    ]
    moto.access().service("cloudwatch").call(
        "PutMetricData", {"Namespace": "AWS/Bedrock", "MetricData": data}
    )

    for days in (10, 16, 70, 700):
        assert invocations_since(moto.access(), "deployed", now - timedelta(days=days)) == 3
    assert invocations_since(moto.access(), "deployed", now - timedelta(minutes=10)) == 0
    assert invocations_since(moto.access(), "deployed", now, now) == 0


def test_invocations_that_nobody_may_see_are_unknown() -> None:
    """Which is not none."""
    with faulty([refused("AccessDenied", "no", 403)]) as server:
        access = Stand(server.url).access()
        assert invocations_since(access, "x", datetime.now(UTC) - timedelta(hours=1)) is None


def product(usage: str, dollars: str, unit: str) -> str:
    """One entry of the price list."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": dollars}}
    terms = {"OnDemand": {"offer": {"priceDimensions": {"rate": dimension}}}}
    return json.dumps({"product": {"attributes": {"usagetype": usage}}, "terms": terms})


def test_live_prices_come_under_the_catalogues_names() -> None:
    """Per 1,000 tokens, whatever the list counts in; other families and unknown uses are left out."""
    listed = [
        product("USE1-NovaMicro-Customization-Training", "0.0010000000", "1K tokens"),
        product("USE1-NovaMicro-Customization-Storage", "1.95", "Month"),
        product("USE1-NovaMicro-input-tokens-custom-model", "0.035", "1M tokens"),
        product("USE1-NovaMicro-ProvisionedThroughput-NoCommit-ModelUnits", "108.15", "hour"),
        product("USE1-NovaMicro-cache-read-input-token-count", "9", "1K tokens"),
        product("USE1-NovaMicroPlus-Customization-Training", "9", "1K tokens"),
    ]
    answer = Answer(
        200, json.dumps({"PriceList": listed}).encode(), {"Content-Type": "application/x-amz-json-1.1"}
    )
    with faulty([answer]) as server:
        prices = live_prices(Stand(server.url).access(region="us-west-2"), "NovaMicro")

    assert prices == {
        "training_usd_per_1k_tokens": 0.001,
        "storage_usd_per_month": 1.95,
        "custom_input_usd_per_1k_tokens": pytest.approx(0.000035),
        "provisioned_usd_per_hour": 108.15,
    }
    assert "/us-east-1/pricing/" in server.got[0].headers["authorization"]
    filters = json.loads(server.got[0].body)["Filters"]
    assert {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-west-2"} in filters


@pytest.mark.parametrize(
    "answer",
    [
        refused("AccessDeniedException", "no", 403),
        answered({"PriceList": ["{}"]}),
        answered({"PriceList": ["no json"]}),
        answered({}),
    ],
)
def test_prices_that_cannot_be_read_are_no_prices(answer: Answer) -> None:
    """They are never worth failing for."""
    with faulty([answer]) as server:
        assert live_prices(Stand(server.url).access(), "NovaMicro") == {}


def test_the_original_toolkits_variables_are_defaults() -> None:
    """Names as it read them; lists may have spaces, buckets may be addresses."""
    found = Defaults.of(
        {
            "BEDROCK_TRAINING_BUCKET": "s3://train/",
            "BEDROCK_OUTPUT_BUCKET": "out",
            "BEDROCK_ROLE_ARN": "arn:r",
            "BEDROCK_KMS_KEY_ARN": "arn:k",
            "BEDROCK_VPC_SUBNET_IDS": "subnet-1, subnet-2,",
            "BEDROCK_VPC_SECURITY_GROUP_IDS": "sg-1",
            "AWS_REGION": "us-west-2",
        }
    )

    assert found == Defaults(
        "train", "out", "arn:r", "arn:k", ("subnet-1", "subnet-2"), ("sg-1",), "us-west-2"
    )
    assert Defaults.of({}) == Defaults()
    assert Defaults.of({"BEDROCK_TRAINING_BUCKET": "b"}).output_bucket == "b"
