"""Every experiment that ships resolves and plans, and the family shares what it has paid for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.messages import message
from tests.pipeline.program import repository, workspace

shipped = sorted(path.name for path in (repository / "experiments").glob("*.yaml"))
cloud = [name for name in shipped if "nova" in name or name == "strudel-base.yaml"]
family = [f"experiments/strudel-nova-lite-v{number}.yaml" for number in (1, 2, 3)]
offline = ("--set", "steps.generate.teacher={kind: composer}", "--until", "validate")


@pytest.mark.parametrize("name", shipped)
def test_experiment_plans(tmp_path: Path, name: str) -> None:
    """A shipped experiment resolves, and its plan has work to do on a fresh machine."""
    said = workspace(tmp_path)("plan", f"experiments/{name}", "--json")

    (plan,) = said.json()
    states = {step["state"] for step in plan["steps"]}
    assert states <= {"run", "blocked"}
    assert said.code == (3 if "blocked" in states else 0), said.err


@pytest.mark.parametrize("name", cloud)
def test_cloud_experiment_says_so(tmp_path: Path, name: str) -> None:
    """An experiment for the cloud says in its file and in its plan that it needs it, and does not run."""
    polytune = workspace(tmp_path)

    assert "needs the cloud" in (repository / "experiments" / name).read_text().lower()
    assert "needs" in polytune("plan", f"experiments/{name}").out
    refused = polytune("run", f"experiments/{name}", "--yes")
    assert refused.code == 3
    assert message("pipeline/nothing-was-run") in refused.err
    assert not list(tmp_path.glob("runs/*/*/manifest.json"))


def test_schema_is_named_for_editors() -> None:
    """The first line of every shipped experiment names the schema for the YAML language server."""
    for name in shipped:
        first = (repository / "experiments" / name).read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=experiment.schema.json"


def test_larger_versions_ask_only_for_what_is_new(tmp_path: Path) -> None:
    """v1, v2 and v3 ask for 300, 300 and 400 answers, and each dataset holds the one before it."""
    polytune = workspace(tmp_path)

    usages = [polytune.run(file, *offline)["steps"]["generate"]["usage"] for file in family]

    assert [(u["requests"], u["reused"]) for u in usages] == [(300, 0), (300, 300), (400, 600)]
    samples = [path.read_bytes() for path in sorted(tmp_path.glob("runs/*/*/generate/samples.jsonl"))]
    assert sorted(map(len, samples)) == list(map(len, samples))
    assert samples[1].startswith(samples[0])
    assert samples[2].startswith(samples[1])


def test_plan_of_a_larger_version_counts_what_is_reused(tmp_path: Path) -> None:
    """After v1, the plan for v2 says that 300 answers are reused, 300 are to ask, and where count changed."""
    polytune = workspace(tmp_path)
    polytune.run(family[0], *offline)

    said = polytune("plan", family[1], *offline, "--json")

    step = said.json()[0]["steps"][0]
    assert step["state"] == "run"
    assert step["because"] == ["count 300 -> 600 (experiments/strudel-nova-lite-v2.yaml:7)"]
    assert (step["estimate"]["requests"], step["estimate"]["reused"]) == (300, 300)
