"""The quickstart's graph for real, made small: a model is trained, compared and exported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.messages import message
from tests.pipeline.program import Program, workspace

pytestmark = pytest.mark.xdist_group("quickstart")
file = "experiments/quickstart.yaml"
small = (
    *("--set", "steps.generate.count=90"),
    *("--set", "steps.train.epochs=1"),
    *("--set", "steps.evaluate.limit=3"),
    *("--set", "steps.evaluate.max_tokens=24"),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, dict[str, Any]]:
    """A workspace in which the small quickstart has run, and its manifest."""
    polytune = workspace(tmp_path_factory.mktemp("quickstart"))
    return polytune, polytune.run(file, *small)


def test_every_step_is_done(done: tuple[Program, dict[str, Any]]) -> None:
    """All seven steps finish, and the manifest holds key records, outputs and their digests."""
    _, manifest = done

    assert manifest["status"] == "done"
    assert manifest["order"] == ["generate", "format", "validate", "upload", "train", "evaluate", "export"]
    for report in manifest["steps"].values():
        assert report["status"] == "done"
        assert len(report["key"]) == len(report["output_digest"]) == 64


def test_training_leaves_bedrocks_files(done: tuple[Program, dict[str, Any]]) -> None:
    """The step's folder holds safetensors and the metric files in Bedrock's columns and layout."""
    polytune, manifest = done
    folder = polytune.root / "runs/quickstart" / manifest["run_id"] / "train"

    assert (folder / "model/model.safetensors").is_file()
    training = (folder / "training_artifacts/step_wise_training_metrics.csv").read_text().splitlines()
    assert training[0] == "step_number,epoch_number,training_loss,perplexity"
    validation = folder / "validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv"
    assert validation.read_text().startswith("step_number,epoch_number,validation_loss,perplexity")


def test_evaluation_names_its_judge_and_rivals(done: tuple[Program, dict[str, Any]]) -> None:
    """Base, custom model and the nearest training answer are scored on the same rows by a named judge."""
    _, manifest = done
    metrics = manifest["steps"]["evaluate"]["metrics"]

    result = metrics["graders"]["strudel"]
    assert set(result["scores"]) == {"base", "custom", "nearest"}
    assert {score["n"] for score in result["scores"].values()} == {3}
    assert result["judged_by"].startswith(("strudel engine", "python checker"))
    assert metrics["base_is_untrained"] is True


def test_export_is_in_its_place(done: tuple[Program, dict[str, Any]]) -> None:
    """The exported configuration lies under exports/ and leads to the trained model's folder."""
    polytune, _ = done
    config = json.loads((polytune.root / "exports/quickstart.json").read_text())

    folder = polytune.root / config["uri"].removeprefix("file:")
    assert (folder / "model.safetensors").is_file()
    assert config["base_model"] == "tiny-llama"


def test_second_run_does_nothing(done: tuple[Program, dict[str, Any]]) -> None:
    """The same command again runs nothing, makes no new run, and a plan exits with 0."""
    polytune, manifest = done

    again = polytune("run", file, *small)

    assert again.code == 0
    assert message("pipeline/everything-is-up-to-date") in again.err
    assert [path.name for path in (polytune.root / "runs/quickstart").iterdir()] == [manifest["run_id"]]
    assert polytune("plan", file, *small).code == 0


def test_changed_line_reruns_what_follows(done: tuple[Program, dict[str, Any]]) -> None:
    """Another learning rate reruns training, and says why; what comes before is a hit."""
    polytune, _ = done

    said = polytune("plan", file, *small, "--set", "steps.train.learning_rate=0.002", "--json")

    states = {step["id"]: step["state"] for step in said.json()[0]["steps"]}
    assert states["upload"] == "hit"
    assert states["train"] == states["evaluate"] == states["export"] == "run" or states["export"] == "maybe"
    train = next(step for step in said.json()[0]["steps"] if step["id"] == "train")
    assert train["because"][0].startswith("learning_rate 0.003 -> 0.002")


def test_missing_export_is_restored(done: tuple[Program, dict[str, Any]]) -> None:
    """A deleted export is planned as a restore, and the next run puts it back without running a step."""
    polytune, _ = done
    place = polytune.root / "exports/quickstart.json"
    content = place.read_bytes()
    place.unlink()

    plan = polytune("plan", file, *small, "--json").json()[0]["steps"][-1]
    manifest = polytune.run(file, *small)

    assert plan["state"] == "restore"
    assert place.read_bytes() == content
    assert {report["status"] for report in manifest["steps"].values()} == {"cached"}
