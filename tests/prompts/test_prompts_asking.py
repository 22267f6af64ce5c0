"""Plans at work: what the teacher is asked and what is written, for conversations, seeds and children."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.asking.asking_stub import Fault, Seen, Stub
from tests.messages import message
from tests.pipeline.program import Program, Said

prompts = """\
system: Be brief.
short_system: Short.
templates:
  - ["Write about {{ topic }}", "Make it {{ mood }}", Shorter]
  - {text: "Only {{ topic }} {{ n }}", when: {style: techno}}
slots:
  mood: [sad, glad]
  n: {range: [1, 10000]}
"""
seeds = "id,style,topic\na,,rain\nb,techno,trains\nc,house,sun\nd,,wind\n"
generate = {
    "prompts": "p.yaml",
    "count": 24,
    "matrix": {"style": {"techno": 2, "house": 1}, "level": [1, {"value": 2, "when": {"style": "techno"}}]},
    "exclude": [{"style": "techno", "level": 1}],
    "seeds": {"path": "s.csv"},
}
format_seeds = {
    "system": "short",
    "split": {"train": 0.5, "validation": 0.25, "test": 0.25, "cluster": "exact"},
}


@dataclass(frozen=True)
class Place:
    """A workspace with one experiment."""

    root: Path
    files: Mapping[str, str] = field(default_factory=lambda: {"p.yaml": prompts, "s.csv": seeds})

    def polytune(self, command: str, steps: Mapping[str, Any], *words: str) -> Said:
        """What the program says about an experiment of these steps."""
        (self.root / "runs").mkdir(exist_ok=True)
        for name, text in self.files.items():
            (self.root / name).write_text(text, encoding="utf-8")
        stated = {"name": "talk", "seed": 3, "platform": {"kind": "local"}, "steps": steps}
        (self.root / "e.yaml").write_text(json.dumps(stated), encoding="utf-8")
        return Program(self.root)(command, "e.yaml", *words)

    def run(self, steps: Mapping[str, Any]) -> dict[str, Any]:
        """The manifest of a run that succeeds."""
        said = self.polytune("run", steps, "--json", "--yes")
        assert said.code == 0, said.err
        return dict(said.json())

    def lines(self, step: str, name: str) -> list[dict[str, Any]]:
        """The records that the last run wrote."""
        path = sorted(self.root.glob(f"runs/talk/*/{step}/{name}"))[-1]
        return [json.loads(line) for line in path.read_text().splitlines()]


def _teacher(stub: Stub) -> dict[str, Any]:
    return {"kind": "openai_compatible", "model": "stub", "url": stub.url}


def _messages(seen: Seen) -> list[str]:
    return [message["content"] for message in seen.body["messages"]]


def test_a_conversation_is_asked_turn_by_turn(tmp_path: Path) -> None:
    """Each of the user's turns is sent with all that was said before, and the sample and its row hold it."""
    place = Place(tmp_path)
    with Stub(lambda seen: f"answer {len(seen.body['messages']) // 2}") as stub:
        steps = {"generate": {**generate, "teacher": _teacher(stub)}, "format": format_seeds}
        usage = place.run(steps)["steps"]["generate"]["usage"]
        again = place.polytune("run", {**steps, "format": {"system": "none"}}, "--json", "--yes").json()

    samples = place.lines("generate", "samples.jsonl")
    talks = [sample for sample in samples if "follow_ups" in sample]
    assert usage["requests"] == len(stub.seen) == len(samples) + 2 * len(talks)
    assert again["steps"]["generate"]["usage"]["requests"] in (0, usage["requests"])
    assert {len(talk["follow_ups"]) for talk in talks} == {2}
    lengths = Counter(len(_messages(seen)) for seen in stub.seen)
    assert (lengths[4], lengths[6]) == (len(talks), len(talks))
    longest = next(_messages(seen) for seen in stub.seen if len(_messages(seen)) == 6)
    assert longest[0] == "Be brief."
    assert [longest[2], longest[4], longest[5]] == ["answer 1", "answer 2", "Shorter"]
    row = next(row for row in place.lines("format", "train.jsonl") if len(row["messages"]) == 6)
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 3
    assert row["messages"][-1]["content"] == [{"text": "answer 3"}]


def test_a_conversation_is_resumed_where_it_stopped(tmp_path: Path) -> None:
    """A turn that failed is asked again in the next run; the turns before it are not."""
    place = Place(tmp_path)
    mending = False

    def behave(seen: Seen) -> Fault | None:
        return Fault(400) if seen.prompt == "Shorter" and not mending else None

    with Stub(behave) as stub:
        steps = {"generate": {**generate, "teacher": _teacher(stub)}}
        assert place.polytune("run", steps, "--yes").code == 1
        mending = True
        place.run(steps)

    assert {count for prompt, count in stub.answered.items() if prompt.startswith("Only ")} == {1}
    talks = [sample for sample in place.lines("generate", "samples.jsonl") if "follow_ups" in sample]
    assert stub.answered["Shorter"] == len(talks)
    assert sum(stub.answered[f"Make it {mood}"] for mood in ("sad", "glad")) == len(talks)


def test_a_lost_memory_is_rebuilt_from_whole_conversations(tmp_path: Path) -> None:
    """What samples hold is enough to answer every turn of them again without asking."""
    place = Place(tmp_path)
    with Stub() as stub:
        steps = {"generate": {**generate, "teacher": _teacher(stub)}}
        place.run(steps)
        paid = len(stub.seen)
        for path in (tmp_path / "runs").glob("ledger.sqlite3*"):
            path.unlink()
        assert Program(tmp_path)("ledger", "rebuild").code == 0
        usage = place.run({"generate": {**steps["generate"], "count": 23}})["steps"]["generate"]["usage"]

    assert (len(stub.seen), usage["requests"]) == (paid, 0)


def test_samples_say_which_seed_they_stem_from_and_seeds_stay_together(tmp_path: Path) -> None:
    """Every sample has its seed, a seed's samples are in one split, and the coverage is in the metrics."""
    place = Place(tmp_path)

    manifest = place.run({"generate": {**generate, "teacher": {"kind": "composer"}}, "format": format_seeds})

    samples = {sample["id"]: sample for sample in place.lines("generate", "samples.jsonl")}
    assert Counter(sample["seed"] for sample in samples.values()) == dict.fromkeys("abcd", 6)
    splits: dict[str, set[str]] = {}
    for origin in place.lines("format", "provenance.jsonl"):
        splits.setdefault(samples[origin["sample"]]["seed"], set()).add(origin["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert manifest["steps"]["generate"]["metrics"]["coverage"]["style"] == {
        "house": [8.0, 8],
        "techno": [16.0, 16],
    }


def test_prompts_alone_are_rows_without_answers(tmp_path: Path) -> None:
    """With no teacher the samples have no answer, nobody is asked, and rows end with the user's turn."""
    place = Place(tmp_path, {"p.yaml": "templates: ['Piece {{ n }}']\nslots: {n: {range: [1, 99999]}}\n"})
    checked = {"base_model": "nova-pro", "customization": "distillation"}

    place.run(
        {
            "generate": {"prompts": "p.yaml", "count": 140, "teacher": {"kind": "none"}},
            "format": {"system": "none"},
            "validate": checked,
        }
    )

    assert {sample["answer"] for sample in place.lines("generate", "samples.jsonl")} == {""}
    rows = place.lines("format", "train.jsonl")
    assert len(rows) >= 100
    assert all([message["role"] for message in row["messages"]] == ["user"] for row in rows)


def test_children_are_derived_paid_once_and_linked(tmp_path: Path) -> None:
    """Paraphrases keep the answer, evolved prompts get their own, and both name parent and seed."""
    place = Place(tmp_path, {"p.yaml": "system: Be brief.\ntemplates: [One, Two]\n"})

    def behave(seen: Seen) -> str | None:
        told = _messages(seen)[0]
        if "other words" in told:
            return f'"{seen.prompt} in other words"' if seen.asked else seen.prompt
        return f"{seen.prompt}, harder" if "harder to fulfil" in told else None

    asking = {"prompts": "p.yaml", "count": 2, "teacher": {"kind": "composer"}}
    with Stub(behave) as stub:
        steps = {
            "generate": asking,
            "augment": {"teacher": _teacher(stub), "paraphrase": 1, "evolve": 1, "from": "generate"},
            "format": {"from": "augment", "split": {"train": 0.5, "validation": 0.5, "test": 0}},
        }
        assert place.polytune("plan", steps).code == 0
        usage = place.run(steps)["steps"]["augment"]["usage"]
        asked = len(stub.seen)
        place.run({**steps, "generate": {**asking, "count": 3}})

    samples = place.lines("augment", "samples.jsonl")
    assert usage["requests"] == asked == 8
    by_parent = [sample for sample in samples if "parent" in sample]
    assert [sample.get("parent") for sample in samples[:3]] == [None, samples[0]["id"], samples[0]["id"]]
    first, paraphrased, evolved = samples[:3]
    assert paraphrased["prompt"] == f"{first['prompt']} in other words"
    assert paraphrased["answer"] == first["answer"]
    assert evolved["prompt"] == f"{first['prompt']}, harder"
    assert evolved["answer"] == f"answer to {evolved['prompt']}"
    assert (evolved["system"], evolved["derivation"]["how"]) == ("Be brief.", "evolve")
    assert {sample["seed"] for sample in samples[:3]} == {first["id"]}
    assert len({sample["id"] for sample in samples}) == len(samples) == 9
    assert len(by_parent) == 6


def test_augmenting_nothing_is_refused(tmp_path: Path) -> None:
    """A step that derives no prompt is a mistake, told before anything runs."""
    place = Place(tmp_path, {"p.yaml": "templates: [One]\n"})
    teacher = {"kind": "composer"}

    said = place.polytune(
        "run",
        {"generate": {"prompts": "p.yaml", "count": 1, "teacher": teacher}, "augment": {"teacher": teacher}},
    )

    assert said.code == 2
    assert "steps.augment: " + message("prompts/say-with-paraphrase-or-evolve-how") in said.err


wrong: dict[str, tuple[dict[str, Any], str]] = {
    "an exclude of an unknown axis": (
        {"exclude": [{"stile": "techno"}]},
        "steps.generate.exclude.0: "
        + message("prompts/matrix-has-no-such-axis", axis="stile", suggestion="style"),
    ),
    "a condition on a later axis": (
        {"matrix": {"level": [{"value": 1, "when": {"style": "x"}}], "style": ["x"]}, "exclude": []},
        message("prompts/looks-at", name="style", name2="level"),
    ),
    "a seed file that is not there": (
        {"seeds": {"path": "t.csv"}},
        message("general/no-such-file", file="t.csv"),
    ),
    "seeds with an unknown style": (
        {"matrix": {"style": ["house", "jazz"]}, "exclude": []},
        "s.csv:3:1: "
        + message(
            "prompts/seed-value-is-not-on-axis-known", name="techno", axis="style", known="house, jazz"
        ),
    ),
    "weights that do not fit": (
        {"matrix": {"style": {"values": ["techno", "house"], "weights": [1]}}, "exclude": []},
        message("prompts/has-values-and-weights", values=2, weights=1),
    ),
}


@pytest.mark.parametrize("name", wrong)
def test_a_wrong_plan_is_explained(tmp_path: Path, name: str) -> None:
    """What is wrong with a matrix, an exclude or a seed file stops the run with one clear line."""
    change, says = wrong[name]

    said = Place(tmp_path).polytune("plan", {"generate": {**generate, "teacher": {"kind": "none"}, **change}})

    assert said.code == 2, said.out
    assert says in said.err


def test_the_documented_library_and_matrix_work(tmp_path: Path) -> None:
    """The library of docs/prompts.md, over the matrix that its words suppose, makes a plan."""
    page = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
    library, matrix, *_ = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    stated = yaml.safe_load(matrix)["generate"]
    place = Place(tmp_path, {"prompts.yaml": library})

    for part in (stated, {**stated, "matrix": {"season": ["spring", "autumn"], "level": ["easy", "hard"]}}):
        whole = {**part, "teacher": {"kind": "none"}, "exclude": part["exclude"] if part is stated else []}
        said = place.polytune("plan", {"generate": whole}, "--json")
        assert said.code == 0, said.err
        assert said.json()[0]["steps"][0]["estimate"]["requests"] >= 500
