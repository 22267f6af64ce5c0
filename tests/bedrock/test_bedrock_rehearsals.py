"""Every kind of experiment for Bedrock, rehearsed whole: from prompts to an exported configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.messages import message
from tests.pipeline.program import Program, workspace

rehearsed = (
    "strudel-nova-lite-v1",
    "strudel-nova-pro-distilled",
    "strudel-nova-2-lite-reinforced",
    "strudel-tiny-llama-imported",
    "strudel-nova-lite-refined",
    "strudel-claude-3-haiku",
)


def rehearsal(polytune: Program, name: str) -> dict[str, Any]:
    """The manifest of a rehearsal that must succeed."""
    said = polytune("run", "--rehearse", f"experiments/{name}.yaml", "--json")
    assert said.code == 0, said.err
    manifest: dict[str, Any] = json.loads(said.out)
    return manifest


@pytest.mark.parametrize("name", rehearsed)
def test_a_shipped_experiment_runs_to_its_export(tmp_path: Path, name: str) -> None:
    """Without an account: every step is done, the export lies in place, and everything says REHEARSAL."""
    polytune = workspace(tmp_path)

    manifest = rehearsal(polytune, name)

    assert manifest["rehearsal"] is True
    assert {step["status"] for step in manifest["steps"].values()} == {"done"}
    exported = tmp_path / "runs" / ".rehearsal" / "exports" / f"{name}.ts"
    assert exported.read_text().startswith("// ")
    assert not (tmp_path / "exports").exists(), "a real export would have been replaced"
    assert polytune("ls").out == ""
    assert f"done        {name}   rehearsal" in polytune("ls", "--rehearsal").out
    assert "REHEARSAL" in polytune("show", name, "--rehearsal").out


def test_a_rehearsal_never_serves_a_real_run(tmp_path: Path) -> None:
    """After a rehearsal, a real plan is what it was before; a second rehearsal takes from it."""
    polytune = workspace(tmp_path)
    file = "experiments/strudel-nova-lite-v1.yaml"
    before = polytune("plan", file, "--json").json()

    rehearsal(polytune, "strudel-nova-lite-v1")

    assert polytune("plan", file, "--json").json() == before
    assert polytune("plan", file, "--rehearsal").out.startswith("REHEARSAL")
    again = rehearsal(polytune, "strudel-nova-lite-v1")
    statuses = {name: step["status"] for name, step in again["steps"].items()}
    assert statuses["generate"] == statuses["format"] == statuses["validate"] == "cached"
    assert statuses["train"] == statuses["deploy"] == "done"


def test_what_the_refined_model_was_made_from(tmp_path: Path) -> None:
    """Iterative training goes on from the first custom model, with hyperparameters in words and by rule."""
    manifest = rehearsal(workspace(tmp_path), "strudel-nova-lite-refined")

    train, refine = (manifest["steps"][name] for name in ("train", "refine"))
    assert train["metrics"]["hyperparameters_in_force"] == {
        "epochCount": "2",
        "learningRate": "5.0E-5",
        "learningRateWarmupSteps": "2",
        "batchSize": "1",
    }
    assert refine["metrics"]["hyperparameters_in_force"]["epochCount"] == "1"
    assert refine["resources"]["model"] != train["resources"]["model"]
    assert 0 < refine["metrics"]["training_loss"] < 10


def test_a_rehearsal_asks_no_paid_teacher(tmp_path: Path) -> None:
    """A teacher that has no stand-in is refused by name before anything is asked."""
    teacher = "steps.generate.teacher={kind: anthropic, model: claude-sonnet-4-5}"
    said = workspace(tmp_path)("run", "--rehearse", "experiments/strudel-nova-lite-v1.yaml", "--set", teacher)

    assert said.code == 3
    assert message("bedrock/rehearsal-calls-no-paid-service") in said.err
