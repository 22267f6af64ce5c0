"""Customization jobs on the virtual clock: stages, stopping, names, tokens, quotas, filters, paging."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.messages import matching

from .emulator_account import Account, hours, nova_lite

Answer = dict[str, Any]


def stages(job: Answer) -> Answer:
    """Each sub-stage's status."""
    return {name.removesuffix("Details"): stage["status"] for name, stage in job["statusDetails"].items()}


def seen(account: Account, arn: str, *waits: float) -> list[tuple[str, Answer]]:
    """The job's status and stages after each wait, in seconds."""
    found = []
    for seconds in waits:
        account.advance(seconds)
        job = account.job(arn)
        found.append((job["status"], stages(job)))
    return found


def test_a_job_goes_through_its_stages(account: Account) -> None:
    """Validation starts within a minute, training some minutes later, and after 81 minutes it is complete."""
    arn = account.create()

    assert seen(account, arn, 0, 60, 240, 75 * 60, 10 * 60) == [
        ("InProgress", {"validation": "NotStarted", "training": "NotStarted"}),
        ("InProgress", {"validation": "InProgress", "training": "NotStarted"}),
        ("InProgress", {"validation": "Completed", "training": "InProgress"}),
        ("InProgress", {"validation": "Completed", "training": "InProgress"}),
        ("Completed", {"validation": "Completed", "training": "Completed"}),
    ]


def test_the_way_of_looking_changes_nothing(account: Account) -> None:
    """A job that was looked at often and one that was not tell the same times in the end."""
    looked_at, left_alone = account.create("a"), account.create("b")
    for _ in range(30):
        account.advance(200)
        account.job(looked_at)
    account.control("state")

    ends = [account.job(arn) for arn in (looked_at, left_alone)]
    assert [end["status"] for end in ends] == ["Completed", "Completed"]
    assert ends[0]["statusDetails"] == ends[1]["statusDetails"]
    assert ends[0]["endTime"] == ends[1]["endTime"]


def test_distillation_processes_data_in_between(account: Account) -> None:
    """Only a distillation job has dataProcessing, between validation and training."""
    teacher = {"teacherModelIdentifier": "us.amazon.nova-premier-v1:0"}
    arn = account.create(
        customizationType="DISTILLATION",
        customizationConfig={"distillationConfig": {"teacherModelConfig": teacher}},
    )

    assert [found for _, found in seen(account, arn, 300, 31 * 60, 2 * hours)] == [
        {"validation": "Completed", "dataProcessing": "InProgress", "training": "NotStarted"},
        {"validation": "Completed", "dataProcessing": "Completed", "training": "InProgress"},
        {"validation": "Completed", "dataProcessing": "Completed", "training": "Completed"},
    ]


def test_members_come_with_the_status_they_belong_to(account: Account) -> None:
    """A job in progress has no end, model or loss; a complete one has all; no failure message in either."""
    arn = account.create()
    early = account.job(arn)
    account.advance(2 * hours)
    late = account.job(arn)

    only_late = {"endTime", "outputModelArn", "trainingMetrics"}
    assert set(late) - set(early) == only_late
    assert early["validationMetrics"] == []
    assert "failureMessage" not in late
    assert account.bedrock.get_custom_model(modelIdentifier=late["outputModelArn"])["jobArn"] == arn


def test_the_model_is_there_only_when_the_job_is_complete(account: Account) -> None:
    """Until then nothing is listed; afterwards the model has the wanted name and an id of its own."""
    arn = account.create("song")
    account.advance(hours)
    before = account.bedrock.list_custom_models()["modelSummaries"]
    account.advance(hours)
    after = account.bedrock.list_custom_models()["modelSummaries"]

    assert before == []
    assert [model["modelName"] for model in after] == ["song-model"]
    assert after[0]["modelArn"].rpartition("/")[2] != arn.rpartition("/")[2]
    assert f"custom-model/{nova_lite}/" in after[0]["modelArn"]


def test_a_job_is_found_by_name_and_by_arn(account: Account) -> None:
    """The ARN with its colons and slashes goes through the path."""
    arn = account.create("song")

    assert account.job("song")["jobArn"] == arn == account.job(arn)["jobArn"]


def test_stopping_takes_a_moment_and_makes_no_model(account: Account) -> None:
    """Stopping, then Stopped with an end; a second Stop is a conflict."""
    arn = account.create()
    account.advance(hours)
    account.bedrock.stop_model_customization_job(jobIdentifier=arn)
    stopping = account.job(arn)
    account.advance(300)
    stopped = account.job(arn)

    assert (stopping["status"], stages(stopping)["training"]) == ("Stopping", "Stopping")
    assert (stopped["status"], stages(stopped)["training"]) == ("Stopped", "Stopped")
    assert "endTime" in stopped
    assert "outputModelArn" not in stopped
    with pytest.raises(account.bedrock.exceptions.ConflictException, match="Stopped"):
        account.bedrock.stop_model_customization_job(jobIdentifier=arn)


def test_job_names_are_used_up_for_ever(account: Account) -> None:
    """A name cannot be used again, not even after its job has been stopped or is complete."""
    account.create("once")
    account.advance(3 * hours)

    with pytest.raises(
        account.bedrock.exceptions.ValidationException,
        match=matching("emulator/provided-job-name-is-currently"),
    ):
        account.create("once", customModelName="another")


def test_model_names_are_unique(account: Account) -> None:
    """A job cannot make a model of a name that is taken or about to be."""
    account.create("a", customModelName="same")

    with pytest.raises(
        account.bedrock.exceptions.ValidationException, match=matching("emulator/custom-model-name")
    ):
        account.create("b", customModelName="same")


def test_the_same_token_is_the_same_job(account: Account) -> None:
    """Asked again with the same token, the service answers the same ARN and makes nothing."""
    first = account.create("a", clientRequestToken="token-1")
    second = account.create("a", clientRequestToken="token-1")

    assert first == second
    assert len(account.control("state")["jobs"]) == 1


def test_a_dropped_answer_leaves_one_job(account: Account) -> None:
    """The SDK retries a create whose answer was lost with the same token: two calls, one job."""
    account.fault("drop_answer", "CreateModelCustomizationJob", times=1)
    arn = account.create("a")

    assert account.calls("CreateModelCustomizationJob") == 2
    assert [job["arn"] for job in account.control("state")["jobs"]] == [arn]


def test_two_jobs_train_at_once(account: Account) -> None:
    """The third waits with NotStarted until one of them is over, and starts at that moment."""
    arns = [account.create(name) for name in ("a", "b", "c")]
    account.advance(400)
    waiting = [stages(account.job(arn))["training"] for arn in arns]
    account.bedrock.stop_model_customization_job(jobIdentifier=arns[0])
    account.advance(61)
    later = account.job(arns[2])["statusDetails"]["trainingDetails"]

    assert waiting == ["InProgress", "InProgress", "NotStarted"]
    assert later["status"] == "InProgress"
    assert later["creationTime"] == account.job(arns[0])["endTime"]


def test_the_third_job_ends_after_the_others(account: Account) -> None:
    """However far the clock jumps, the third trained after the first was complete."""
    arns = [account.create(name) for name in ("a", "b", "c")]
    account.advance(24 * hours)

    first, _, third = (account.job(arn) for arn in arns)
    assert third["statusDetails"]["trainingDetails"]["creationTime"] == first["endTime"]
    assert third["endTime"] > first["endTime"]


def test_ten_jobs_may_be_scheduled(account: Account) -> None:
    """The eleventh is over the quota."""
    for number in range(10):
        account.create(f"job-{number}")

    with pytest.raises(account.bedrock.exceptions.ServiceQuotaExceededException, match="10"):
        account.create("job-10")


def test_regions_know_nothing_of_each_other(account: Account) -> None:
    """A job of us-east-1 is not found from us-west-2, and its base model cannot be trained there."""
    arn = account.create("a")
    west = account.client(region="us-west-2")

    assert west.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []
    with pytest.raises(west.exceptions.ResourceNotFoundException, match="not found"):
        west.get_model_customization_job(jobIdentifier=arn)
    with pytest.raises(
        west.exceptions.ValidationException, match=matching("emulator/model-identifier-is-invalid")
    ):
        west.create_model_customization_job(**account.job_request("b"))


def test_training_can_go_on_from_a_custom_model(account: Account) -> None:
    """The base is then the custom model; the job's ARN and base tell the foundation model."""
    model = account.trained("first")
    arn = account.create("second", baseModelIdentifier=model)
    account.advance(2 * hours)
    listed = account.bedrock.list_model_customization_jobs(nameContains="second")

    assert account.job(arn)["baseModelArn"].endswith(nova_lite)
    assert listed["modelCustomizationJobSummaries"][0]["baseModelArn"] == model
    assert account.bedrock.get_custom_model(modelIdentifier="second-model")["baseModelArn"] == model


def test_lists_filter_and_sort(account: Account) -> None:
    """By status, part of the name and time; the newest first unless asked otherwise."""
    for name in ("red-1", "red-2", "blue-1"):
        account.create(name)
        account.advance(60)
    account.bedrock.stop_model_customization_job(jobIdentifier="red-1")
    account.advance(60)
    middle = account.job("red-2")["creationTime"]

    def names(**asked: Any) -> list[str]:
        found = account.bedrock.list_model_customization_jobs(**asked)["modelCustomizationJobSummaries"]
        return [job["jobName"] for job in found]

    assert names() == ["blue-1", "red-2", "red-1"]
    assert names(sortOrder="Ascending", sortBy="CreationTime") == ["red-1", "red-2", "blue-1"]
    assert names(nameContains="red") == ["red-2", "red-1"]
    assert names(statusEquals="Stopped") == ["red-1"]
    assert names(creationTimeAfter=middle) == ["blue-1"]
    assert names(creationTimeBefore=middle) == ["red-1"]


def test_pages_join_to_the_whole_list(account: Account) -> None:
    """A paginator with two items a page sees every job once, also one that appears meanwhile."""
    for number in range(5):
        account.create(f"job-{number}")
        account.advance(1)
    pages = account.bedrock.get_paginator("list_model_customization_jobs").paginate(
        PaginationConfig={"PageSize": 2}
    )
    names = []
    for page in pages:
        names.append([job["jobName"] for job in page["modelCustomizationJobSummaries"]])
        if len(names) == 1:
            account.create("meanwhile")

    assert names == [["job-4", "job-3"], ["job-2", "job-1"], ["job-0"]]
    with pytest.raises(account.bedrock.exceptions.ValidationException, match="pagination token"):
        account.bedrock.list_model_customization_jobs(nextToken="made-up")


def test_many_threads_make_as_many_jobs_as_names(account: Account) -> None:
    """Eight clients at once with four names: four jobs, and four refusals."""
    refusals: list[Exception] = []

    def create(number: int) -> None:
        client = account.client(attempts=number + 10)
        try:
            client.create_model_customization_job(**account.job_request(f"job-{number % 4}"))
        except client.exceptions.ValidationException as error:
            refusals.append(error)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for number in range(8):
        account.client(attempts=number + 10)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(account.control("state")["jobs"]) == 4
    assert len(refusals) == 4
