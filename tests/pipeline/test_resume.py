"""What `resume` keeps to: the steps that the run was asked for."""

from __future__ import annotations

import json
from pathlib import Path

from tests.pipeline.program import workspace

experiment = """\
name: greetings
project: greetings
platform: {kind: local}
steps:
  generate:
    prompts: prompts.yaml
    teacher: {kind: replay, path: recorded.jsonl}
    count: 4
  format: {system: none, split: {train: 0.5, validation: 0.25, test: 0.25}}
  validate: {base_model: tiny-llama}
"""
prompts = 'templates: ["Greet {{ name }}."]\nslots: {name: [Ada, Grace, Alan, Kurt]}\n'


def record(folder: Path, *names: str) -> None:
    """Answers for these names are recorded."""
    lines = [json.dumps({"prompt": f"Greet {name}.", "answer": f"Hello {name}!"}) for name in names]
    (folder / "recorded.jsonl").write_text("\n".join(lines) + "\n")


def test_resume_keeps_to_the_steps_that_were_asked_for(tmp_path: Path) -> None:
    """A run until `format` that failed goes on until `format`, in the same run, and not beyond."""
    polytune = workspace(tmp_path)
    (tmp_path / "greetings.yaml").write_text(experiment)
    (tmp_path / "prompts.yaml").write_text(prompts)
    record(tmp_path, "Ada", "Grace", "Alan")
    failed = polytune("run", "greetings.yaml", "--until", "format", "--json")
    record(tmp_path, "Ada", "Grace", "Alan", "Kurt")

    resumed = polytune("resume", "--json")

    assert (failed.code, resumed.code) == (1, 0)
    assert resumed.json()["run_id"] == failed.json()["run_id"]
    statuses = {name: step["status"] for name, step in resumed.json()["steps"].items()}
    assert statuses == {"generate": "done", "format": "done", "validate": "skipped"}
