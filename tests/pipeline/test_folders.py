"""Folders are inputs by content: whatever is in them counts, and nothing else does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.pipeline.program import Program

file = "experiments/own.yaml"
start = "name: own\nplatform: {kind: local}\nsteps:\n"
rows = "".join(json.dumps({"prompt": f"Q{n}", "completion": f"A{n}"}) + "\n" for n in range(12))


@pytest.fixture
def own(tmp_path: Path) -> Program:
    """A dataset that is checked for a base model in a folder, and has run once."""
    (tmp_path / "runs").mkdir()
    polytune = Program(tmp_path)
    model = polytune.root / "experiments/models/m1"
    (model / "sub").mkdir(parents=True)
    (model / "config.json").write_text('{"max_position_embeddings": 256}')
    (model / "chat_template.jinja").write_text("{{ messages }}")
    (model / "sub/merges.txt").write_text("a b")
    (polytune.root / "experiments/train.jsonl").write_text(rows)
    write(polytune)
    polytune.run(file)
    return polytune


def write(polytune: Program, rows: str = "train.jsonl", model: str = "./models/m1") -> None:
    """The experiment, with other names for its inputs."""
    steps = f"  dataset: {{train: {rows}, layout: prompt-completion}}\n  validate: {{base_model: {model}}}\n"
    (polytune.root / file).write_text(start + steps)


def states(polytune: Program) -> dict[str, str]:
    """What the plan says of each step."""
    (plan,) = json.loads(polytune("plan", file, "--json").out)
    return {step["id"]: step["state"] for step in plan["steps"]}


hits = {"dataset": "hit", "validate": "hit"}


@pytest.mark.parametrize("name", ["config.json", "chat_template.jinja", "sub/merges.txt", "new.py"])
def test_every_file_of_a_model_folder_counts(own: Program, name: str) -> None:
    """A file that is edited or new makes the step stale, whatever its name; a revert makes it a hit again."""
    path = own.root / "experiments/models/m1" / name
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"").replace(b"256", b"255") + b" ")

    edited = states(own)
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)

    assert edited == {"dataset": "hit", "validate": "run"}
    assert states(own) == hits


def test_a_folder_that_is_copied_or_renamed_is_the_same(own: Program) -> None:
    """Neither its name nor its files' times are part of any key."""
    models = own.root / "experiments/models"
    shutil.copytree(models / "m1", models / "another", copy_function=shutil.copyfile)
    shutil.rmtree(models / "m1")
    write(own, model="./models/another")

    assert states(own) == hits


def test_an_input_file_that_is_renamed_gives_the_same_output(own: Program) -> None:
    """Made anew from the same bytes under another name, the outputs have the same digests."""
    before = {step: report["output_digest"] for step, report in own.run(file)["steps"].items()}
    (own.root / "experiments/train.jsonl").rename(own.root / "experiments/renamed.jsonl")
    write(own, rows="renamed.jsonl")

    renamed = own.run(file, "--force", "dataset", "--force", "validate")

    assert {step: report["status"] for step, report in renamed["steps"].items()} == {
        "dataset": "done",
        "validate": "done",
    }
    assert {step: report["output_digest"] for step, report in renamed["steps"].items()} == before


def test_a_folder_of_the_workspace_itself_is_a_path(own: Program) -> None:
    """A folder that is stated from the workspace's top is found again when the step is made from records."""
    shutil.copytree(own.root / "experiments/models/m1", own.root / "m1")
    write(own, model="../m1")

    assert states(own) == hits
    assert own.run(file, "--force", "validate")["steps"]["validate"]["status"] == "done"
