"""Bedrock asked in batch jobs: a job for each chunk, partial results kept, only the rest asked again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from polytune.aws.access import Access
from polytune.aws.objects import Objects
from polytune.engine.budget import BudgetLimits
from polytune.errors import BudgetExceeded, Detached, Paused, StepFailed
from polytune.teachers._batch_driver import BatchStage, stage_of
from tests.bedrock.cloud import Cloud
from tests.messages import matching, message

from .bedrock_asking import Asking, batch, batch_jobs, calls, single
from .test_teacher_bedrock import problems

create = "CreateModelInvocationJob"


@pytest.fixture
def asking(cloud: Cloud, tmp_path: Path) -> Asking:
    """So many questions that they make a job."""
    return Asking(tmp_path, cloud.environment(), batch(), count=120)


def usd_on_demand(samples: list[dict[str, Any]]) -> float:
    """What the samples would have cost one by one, by the catalogue."""
    read, written = (sum(s["usage"][f"{which}_tokens"] for s in samples) for which in ("input", "output"))
    return float(read * 0.00006 + written * 0.00024) / 1000


def test_one_job_answers_all_at_half_the_price(cloud: Cloud, asking: Asking) -> None:
    """No question is asked alone; what the job goes through is told; a second run asks nothing."""
    outcome = asking.run()
    again = asking.run()

    samples = asking.samples()
    assert [job["status"] for job in batch_jobs(cloud)] == ["Completed"]
    assert calls(cloud, "Converse") == 0
    assert len({sample["answer"] for sample in samples}) == 120
    assert outcome.usage.usd == pytest.approx(usd_on_demand(samples) / 2)
    assert (outcome.usage.requests, outcome.usage.reused) == (120, 0)
    assert (again.usage.requests, again.usage.reused) == (0, 120)
    said = " | ".join(dict.fromkeys(asking.notes))
    for stage in ("submitted", "validating", "in progress, [0-9]+ of 120 records", "completed"):
        assert re.search(f"batch job {stage}", said), said


def test_it_answers_what_one_by_one_would(cloud: Cloud, tmp_path: Path) -> None:
    """The answers, their names and their bodies are those of single calls: changing over asks nothing."""
    together = Asking(tmp_path / "a", cloud.environment(), batch(), count=110)
    together.run()
    alone = Asking(tmp_path / "b", cloud.environment(), single(), count=110)
    alone.run()
    changed = Asking(tmp_path / "a", cloud.environment(), single(region="us-west-2"), count=110)

    ours, theirs = together.samples(), alone.samples()
    assert [(s["id"], s["answer"]) for s in ours] == [(s["id"], s["answer"]) for s in theirs]
    assert changed.run().usage.requests == 0


def test_large_plans_are_split_and_a_few_are_asked_one_by_one(cloud: Cloud, asking: Asking) -> None:
    """Full jobs, and what is left over when it is too little for another one."""
    asking.count, asking.teacher = 230, batch(records_per_job=100)

    asking.run()

    assert len(asking.samples()) == 230
    assert len(batch_jobs(cloud)) == 2
    assert calls(cloud, "Converse") == 30
    assert message("teachers/are-asked-one-by-one", number=30, number2=100) in asking.notes


def test_a_few_are_not_worth_a_job(cloud: Cloud, asking: Asking) -> None:
    """Fewer than a job takes are asked one by one, at the full price, and the estimate says so."""
    asking.count = 99
    estimate = asking.estimate()

    outcome = asking.run()

    assert batch_jobs(cloud) == []
    assert outcome.usage.usd == pytest.approx(usd_on_demand(asking.samples()))
    assert message("teachers/one-by-one-at-full-price") in estimate.note


def test_the_estimate_is_half(asking: Asking) -> None:
    """A batch costs half of what single calls cost, and the estimate tells in how many jobs."""
    asking.teacher = batch(records_per_job=100)
    half = asking.estimate()
    asking.teacher = single()
    whole = asking.estimate()

    assert half.usd_high == pytest.approx((whole.usd_high or 0) / 2, rel=0.02)
    assert half.note == message("teachers/nova-lite-on-bedrock", number=2)


def test_only_failed_records_are_submitted_again(cloud: Cloud, asking: Asking) -> None:
    """Records that came back with an error are sent once more, the others are kept."""
    asking.count = 250
    cloud.faults({"kind": "internal_error", "operation": "BatchRecord", "every": [1, 2], "times": 125})

    outcome = asking.run()

    assert len(asking.samples()) == 250
    assert [records(cloud, job["arn"]) for job in batch_jobs(cloud)] == [250, 125]
    assert outcome.usage.requests == 250


def test_a_few_failed_records_are_asked_one_by_one(cloud: Cloud, asking: Asking) -> None:
    """Too few for a second job."""
    cloud.faults({"kind": "internal_error", "operation": "BatchRecord", "times": 7})

    asking.run()

    assert len(asking.samples()) == 120
    assert (len(batch_jobs(cloud)), calls(cloud, "Converse")) == (1, 7)


def test_a_record_that_does_not_fit_is_not_sent_again(cloud: Cloud, asking: Asking) -> None:
    """A record that was refused as wrong is a missing sample, as when it is asked alone."""
    cloud.faults({"kind": "failed_validation", "operation": "BatchRecord", "times": 2})
    with pytest.raises(StepFailed, match=matching("teachers/of-samples-are-missing", samples=120, number=2)):
        asking.run()
    asking.more = {"shortfall": 0.05}
    cloud.faults({"kind": "failed_validation", "operation": "BatchRecord", "times": 2})

    outcome = asking.run()

    assert outcome.metrics["samples"] == 120
    assert len(batch_jobs(cloud)) == 1


def test_records_that_fail_for_ever_end_the_step(cloud: Cloud, asking: Asking) -> None:
    """Each record is submitted three times at most; then the step fails and says why."""
    cloud.faults({"kind": "internal_error", "operation": "BatchRecord"})

    with pytest.raises(StepFailed, match=matching("teachers/internal-error-when-processing-request")):
        asking.run()

    assert len(batch_jobs(cloud)) == 3


def test_a_job_that_ends_half_way_is_harvested(cloud: Cloud, asking: Asking) -> None:
    """What a partially completed job has answered is kept; the rest makes a job of its own."""
    asking.count = 240
    cloud.faults({"kind": "failed_training", "operation": create, "times": 1})

    outcome = asking.run()

    assert [job["status"] for job in batch_jobs(cloud)] == ["PartiallyCompleted", "Completed"]
    assert [records(cloud, job["arn"]) for job in batch_jobs(cloud)] == [240, 120]
    assert outcome.usage.requests == 240


def test_a_job_that_fails_validation_fails_the_step_and_is_made_anew(cloud: Cloud, asking: Asking) -> None:
    """The service's message ends the step; run again, it is another attempt under another name."""
    few = "Batch job contains less records (120) than the required minimum of: 1000"
    cloud.faults({"kind": "failed_validation", "operation": create, "times": 1, "message": few})
    with pytest.raises(StepFailed, match=matching("teachers/minimum-of", number=1000)):
        asking.run()

    asking.run()

    names = [job["name"] for job in batch_jobs(cloud)]
    assert [re.sub(r".*-", "", name) for name in names] == ["1", "2"]
    assert len(asking.samples()) == 120


def test_a_stopped_job_keeps_its_answers(cloud: Cloud, asking: Asking) -> None:
    """Somebody stops the job: the step fails, and the next run asks for the rest only."""
    asking.count, asking.detach = 240, True
    with pytest.raises(Detached):
        asking.run()
    (job,) = batch_jobs(cloud)
    cloud.control("advance", {"seconds": 160})
    service(cloud).call("StopModelInvocationJob", {"jobIdentifier": job["arn"]})
    asking.detach = False

    asking.run()

    first, second = batch_jobs(cloud)
    assert first["status"] == "Stopped"
    assert records(cloud, second["arn"]) == 120
    assert len(asking.samples()) == 240


def test_a_job_left_on_its_way_is_collected(cloud: Cloud, asking: Asking) -> None:
    """Detached, it goes on; the next run collects it, also when the plan has grown meanwhile."""
    asking.detach = True
    with pytest.raises(Detached, match=matching("teachers/is-on-its-way")):
        asking.run()
    (row,) = asking.open_jobs()
    cloud.control("advance", {"seconds": 3600})
    grown = Asking(asking.folder, asking.environment, asking.teacher, count=150)

    outcome = grown.run()

    assert row.handle == batch_jobs(cloud)[0]["arn"]
    assert len(batch_jobs(cloud)) == 1
    assert (outcome.usage.requests, calls(cloud, "Converse")) == (150, 30)
    assert grown.open_jobs() == []


def test_output_that_somebody_deleted_is_bought_again_only_when_told(cloud: Cloud, asking: Asking) -> None:
    """A job that answered and left nothing fails the step; run again, the questions are asked anew."""
    asking.detach = True
    with pytest.raises(Detached):
        asking.run()
    cloud.control("advance", {"seconds": 3600})
    for entry in list(Objects(access(cloud)).keys(f"s3://{cloud.rehearsal.bucket}/polytune/asking/batches/")):
        bucket, _, key = entry.uri.removeprefix("s3://").partition("/")
        access(cloud).service("s3").call("DeleteObject", {"Bucket": bucket, "Key": key})
    asking.detach = False
    with pytest.raises(StepFailed, match=matching("teachers/records-were-answered", records=120)):
        asking.run()
    submitted = len(batch_jobs(cloud))

    asking.run()

    assert submitted == 1
    assert len(batch_jobs(cloud)) == 2
    assert len(asking.samples()) == 120


def test_jobs_of_other_questions_are_left_alone(cloud: Cloud, asking: Asking) -> None:
    """A step does not wait for a job that holds none of its questions."""
    asking.detach = True
    with pytest.raises(Detached):
        asking.run()
    other = Asking(asking.folder, asking.environment, asking.teacher, count=100, first=5000)

    other.run()

    assert [job["status"] for job in batch_jobs(cloud)][1] == "Completed"
    assert len(asking.open_jobs()) == 1


def test_redraws_are_batched(cloud: Cloud, asking: Asking) -> None:
    """Answers that came cut off are drawn again, together; each draw is a record of its own."""
    asking.teacher, asking.more = batch(max_tokens=5), {"max_redraws": 1}

    with pytest.raises(StepFailed, match=matching("teachers/cut-off-at-tokens", tokens=5)):
        asking.run()

    assert [records(cloud, job["arn"]) for job in batch_jobs(cloud)] == [120, 120]
    assert calls(cloud, "Converse") == 0


def test_repairs_are_batched(cloud: Cloud, asking: Asking) -> None:
    """What graders reject goes back with the error, together; of the last few each is asked alone."""
    (asking.folder / "judge.py").write_text(judge)
    grader = {"kind": "command", "command": ["python", "judge.py"]}
    asking.count = 400
    asking.more = {"graders": [grader], "on_reject": "repair", "max_repairs": 20}

    outcome = asking.run()

    first, second = [records(cloud, job["arn"]) for job in batch_jobs(cloud)]
    rejects = asking.rejects()
    assert outcome.metrics["samples"] == 400
    assert not any(sample["answer"].startswith("On the subject") for sample in asking.samples())
    assert (first, second) == (400, sum(reject["attempt"] == 0 for reject in rejects))
    assert calls(cloud, "Converse") == len(rejects) - second
    assert outcome.usage.requests == 400 + len(rejects)


judge = """
import json, sys
for line in sys.stdin:
    case = json.loads(line)
    passed = not case["answer"].startswith("On the subject")
    print(json.dumps({"id": case["id"], "passed": passed, "reason": "Begin otherwise."}), flush=True)
"""


def test_an_expired_token_pauses_and_the_job_goes_on(cloud: Cloud, asking: Asking) -> None:
    """Credentials that expire while it is awaited pause the run; the same job is collected later."""
    cloud.faults({"kind": "expired_token", "operation": "GetModelInvocationJob", "times": 1, "after": 3})
    with pytest.raises(Paused, match=matching("teachers/is-still-running-needs-credentials")):
        asking.run()

    asking.run()

    assert len(batch_jobs(cloud)) == 1
    assert len(asking.samples()) == 120


@pytest.mark.parametrize("kind", ["drop_answer", "throttle", "cut_body"])
def test_faults_around_the_submission_buy_nothing_twice(cloud: Cloud, asking: Asking, kind: str) -> None:
    """The call is repeated with the same token: one job."""
    cloud.faults({"kind": kind, "operation": create, "times": 2})

    asking.run()

    assert len(batch_jobs(cloud)) == 1


def test_troubled_looks_mean_nothing(cloud: Cloud, asking: Asking) -> None:
    """Throttled and broken looks are followed by others."""
    cloud.faults(
        {"kind": "throttle", "operation": "GetModelInvocationJob", "times": 2, "after": 1},
        {"kind": "error", "operation": "GetModelInvocationJob", "times": 2, "after": 2},
    )

    asking.run()

    assert len(asking.samples()) == 120
    assert any(message("teachers/could-not-look") in note for note in asking.notes)


def test_the_budget_splits_a_plan(cloud: Cloud, asking: Asking) -> None:
    """A job holds as many questions as the budget pays for at worst; the next follows from what is left."""
    asking.count = 230
    most = (100 * 0.06e-6 + 2048 * 0.24e-6) / 2
    asking.budget = BudgetLimits(usd=120 * most)

    asking.run()

    assert len(asking.samples()) == 230
    sizes = [records(cloud, job["arn"]) for job in batch_jobs(cloud)]
    assert len(sizes) == 2
    assert sizes[0] < 130


def test_no_budget_no_job(cloud: Cloud, asking: Asking) -> None:
    """A budget that pays for nothing stops before anything is submitted."""
    asking.budget = BudgetLimits(usd=0.0)

    with pytest.raises(BudgetExceeded):
        asking.run()

    assert batch_jobs(cloud) == []


def test_a_bucket_elsewhere_is_found_before_anything_is_uploaded(cloud: Cloud, asking: Asking) -> None:
    """Jobs read only buckets of their own region."""
    cloud.rehearsal.make_bucket("in-ohio", "us-east-2")
    asking.teacher = batch(bucket="in-ohio")

    with pytest.raises(StepFailed, match=matching("teachers/bucket-in-ohio", name="us-east-2")):
        asking.run()

    assert list(Objects(access(cloud)).keys("s3://in-ohio/")) == []


@pytest.mark.parametrize(
    ("status", "counts", "word"),
    [
        ("Scheduled", (0, 0), "scheduled"),
        ("InProgress", (60, 120), "in progress"),
        ("InProgress", (120, 120), "finalising"),
        ("PartiallyCompleted", (60, 120), message("teachers/completed-in-part")),
    ],
)
def test_stages_have_plain_words(status: str, counts: tuple[int, int], word: str) -> None:
    """A job whose records are all processed and that is not done yet writes its output."""
    told = {"status": status, "processedRecordCount": counts[0], "totalRecordCount": counts[1]}

    assert stage_of(told) == BatchStage(word, *counts)


def test_names_and_tags_say_whose_job_it_is(cloud: Cloud, asking: Asking) -> None:
    """The name ends as polytune's names do, and tags name project, experiment and step."""
    asking.run()

    (job,) = batch_jobs(cloud)
    tags = service(cloud).call("ListTagsForResource", {"resourceARN": job["arn"]})["tags"]
    assert re.fullmatch(r"asking-generate-[0-9a-f]{10}-1", job["name"])
    assert {"key": "polytune:step", "value": "generate"} in tags
    assert {tag["key"] for tag in tags} == {f"polytune:{n}" for n in ("project", "experiment", "step", "key")}


def test_nothing_is_left_beside_the_samples(cloud: Cloud, asking: Asking) -> None:
    """Files of records are gone when the batch is."""
    asking.run()

    assert {path.name for path in asking.folder.iterdir()} == {"prompts.yaml", "runs", "samples.jsonl"}


def test_a_spec_says_what_batches_do_not_take() -> None:
    """Guardrails, deployments, and jobs smaller than a job may be."""
    deployment = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
    kind = {"kind": "bedrock_batch"}
    assert problems(**kind) == []
    assert problems(**kind, guardrail={"id": "abc"}) == [
        message("teachers/nothing-says-that-batch-jobs-apply")
    ]
    assert problems(**kind, model=deployment) == [message("teachers/batch-jobs-take-no-deployments")]
    assert problems(**kind, records_per_job=50) == ["records_per_job: is below fewest_records (100)"]


def test_a_bucket_and_a_role_are_needed(cloud: Cloud, tmp_path: Path) -> None:
    """Without them nothing starts, and the remedy is named."""
    bare = Asking(tmp_path, {}, batch())

    assert str(bare.step().missing()).startswith(
        "needs teacher.bucket (or BEDROCK_TRAINING_BUCKET) and teacher.role_arn (or BEDROCK_ROLE_ARN)"
    )
    assert Asking(tmp_path, cloud.environment(), batch()).step().missing() is None


def access(cloud: Cloud) -> Access:
    """The account's."""
    return Access("us-east-1", environment=cloud.environment())


def service(cloud: Cloud) -> Any:
    """Bedrock's control plane."""
    return access(cloud).service("bedrock")


def records(cloud: Cloud, arn: str) -> int:
    """How many questions a job was submitted with."""
    found = service(cloud).call("GetModelInvocationJob", {"jobIdentifier": arn})
    source = found["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
    lines = Objects(access(cloud)).read(source).splitlines()
    assert all(json.loads(line)["modelInput"]["messages"] for line in lines)
    return len(lines)
