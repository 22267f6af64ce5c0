"""What `resume` keeps to: the steps that the run was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.asking.asking_stub import Fault, Seen, Stub, read_tokens, written_tokens
from tests.pipeline.program import Program, workspace

experiment = """\
name: greetings
project: greetings
platform: {{kind: local}}
steps:
  generate:
    prompts: prompts.yaml
    teacher: {{kind: openai_compatible, url: "{url}", model: m{price}}}
    count: 4
  format: {{system: none, split: {{train: 0.5, validation: 0.25, test: 0.25}}}}
  validate: {{base_model: tiny-llama}}
"""
priced = ", price: {input_usd_per_million_tokens: 1000, output_usd_per_million_tokens: 1000}"
answer_usd = (read_tokens + written_tokens) * 1000 / 1e6
prompts = 'templates: ["Greet {{ name }}."]\nslots: {name: [Ada, Grace, Alan, Kurt]}\n'


def broken_down(seen: Seen) -> Fault | None:
    """The server answers two questions; the others only when they are asked again."""
    return Fault(status=400) if seen.number >= 2 and seen.asked == 0 else None


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Stub]:
    """The server of an experiment in the workspace."""
    (tmp_path / "prompts.yaml").write_text(prompts)
    with Stub(broken_down) as serving:
        yield serving


def state(folder: Path, stub: Stub, price: str = "") -> Program:
    """The program, in a workspace with the experiment."""
    (folder / "greetings.yaml").write_text(experiment.format(url=stub.url, price=price))
    return workspace(folder)


def test_resume_keeps_to_the_steps_that_were_asked_for(tmp_path: Path, stub: Stub) -> None:
    """A run until `format` that failed goes on until `format`, in the same run, and not beyond."""
    polytune = state(tmp_path, stub)
    failed = polytune("run", "greetings.yaml", "--until", "format", "--json")

    resumed = polytune("resume", "--json")

    assert (failed.code, resumed.code) == (1, 0)
    assert resumed.json()["run_id"] == failed.json()["run_id"]
    statuses = {name: step["status"] for name, step in resumed.json()["steps"].items()}
    assert statuses == {"generate": "done", "format": "done", "validate": "skipped"}


def test_what_was_agreed_to_is_kept_for_resume(tmp_path: Path, stub: Stub) -> None:
    """`--yes` and `--max-usd` hold for the whole run, so that its resume asks nothing."""
    polytune = state(tmp_path, stub, priced)
    assert polytune("run", "greetings.yaml").code == 2, "it costs money, and nobody agreed"
    failed = polytune("run", "greetings.yaml", "--until", "format", "--yes", "--max-usd", "5", "--json")
    assert failed.code == 1, failed.err

    resumed = polytune("resume", "--json")

    assert resumed.code == 0, resumed.err
    assert resumed.json()["consent"] == failed.json()["consent"] == {"yes": True, "max_usd": 5.0}
    assert sum(stub.answered.values()) == 4


def test_the_limit_of_a_run_includes_what_it_spent_before(tmp_path: Path, stub: Stub) -> None:
    """What is left of `--max-usd` may be spent after a failure; a limit that is stated anew replaces it."""
    polytune = state(tmp_path, stub, priced)
    polytune("run", "greetings.yaml", "--until", "format", "--yes", "--max-usd", "5")
    answered = sum(stub.answered.values())
    (manifest,) = tmp_path.glob("runs/greetings/*/manifest.json")
    recorded = json.loads(manifest.read_text())
    recorded["consent"]["max_usd"] = (answered + 0.5) * answer_usd
    manifest.write_text(json.dumps(recorded))

    refused = polytune("resume")

    assert refused.code == 3
    assert "Raise budget.usd in the file, or pass a higher --max-usd" in refused.err
    assert "resume goes on with greetings.yaml as it was when the run began" in refused.err
    assert sum(stub.answered.values()) == answered
    assert polytune("resume", "--max-usd", "5").code == 0
