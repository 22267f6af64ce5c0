"""`polytune preview`: a few samples through the whole path, paid once, and no run left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.asking.asking_stub import Seen, Stub
from tests.cli.cli_program import Polytune
from tests.messages import message

priced = {"input_usd_per_million_tokens": 10.0, "output_usd_per_million_tokens": 20.0}


def _experiment(folder: Path, **generate: Any) -> str:
    """An experiment over two styles and three levels."""
    (folder / "runs").mkdir()
    template = "templates: ['{{ style }} {{ level }} {{ n }}']\n"
    (folder / "p.yaml").write_text(f"short_system: Be brief.\n{template}slots: {{n: [1, 2, 3, 4, 5]}}\n")
    stated = {
        "name": "lines",
        "seed": 7,
        "platform": {"kind": "local"},
        "steps": {
            "generate": {
                "prompts": "p.yaml",
                "teacher": {"kind": "composer"},
                "count": 30,
                "matrix": {"style": ["techno", "house"], "level": [1, 2, 3]},
                **generate,
            },
            "format": {"system": "short"},
            "validate": {"base_model": "tiny-llama"},
            "upload": {},
        },
    }
    (folder / "e.yaml").write_text(json.dumps(stated))
    return "e.yaml"


def _stub_teacher(stub: Stub, **more: Any) -> dict[str, Any]:
    return {"kind": "openai_compatible", "model": "stub", "url": stub.url, "price": priced, **more}


def test_preview_shows_a_few_samples_over_the_cells(polytune: Polytune, tmp_path: Path) -> None:
    """Each sample is shown with its prompt, answer, row, findings, tokens and price."""
    file = _experiment(tmp_path)

    said = polytune(tmp_path, "preview", file, "-n", "6", "--json")

    assert said.returncode == 0, said.stderr
    (shown,) = json.loads(said.stdout)
    samples = shown["samples"]
    assert {(sample["cell"]["style"], sample["cell"]["level"]) for sample in samples} == {
        (style, level) for style in ("techno", "house") for level in (1, 2, 3)
    }
    assert all(sample["row"]["messages"][1]["content"][0]["text"] == sample["answer"] for sample in samples)
    assert all(sample["findings"] == [] for sample in samples)
    assert shown["usage"]["requests"] == 6
    assert shown["rest"] == "6 answers reused, 24 to ask, $0"
    assert shown["coverage"]["style"] == {"house": [15.0, 15], "techno": [15.0, 15]}
    assert shown["coverage"]["style, level"]["techno, 3"] == [5.0, 5]


def test_preview_is_readable(polytune: Polytune, tmp_path: Path) -> None:
    """A person sees the same, side by side, and what the whole run still costs."""
    said = polytune(tmp_path, "preview", _experiment(tmp_path), "-n", "2")

    lines = said.stdout.splitlines()
    assert lines[0] == "lines   2 samples"
    labels = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert labels == ["prompt", "answer", "row", "findings"] * 2
    assert [line.split() for line in lines[-9:-3]] == [
        ["the", "plan", "due", "got"],
        ["style", "house", "15.0", "15"],
        ["style", "techno", "15.0", "15"],
        ["level", "1", "10.0", "10"],
        ["level", "2", "10.0", "10"],
        ["level", "3", "10.0", "10"],
    ]
    assert lines[-2:] == [
        "this preview   2 answers asked, 0 reused, free",
        message("cli/whole-run-answers-reused", answers=2, number=28),
    ]


def test_preview_leaves_no_run_and_the_run_pays_for_the_rest(polytune: Polytune, tmp_path: Path) -> None:
    """Nothing looks like a run afterwards, and a later run asks only what the preview did not."""
    with Stub() as stub:
        file = _experiment(tmp_path, teacher=_stub_teacher(stub))
        shown = polytune(tmp_path, "preview", file, "--yes", "--json")
        previewed = len(stub.seen)
        listed = polytune(tmp_path, "ls")
        folders = [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()]
        done = polytune(tmp_path, "run", file, "--until", "validate", "--yes", "--json")

    assert shown.returncode == 0, shown.stderr
    assert (previewed, len(stub.seen)) == (5, 30)
    assert "no run" in listed.stdout + listed.stderr
    assert folders == []
    usage = json.loads(done.stdout)["steps"]["generate"]["usage"]
    assert (usage["requests"], usage["reused"]) == (25, 5)
    (first, *_) = json.loads(shown.stdout)[0]["samples"]
    assert first["price_usd"] == pytest.approx((50 * 10 + 20 * 20) / 1e6)


def test_preview_asks_before_it_spends(polytune: Polytune, tmp_path: Path) -> None:
    """Without a terminal and --yes nothing is asked, and --max-usd is a hard limit."""
    with Stub() as stub:
        file = _experiment(tmp_path, teacher=_stub_teacher(stub))
        unasked = polytune(tmp_path, "preview", file)
        stopped = polytune(tmp_path, "preview", file, "--yes", "--max-usd", "0.000001")

    assert (unasked.returncode, stopped.returncode) == (2, 3)
    assert message("cli/add-yes-to-agree-without-terminal") in unasked.stderr
    assert message("cli/this-run-would-cost-at-least") in stopped.stderr
    assert stub.seen == []


def test_preview_shows_what_is_wrong_with_a_row(polytune: Polytune, tmp_path: Path) -> None:
    """An error in a row is shown beside it and makes the exit code 1; the answers are remembered."""
    with Stub() as stub:
        file = _experiment(tmp_path, teacher=_stub_teacher(stub))
        wrong = "templates: ['{% if level == 2 %}System: {% endif %}{{ style }} {{ level }}']\n"
        (tmp_path / "p.yaml").write_text(f"short_system: Be brief.\n{wrong}")
        model = ("-n", "6", "--yes", "--set", "steps.validate.base_model=nova-lite")
        said = polytune(tmp_path, "preview", file, "--json", *model)
        asked = len(stub.seen)
        again = polytune(tmp_path, "preview", file, *model)

    assert said.returncode == again.returncode == 1, said.stderr
    (shown,) = json.loads(said.stdout)
    rules = {
        sample["prompt"]: [(finding["severity"], finding["rule"]) for finding in sample["findings"]]
        for sample in shown["samples"]
    }
    assert rules["System: techno 2"] == [("error", "reserved-string"), ("warning", "reserved-string")]
    assert rules["techno 1"] == []
    assert shown["errors"] == 2
    assert again.stdout.count("error: reserved-string") == 2
    assert len(stub.seen) == asked == 6


def test_preview_shows_rejected_answers(polytune: Polytune, tmp_path: Path) -> None:
    """Answers that a grader turned down are shown with the reason, and the rest all the same."""

    def behave(seen: Seen) -> str:
        return "not a pattern (" if "house" in seen.prompt else 's("bd*4")'

    with Stub(behave) as stub:
        graders = {"graders": [{"kind": "strudel"}], "on_reject": "redraw", "max_redraws": 1}
        file = _experiment(tmp_path, teacher=_stub_teacher(stub), **graders)
        said = polytune(tmp_path, "preview", file, "-n", "2", "--yes", "--json")

    assert said.returncode == 0, said.stderr
    (shown,) = json.loads(said.stdout)
    assert [sample["cell"]["style"] for sample in shown["samples"]] == ["techno"]
    assert {reject["by"] for reject in shown["rejects"]} == {"strudel"}
    assert len(shown["rejects"]) == 2


def test_preview_of_nothing_to_ask_is_refused(polytune: Polytune, tmp_path: Path) -> None:
    """An experiment without a generate step has nothing to preview."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "p.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    stated = {"name": "x", "steps": {"collect": {"sources": [{"kind": "jsonl", "path": "p.jsonl"}]}}}
    (tmp_path / "e.yaml").write_text(json.dumps(stated))

    said = polytune(tmp_path, "preview", "e.yaml")

    assert said.returncode == 2
    assert "x: " + message("cli/no-generate-step") in said.stderr
