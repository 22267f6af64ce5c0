"""What breaks on the way is repeated, and then told."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from polytune.aws.failures import Missing, NameTaken, NeedsCredentials, Unreachable
from polytune.aws.objects import Objects
from polytune.aws.service import Service
from polytune.aws.shapes import RequestRefused
from tests.aws.faulty import Answer, Faulty, answered, faulty, refused
from tests.aws.stands import Stand
from tests.messages import matching

jobs = answered(
    {
        "modelCustomizationJobSummaries": [
            {
                "jobArn": f"arn:aws:bedrock:us-east-1:123456789012:model-customization-job/a.b/{number:012d}",
                "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0:300k",
                "jobName": f"job-{number}",
                "status": "InProgress",
                "creationTime": "2026-08-02T10:00:00Z",
            }
            for number in range(4)
        ]
    }
)
listing: tuple[str, dict[str, object], str] = (
    "ListModelCustomizationJobs",
    {},
    "modelCustomizationJobSummaries",
)


def bedrock(server: Faulty, attempts: int = 3, timeout: float = 60) -> Service:
    """The control plane at the server."""
    return Stand(server.url).access().service("bedrock", attempts=attempts, read_timeout_seconds=timeout)


@pytest.mark.parametrize("cut", [40, 250, 600, -1])
def test_a_cut_answer_is_asked_for_again(cut: int) -> None:
    """Cut in the headers or the body, botocore would call it an empty list."""
    sent = cut if cut > 0 else len(jobs.raw) + cut
    with faulty([replace(jobs, sent_bytes=sent), jobs]) as server:
        names = [found["jobName"] for found in bedrock(server).pages(*listing)]

    assert names == ["job-0", "job-1", "job-2", "job-3"]
    assert len(server.got) == 2


def test_an_answer_that_is_always_cut_is_a_clear_failure() -> None:
    """After the last attempt it is Unreachable, never an empty list."""
    with (
        faulty([replace(jobs, sent_bytes=300)]) as server,
        pytest.raises(Unreachable, match=r"ListModelCustomizationJobs: TruncatedResponse: .*cut off"),
    ):
        list(bedrock(server).pages(*listing))

    assert len(server.got) == 3


def test_a_cut_answer_of_an_xml_service_is_asked_for_again() -> None:
    """STS and S3 answer in XML; the guard knows that too."""
    whole = Answer(
        body=b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/x</Arn>"
        b"<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
        headers={"Content-Type": "text/xml"},
    )
    with faulty([replace(whole, sent_bytes=150), whole]) as server:
        assert Stand(server.url).access().account() == "123456789012"

    assert len(server.got) == 2


def test_a_cut_refusal_is_asked_for_again() -> None:
    """The reason of a refusal may be what was cut off."""
    whole = refused("ValidationException", "The provided job name is currently in use.", 400)
    with faulty([replace(whole, sent_bytes=len(whole.raw) - 20), whole]) as server, pytest.raises(NameTaken):
        bedrock(server).call("StopModelCustomizationJob", {"jobIdentifier": "x"})

    assert len(server.got) == 2


def test_garbage_of_the_right_length_is_asked_for_again() -> None:
    """A body that is no JSON is not an empty answer."""
    with faulty([Answer(body=b'{"modelCustomizationJobSummaries": [{"jo'), jobs]) as server:
        assert len(list(bedrock(server).pages(*listing))) == 4


def test_an_answer_without_its_promised_member_is_a_failure() -> None:
    """A created job without an ARN cannot be followed."""
    with faulty([answered({"unexpected": 1})]) as server:
        stop = {"modelArn": "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova/abcdefghij12"}
        with pytest.raises(Unreachable, match=matching("aws/answer-lacks-deployment-arn")):
            bedrock(server).call("CreateCustomModelDeployment", {"modelDeploymentName": "x", **stop})


def test_throttling_is_waited_out() -> None:
    """One refusal for haste is not a failure."""
    with faulty([refused("ThrottlingException", "Rate exceeded", 429), jobs]) as server:
        assert len(list(bedrock(server).pages(*listing))) == 4


def test_lasting_throttling_is_a_transient_failure() -> None:
    """The caller may poll again later."""
    with (
        faulty([refused("ThrottlingException", "Rate exceeded", 429)]) as server,
        pytest.raises(Unreachable, match=matching("aws/rate-exceeded")) as caught,
    ):
        list(bedrock(server, attempts=1).pages(*listing))

    assert caught.value.transient
    assert caught.value.status == 429


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_faults_of_the_server_are_repeated(status: int) -> None:
    """A page of HTML with a 5xx status, as load balancers send, is repeated too."""
    broken = Answer(status, b"<html>oops</html>", {"Content-Type": "text/html"})
    with faulty([broken, jobs]) as server:
        assert len(list(bedrock(server).pages(*listing))) == 4


def test_a_reset_connection_is_repeated() -> None:
    """The answer to the second try counts."""
    with faulty([replace(jobs, sent_bytes=0, reset=True), jobs]) as server:
        assert len(list(bedrock(server).pages(*listing))) == 4


def test_connections_that_are_always_reset_are_a_clear_failure() -> None:
    """It names the call and what to check."""
    with (
        faulty([replace(jobs, sent_bytes=0, reset=True)]) as server,
        pytest.raises(Unreachable, match=matching("aws/check-network")),
    ):
        list(bedrock(server).pages(*listing))


def test_nobody_listening_is_a_clear_failure() -> None:
    """A wrong address is told, with the address."""
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        list(Stand("http://127.0.0.1:1").access().service("bedrock", attempts=1).pages(*listing))


def test_an_expired_token_asks_for_credentials() -> None:
    """It is not repeated, and it is not a failure of the run."""
    with (
        faulty([refused("ExpiredTokenException", "The security token is expired", 403)]) as server,
        pytest.raises(NeedsCredentials, match=matching("aws/sign-in-again")),
    ):
        list(bedrock(server).pages(*listing))

    assert len(server.got) == 1


def test_an_unknown_job_is_missing() -> None:
    """Lookups by name can tell it from a failure."""
    with (
        faulty([refused("ResourceNotFoundException", "Could not find job", 404)]) as server,
        pytest.raises(Missing, match=r"Could not find job"),
    ):
        bedrock(server).call("GetModelCustomizationJob", {"jobIdentifier": "job-1"})


def test_pages_are_followed_to_the_end() -> None:
    """Every page's items come, in order, each request with the token of the answer before."""
    items = json.loads(jobs.body)["modelCustomizationJobSummaries"]
    first = answered({"modelCustomizationJobSummaries": items[:3], "nextToken": "more"})
    with faulty([first, answered({"modelCustomizationJobSummaries": items[3:]})]) as server:
        names = [found["jobName"] for found in bedrock(server).pages(*listing)]

    assert names == ["job-0", "job-1", "job-2", "job-3"]
    assert "nextToken=more" in server.got[1].line


def test_a_wrong_type_never_leaves() -> None:
    """What botocore refuses comes as polytune's own error."""
    with (
        faulty([jobs]) as server,
        pytest.raises(RequestRefused, match=r"epochCount.*Nothing was sent"),
    ):
        bedrock(server).call("CreateModelCustomizationJob", _job_with_number())

    assert server.got == []


def _job_with_number() -> dict[str, object]:
    return {
        "jobName": "x",
        "customModelName": "x",
        "roleArn": "arn:aws:iam::123456789012:role/x",
        "baseModelIdentifier": "amazon.nova-lite-v1:0:300k",
        "trainingDataConfig": {"s3Uri": "s3://bucket/train.jsonl"},
        "outputDataConfig": {"s3Uri": "s3://bucket/out/"},
        "hyperParameters": {"epochCount": 2},
    }


def test_a_download_that_breaks_off_is_begun_again() -> None:
    """boto3 itself hands a broken body on."""
    content = bytes(range(256)) * 40
    whole = Answer(200, content, {"Content-Type": "binary/octet-stream", "ETag": '"x"'})
    with faulty([replace(whole, sent_bytes=5000), whole]) as server:
        assert Objects(Stand(server.url).access()).read("s3://bucket/key") == content

    assert len(server.got) == 2


def test_clients_are_made_once_for_all_threads(moto: Stand) -> None:
    """Sixteen threads that ask at once get the same service."""
    access = moto.access()
    found: list[Service] = []
    together = threading.Barrier(16)

    def ask() -> None:
        together.wait()
        found.append(access.service("bedrock-runtime", read_timeout_seconds=900))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 16
    assert len(set(map(id, found))) == 1
    assert access.service("bedrock-runtime") is not found[0]
