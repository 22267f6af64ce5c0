"""An option of a step that asks a platform for a job is in the request that is sent, or it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact, Facts, KeyRecord
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.jobbook import JobRow
from polytune.engine.jobs import Driver, Jobs, Look
from polytune.engine.ledger import Ledger
from polytune.engine.step import STEPS, Scope, Work
from polytune.fingerprint import canonical
from polytune.platforms.interface import PLATFORMS
from polytune.settings import Settings
from polytune.spec.fields import fields_of
from polytune.spec.model import Member
from tests.examples import Example, examples_of
from tests.spec.test_spec_options import folder, model_folder, spec_of, tried

further = (
    True,
    False,
    "30m",
    "7d",
    "provisioned",
    "on_demand",
    "one_month",
    "six_months",
    "name",
    {"a": "b"},
)
"""Of these and of `tried`, each option is given every value that its field takes."""
structure = {"base_model", "teacher_model", "reward", "logs"}
"""Fields that say what is trained and on what, and not how."""
not_sent = {
    ("train", "bedrock", "seed"): "Bedrock takes none; the seed of an experiment is for all its steps"
}
environment = {
    "AWS_ACCESS_KEY_ID": "some",
    "AWS_SECRET_ACCESS_KEY": "some",
    "BEDROCK_TRAINING_BUCKET": "some-bucket",
    "BEDROCK_ROLE_ARN": "arn:aws:iam::123456789012:role/some",
}
examples = {named.member: named.example.spec for named in examples_of(STEPS, Example)}
layouts = {"reinforce": "bedrock-rft"}
uris = {"train": "s3://some-bucket/train.jsonl", "validation": "s3://some-bucket/validation.jsonl"}


def dataset(kind: str) -> dict[str, Artifact]:
    """What a training step is connected to."""
    layout = layouts.get(kind, "bedrock-conversation-2024")
    facts: Facts = {"layout": layout, "system": "", "uris": uris, "rows": {"train": 500}}
    return {"dataset": Artifact(type="RemoteDataset", files={}, facts=facts)}


class Sent(Exception):
    """A request was about to be sent."""

    def __init__(self, request: Facts) -> None:
        super().__init__()
        self.request = request


class Nowhere(Jobs):
    """Sends nothing."""

    def __init__(self) -> None:
        """Needs no ledger."""

    async def finish(self, driver: Driver, request: Facts, seen: Callable[[Look], None]) -> JobRow:
        """Raises Sent."""
        raise Sent(request)


def request_of(
    kind: str, fields: Mapping[str, Any], inputs: Mapping[str, Artifact], place: Path, ledger: Ledger
) -> bytes | None:
    """What a step asks of its platform; None when the file or the plan refuses it."""
    spec, problems = spec_of(kind, dict(fields), place)
    if problems:
        return None
    files = {"base_model": model_folder(place)} if fields.get("base_model") == folder else {}
    settings = Settings(environment=environment, rehearsal=True)
    scope = Scope(place, place, "test", "default", settings, connected=frozenset(inputs))
    step = STEPS.load(kind)(spec, files, scope)
    if step.missing():
        return None
    work = Work(
        inputs=inputs,
        folder=place,
        answers=AnswerMemory(ledger, "test"),
        jobs=Nowhere(),
        report=lambda progress: None,
        budget=Budget(BudgetLimits()),
        root=place,
        record=KeyRecord(
            kind=kind, version=1, spec={}, inputs={}, files=dict.fromkeys(files, "1" * 64), facts={}
        ),
    )
    try:
        asyncio.run(step.run(work))
    except Sent as sent:
        return canonical(cast("Any", sent.request))
    raise AssertionError("it asked for no job")


def options(kind: str, inner: str = "") -> list[tuple[str, ...]]:
    """The paths of a step's fields that say how it works, with those inside of one field."""
    cls = STEPS.load(kind).Spec
    shapes = fields_of(cls)
    if inner:
        found = shapes[inner].spec
        assert found is not None
        return [(inner, key) for key, shape in fields_of(found).items() if key != "uri"]
    return [(key,) for key, shape in shapes.items() if key not in structure and not shape.marker(Member)]


def changed(fields: Mapping[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """The fields with one of them set."""
    first, *rest = path
    return {**fields, first: changed(fields[first], tuple(rest), value) if rest else value}


def check(
    kind: str, fields: dict[str, Any], inputs: Mapping[str, Artifact], place: Path, ledger: Ledger
) -> int:
    """Each accepted value of each option gives a request of its own; returns how many were accepted."""
    model_folder(place)
    if request_of(kind, fields, inputs, place, ledger) is None:
        return 0  # The platform does not do this, or not with this base model.
    accepted = 0
    for path in [*options(kind), *(options(kind, "logs") if "logs" in fields else ())]:
        if (kind, fields["platform"]["kind"], ".".join(path)) in not_sent:
            continue
        sent = {
            str(value): request_of(kind, changed(fields, path, value), inputs, place, ledger)
            for value in (*tried, *further)
        }
        # `auto` comes to a value that may be stated too.
        found = [each for value, each in sent.items() if each is not None and value != "auto"]
        assert len(set(found)) == len(found), (path, sent)
        accepted += len(found)
    return accepted


@pytest.mark.parametrize("platform", PLATFORMS.names())
@pytest.mark.parametrize("base_model", [*BASE_MODELS.names(), folder])
@pytest.mark.parametrize("kind", ["train", "reinforce"])
def test_an_option_of_a_training_is_sent_or_refused(
    kind: str, base_model: str, platform: str, tmp_path: Path, ledger: Ledger
) -> None:
    """For every platform, base model, option and value."""
    fields = {**examples[kind], "base_model": base_model, "platform": {"kind": platform}}
    check(kind, fields, dataset(kind), tmp_path, ledger)


@pytest.mark.parametrize("logs", [False, True])
def test_an_option_of_a_distillation_is_sent_or_refused(logs: bool, tmp_path: Path, ledger: Ledger) -> None:
    """With a dataset and with invocation logs."""
    fields = {**examples["distill"], **({"logs": {"uri": "s3://my-logs/all"}} if logs else {})}
    assert check("distill", fields, {} if logs else dataset("distill"), tmp_path, ledger) > 1


@pytest.mark.parametrize("platform", PLATFORMS.names())
@pytest.mark.parametrize("kind", ["on_demand", "provisioned"])
def test_an_option_of_a_deployment_is_sent_or_refused(
    kind: str, platform: str, tmp_path: Path, ledger: Ledger
) -> None:
    """For both kinds of deployment."""
    facts: Facts = {"model_arn": "some-arn", "base_model": "llama-3.3-70b"}
    model = {"model": Artifact(type="CustomModel", files={}, facts=facts)}
    fields = {"kind": kind, "platform": {"kind": platform}}
    accepted = check("deploy", fields, model, tmp_path, ledger)

    assert bool(accepted) == (platform == "bedrock")


@pytest.mark.parametrize(
    ("kind", "fields", "connected", "field"),
    [
        ("train", {"base_model": "tiny-llama", "platform": {"kind": "local"}}, "model", "platform.kind"),
        ("import_model", {"system": "Be brief."}, "model", "system"),
        ("import_model", {"base_model": "llama-3.1-8b"}, "model", "base_model"),
        ("import_model", {"platform": {"kind": "bedrock", "subnet_ids": ["subnet-1"]}}, "model", "platform"),
        ("distill", {"logs": {"uri": "s3://my-logs/all"}}, "dataset", "logs"),
    ],
    ids=str,
)
def test_what_its_inputs_make_useless_is_refused(
    kind: str, fields: dict[str, Any], connected: str, field: str, tmp_path: Path
) -> None:
    """In the plan, because only the wiring shows it."""
    spec, problems = spec_of(kind, {**examples[kind], **fields}, tmp_path)
    scope = Scope(
        tmp_path,
        tmp_path,
        "test",
        "default",
        Settings(environment=environment, rehearsal=True),
        connected=frozenset({connected}),
    )
    obstacle = STEPS.load(kind)(spec, {}, scope).missing()

    assert problems == []
    assert obstacle is not None
    assert obstacle.field == field


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("reinforce", {"base_model": folder}, "base_model"),
        ("distill", {"base_model": folder}, "base_model"),
        ("distill", {"teacher_model": folder}, "teacher_model"),
        (
            "reinforce",
            {"reward": {**examples["reinforce"]["reward"], "timeout_seconds": 9}},
            "timeout_seconds",
        ),
        ("reinforce", {"reward": {**examples["reinforce"]["reward"], "files": ["a.json"]}}, "files"),
        ("deploy", {"kind": "on_demand", "units": 2}, "units"),
        ("deploy", {"kind": "provisioned", "name": "live"}, "name"),
    ],
    ids=str,
)
def test_what_other_fields_make_useless_is_refused(
    kind: str, fields: dict[str, Any], field: str, tmp_path: Path
) -> None:
    """When the file is read."""
    problems = spec_of(kind, {**examples[kind], **fields}, tmp_path)[1]

    assert {each.where.rpartition(".")[2] for each in problems} == {field}
