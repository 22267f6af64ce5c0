"""A workspace that was copied or moved works with its own files; records hold no path of where it was."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from polytune.files import digest_of
from tests.asking.asking_stub import Fault, Seen, Stub
from tests.pipeline.program import Program

base = """\
platform: {{kind: local}}
steps:
  generate:
    prompts: inputs/prompts.yaml
    teacher: {{kind: openai_compatible, url: "{url}", model: m}}
    count: 12
    graders: [{{kind: command, command: [python, inputs/judge.py], files: [inputs/words.txt]}}]
  format: {{from: generate, system: none}}
  validate: {{base_model: tiny-llama}}
  collect: {{sources: [{{kind: csv, path: inputs/rows.csv, fields: {{prompt: q, answer: a}}}}]}}
"""
inputs = {
    "prompts.yaml": 'templates: ["Greet {{ name }} of {{ town }}."]\n'
    "slots: {name: [Ada, Grace, Alan, Kurt], town: [Rome, Paris, Oslo, Bern]}\n",
    "judge.py": "import json, sys\n"
    "open('inputs/words.txt').read()\n"
    "for line in sys.stdin:\n"
    "    print(json.dumps({'id': json.loads(line)['id'], 'passed': True}), flush=True)\n",
    "words.txt": "good\n",
    "rows.csv": "q,a\nWhich?,This\n",
}


def half(seen: Seen) -> Fault | None:
    """Most questions have to be asked twice."""
    return Fault(status=400) if seen.number >= 3 and not seen.asked else None


@pytest.fixture
def stub() -> Iterator[Stub]:
    """The server of the teacher."""
    with Stub(half) as serving:
        yield serving


def unfinished(root: Path, stub: Stub, folder: str = "base") -> Program:
    """A workspace with a run that failed, of an experiment whose base file is in that folder."""
    (root / folder / "inputs").mkdir(parents=True)
    (root / "runs").mkdir()
    for name, text in inputs.items():
        (root / folder / "inputs" / name).write_text(text)
    (root / folder / "base.yaml").write_text(base.format(url=stub.url))
    (root / "experiments").mkdir(exist_ok=True)
    (root / "experiments" / "greet.yaml").write_text(f"extends: ../{folder}/base.yaml\nname: greet\n")
    polytune = Program(root)
    assert polytune("run", "experiments/greet.yaml").code == 1
    return polytune


def recorded_by_an_earlier_version(root: Path) -> None:
    """The records of runs say where the workspace was."""
    for path in root.glob("runs/*/*/compiled.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "path": str(root / record["path"])}))
    with closing(sqlite3.connect(root / "runs/ledger.sqlite3")) as ledger, ledger:
        ledger.execute("UPDATE runs SET source = ? || '/' || source", (str(root),))


def spoil(root: Path, folder: str) -> dict[str, str]:
    """Every input says something else now; the digest of every file of the workspace."""
    for path in (root / folder / "inputs").iterdir():
        path.write_text("spoilt\n")
    (root / folder / "base.yaml").write_text("spoilt: true\n")
    return {str(path): digest_of(path) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", ["copied", "moved", "linked", "copied from an earlier version"])
def test_it_resumes_with_its_own_files(tmp_path: Path, stub: Stub, how: str) -> None:
    """The original's edits do not reach a copy, and a copy's run does not reach the original."""
    original, copy = tmp_path / "original", tmp_path / "elsewhere" / "copy"
    # What the experiment file itself states is found by its recorded place alone.
    folder = "experiments" if "earlier" in how else "base"
    unfinished(original, stub, folder)
    if "earlier" in how:
        recorded_by_an_earlier_version(original)
    shutil.copytree(original, copy, symlinks=True)
    before = spoil(original, folder)
    if how == "moved":
        shutil.rmtree(original)
    if how == "linked":
        (tmp_path / "link").symlink_to(copy)
        copy = tmp_path / "link"
    polytune = Program(copy)

    resumed = polytune("resume", "--json")

    assert resumed.code == 0, resumed.err
    assert {step["status"] for step in resumed.json()["steps"].values()} == {"done"}
    assert "nothing was run" in polytune("run", str(copy / "experiments" / "greet.yaml")).err
    for words in (
        ("ls",),
        ("show", "greet"),
        ("why", "experiments/greet.yaml", "format"),
        ("diff", "greet", "greet"),
    ):
        assert polytune(*words).code == 0, words
    assert polytune("ledger", "verify").out.startswith("sound: ")
    assert {path: digest_of(Path(path)) for path in before if how != "moved"} == (
        before if how != "moved" else {}
    )


def test_no_record_holds_the_place_of_the_workspace(tmp_path: Path, stub: Stub) -> None:
    """Neither of a run begun by the workspace's real path, nor of one begun by a link to it."""
    root = tmp_path / "workspace-of-this-test"
    unfinished(root, stub)
    (tmp_path / "link").symlink_to(root)
    done = Program(tmp_path)("run", str(tmp_path / "link" / "experiments" / "greet.yaml"))
    assert done.code == 0, done.err

    for path in (root / "runs").glob("greet/*/*"):
        if path.is_file() and path.name != "events.jsonl":
            assert b"workspace-of-this-test" not in path.read_bytes(), path
            assert str(tmp_path / "link").encode() not in path.read_bytes(), path
