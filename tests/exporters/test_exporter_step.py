"""The export step joins the model's facts, its place and the catalogue into one file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import yaml

from polytune.engine.answers import AnswerMemory
from polytune.engine.artifacts import Artifact, Facts, FileEntry
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.clock import RealClock
from polytune.engine.jobbook import JobBook
from polytune.engine.jobs import Jobs, Polling
from polytune.engine.ledger import Ledger
from polytune.engine.step import Outcome, Scope, Work
from polytune.engine.workspace import Workspace
from polytune.files import digest_of
from polytune.platforms.local.platform import LocalSpec
from polytune.settings import Settings
from polytune.steps.export import Export, ExportSpec

deployed: Facts = {
    "base_model": "nova-lite",
    "layout": "bedrock-conversation-2024",
    "system": "Reply with code.",
    "region": "us-east-1",
    "deployment": "on_demand",
}


def exported(workspace: Workspace, ledger: Ledger, facts: Facts, **stated: Any) -> tuple[Outcome, Path]:
    """What the step makes of a model with these facts, and the folder it wrote into."""
    weights = workspace.root / "weights"
    weights.write_bytes(b"some weights")
    entry = FileEntry(path="weights", digest=digest_of(weights), bytes=12)
    model = Artifact(type="CustomModel", files={"model/model.safetensors": entry}, facts=facts)
    polling = Polling(RealClock())
    jobs = Jobs(JobBook(ledger), "key", "x/1 export", polling=polling, forced=False, detached=lambda _: None)
    work = Work(
        inputs={"model": model},
        folder=workspace.root / "work",
        answers=AnswerMemory(ledger, "strudel-v1"),
        jobs=jobs,
        report=lambda _: None,
        budget=Budget(BudgetLimits()),
        root=workspace.root,
    )
    work.folder.mkdir()
    scope = Scope(
        root=workspace.root,
        folder=workspace.root,
        experiment="strudel-v1",
        project="strudel",
        settings=Settings(),
    )
    spec = ExportSpec(platform=LocalSpec(kind="local"), **stated)
    return asyncio.run(Export(spec, {}, scope).run(work)), work.folder


def test_what_is_known_of_the_model_is_in_the_file(workspace: Workspace, ledger: Ledger) -> None:
    """The file holds the model's own facts, the address the platform gives and its base's entry."""
    outcome, folder = exported(workspace, ledger, {**deployed, "parameters": 7})

    found = json.loads((folder / "strudel-v1.json").read_bytes())
    assert (found["name"], found["experiment"], found["project"]) == ("strudel-v1", "strudel-v1", "strudel")
    assert (found["region"], found["deployment_kind"], found["parameters"]) == ("us-east-1", "on_demand", 7)
    assert (found["base_title"], found["context_tokens"]) == ("Amazon Nova Lite", 300_000)
    assert found["uri"] == outcome.resources["model"]
    assert (workspace.root / found["uri"].removeprefix("file:") / "model.safetensors").is_file()
    assert outcome.placed == {"strudel-v1.json": "exports/strudel-v1.json"}


def test_a_base_may_be_named_by_its_id(workspace: Workspace, ledger: Ledger) -> None:
    """The entry is found from an id of the base model as from its name."""
    _, folder = exported(workspace, ledger, {**deployed, "base_model": "us.amazon.nova-lite-v1:0"})

    assert json.loads((folder / "strudel-v1.json").read_bytes())["base_title"] == "Amazon Nova Lite"


def test_a_base_outside_the_catalogue_is_exported(workspace: Workspace, ledger: Ledger) -> None:
    """Of a model made from a folder, what no catalogue says is null."""
    _, folder = exported(workspace, ledger, {**deployed, "base_model": "./models/mine"})

    found = json.loads((folder / "strudel-v1.json").read_bytes())
    assert (found["base_model"], found["base_inference_id"]) == ("./models/mine", None)
    assert (found["context_tokens"], found["inputs"]) == (None, [])


def test_a_model_that_says_little_is_exported(workspace: Workspace, ledger: Ledger) -> None:
    """A model that was trained elsewhere may not say how; the file then holds what to invoke."""
    _, folder = exported(workspace, ledger, {})

    found = json.loads((folder / "strudel-v1.json").read_bytes())
    assert (found["base_model"], found["layout"], found["system"]) == ("", "", "")
    assert found["uri"].startswith("file:runs/.models/")


def test_the_options_reach_the_exporter(workspace: Workspace, ledger: Ledger) -> None:
    """The shape and the place that the spec names are the ones that are written."""
    outcome, folder = exported(
        workspace,
        ledger,
        deployed,
        to="polychat_ts",
        options={"shape": "model_definition"},
        path="api/strudel.ts",
    )

    assert outcome.placed == {"strudel-v1.ts": "api/strudel.ts"}
    assert "strudel_v1Model: ModelDefinition" in (folder / "strudel-v1.ts").read_text(encoding="utf-8")


def test_every_exporter_names_its_own_file(workspace: Workspace, ledger: Ledger) -> None:
    """The file's ending is the exporter's."""
    outcome, folder = exported(workspace, ledger, deployed, to="litellm")

    assert outcome.files == ("strudel-v1.yaml",)
    assert yaml.safe_load((folder / "strudel-v1.yaml").read_bytes())["model_list"][0]["model_name"]
