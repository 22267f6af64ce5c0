"""collect, run as a user runs it: records that exist become samples, rows and a checked dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from polytune.data.samples import Sample
from tests.messages import message
from tests.pipeline.program import Program, repository
from tests.sources.test_sources_logs import converse

file = "experiments/faq.yaml"
start = "name: faq\nplatform: {kind: local}\nseed: 3\nsteps:\n"
rest = """
  format: {split: {train: 0.8, validation: 0.2, test: 0}}
  validate: {base_model: tiny-llama}
"""


@pytest.fixture
def polytune(tmp_path: Path) -> Program:
    """A workspace with two files of records and no experiment."""
    for name in ("experiments", "data", "runs"):
        (tmp_path / name).mkdir()
    rows(tmp_path, "faq", *(f"How do I use part {n}?" for n in range(30)))
    rows(tmp_path, "chat", *(f"What is part {n}?" for n in range(30)))
    return Program(tmp_path)


def rows(root: Path, name: str, *prompts: str) -> None:
    """A file of questions, each with its answer."""
    content = "".join(json.dumps({"question": each, "output": f"{each} So."}) + "\n" for each in prompts)
    (root / "data" / f"{name}.jsonl").write_text(content)


def write(polytune: Program, collect: str, more: str = rest) -> None:
    """The experiment collects so."""
    (polytune.root / file).write_text(f"{start}  collect: {collect}{more}")


def collected(polytune: Program, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The samples of a run."""
    path = manifest["steps"]["collect"]["output"]["files"]["samples.jsonl"]["path"]
    return [json.loads(line) for line in (polytune.root / path).read_text().splitlines()]


def splits(provenance: Path) -> dict[str, str]:
    """The split of each sample."""
    rows = map(json.loads, provenance.read_text().splitlines())
    return {row["sample"]: row["split"] for row in rows}


two = (
    "{sources: [{kind: jsonl, name: faq, path: ../data/faq.jsonl, weight: 2, limit: %d},"
    " {kind: jsonl, name: chat, path: ../data/chat.jsonl, weight: 1}]}"
)


def test_records_become_a_checked_dataset(polytune: Program) -> None:
    """Mixed by weight, formatted, split and validated; each row leads back to its source and line."""
    write(polytune, two % 20)

    manifest = polytune.run(file)

    samples = collected(polytune, manifest)
    assert [each["cell"]["source"] for each in samples[:6]].count("faq") == 4
    assert len({each["id"] for each in samples}) == len(samples) == 30
    assert samples[0]["origin"] == {"source": "faq", "file": "faq", "line": 1}
    assert manifest["steps"]["collect"]["metrics"] == {
        "samples": 30,
        "unusable": 0,
        "sources": {"faq": {"taken": 20, "unusable": 0}, "chat": {"taken": 10, "unusable": 0}},
    }
    format_folder = next(polytune.root.glob("runs/faq/*/format"))
    provenance = [json.loads(line) for line in (format_folder / "provenance.jsonl").read_text().splitlines()]
    # By the source's name: the file's own is in no key, so it is in no output.
    assert {each["template"].rpartition(":")[0] for each in provenance} == {"faq", "chat"}
    assert manifest["steps"]["validate"]["status"] == "done"


def test_samples_are_what_generate_writes(polytune: Program) -> None:
    """They decode as samples, and nothing was paid."""
    write(polytune, two % 20)
    manifest = polytune.run(file)

    path = manifest["steps"]["collect"]["output"]["files"]["samples.jsonl"]["path"]
    first = msgspec.json.decode((polytune.root / path).read_bytes().splitlines()[0], type=Sample)

    assert (first.prompt, first.answer) == ("How do I use part 0?", "How do I use part 0? So.")
    assert (first.teacher.kind, first.price_usd) == ("jsonl", 0.0)
    assert manifest["steps"]["collect"]["usage"]["requests"] == 0


def test_growth_keeps_what_was_there(polytune: Program) -> None:
    """A larger limit and a longer file keep every earlier sample in its place, and every row in its split."""
    write(polytune, two % 10)
    before = polytune.run(file)
    write(polytune, two % 30)
    rows(polytune.root, "chat", *(f"What is part {n}?" for n in range(60)))

    after = polytune.run(file)

    old, new = collected(polytune, before), collected(polytune, after)
    assert len(old) == 15
    assert new[: len(old)] == old
    assert len(new) > len(old)
    sides = [splits(path) for path in sorted(polytune.root.glob("runs/faq/*/format/provenance.jsonl"))]
    assert sides[0].items() <= sides[1].items()


def test_the_same_question_twice(polytune: Program) -> None:
    """Draws of one question have ids of their own, which do not depend on where they stand."""
    rows(polytune.root, "faq", "A?", "B?", "A?", "A?")
    write(polytune, "{sources: [{kind: jsonl, path: ../data/faq.jsonl}]}")

    said = polytune("run", file, "--until", "collect", "--json")

    samples = collected(polytune, said.json())
    assert [each["draw"] for each in samples] == [0, 0, 1, 2]
    assert len({each["id"] for each in samples}) == 4
    assert samples[0]["request"] == samples[2]["request"] != samples[1]["request"]


def test_unusable_records_stop_a_run_and_are_listed(polytune: Program) -> None:
    """The first few are told with file, line and reason, all are kept in a file; `shortfall` allows some."""
    with (polytune.root / "data/faq.jsonl").open("a") as appended:
        appended.write('{"question": "Who?"}\n{broken\n')
    only = "{sources: [{kind: jsonl, path: ../data/faq.jsonl}]%s}"
    write(polytune, only % "")

    refused = polytune("run", file)
    write(polytune, only % ", shortfall: 0.1")
    manifest = polytune.run(file)

    assert refused.code == 1
    assert message("pipeline/of-records-are-unusable", records=32) in refused.err
    assert "data/faq.jsonl:31: " + message("pipeline/prompt-has-no-answer") in refused.err
    assert "data/faq.jsonl:32: not JSON" in refused.err
    (listed,) = polytune.root.glob("runs/faq/*/collect-unusable.jsonl")
    assert [json.loads(line)["line"] for line in listed.read_text().splitlines()] == [31, 32]
    kept = manifest["steps"]["collect"]["output"]["files"]["unusable.jsonl"]
    assert kept["records"] == 2
    assert manifest["steps"]["collect"]["metrics"]["samples"] == 30


def test_nothing_left_is_an_error(polytune: Program) -> None:
    """Options that leave everything out are said, with the reasons."""
    path = polytune.root / "data/rated.jsonl"
    path.write_text('{"prompt": "Q", "answer": "A", "rating": 1}\n{"prompt": "Q", "answer": "A"}\n')
    write(polytune, "{sources: [{kind: captures, path: ../data/rated.jsonl, minimum_rating: 4.0}]}")

    said = polytune("run", file)

    assert said.code == 1
    assert message("pipeline/no-record-is-left", number=1, number2=4) in said.err


def test_a_conversation_is_not_cut_in_silence(polytune: Program) -> None:
    """A chat of several questions is no sample; where it belongs is said."""
    turns = [{"role": role, "content": "x"} for role in ("user", "assistant", "user", "assistant")]
    (polytune.root / "data/chat.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    write(polytune, "{sources: [{kind: jsonl, path: ../data/chat.jsonl}]}")

    said = polytune("run", file)

    assert "data/chat.jsonl:1: " + message("pipeline/conversation-of-questions", questions=2) in said.err
    assert message("pipeline/give-file-to-dataset-step") in said.err


def test_a_new_log_makes_the_step_stale(polytune: Program) -> None:
    """A folder is looked at before every run: unchanged it is a hit, with another file it runs again."""

    def log(name: str) -> None:
        calls = [converse(f"{name} {n}") for n in range(12)]
        path = polytune.root / "logs" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(call) + "\n" for call in calls))

    log("monday")
    write(polytune, "{sources: [{kind: invocation_logs, name: live, folder: ../logs}]}")
    first = polytune.run(file)
    assert polytune("plan", file).code == 0

    log("tuesday")
    planned = polytune("plan", file)
    second = polytune.run(file)

    assert message("pipeline/folder-changed") in planned.out
    assert first["steps"]["collect"]["metrics"]["samples"] == 12
    assert second["steps"]["collect"]["metrics"]["samples"] == 24
    assert first["steps"]["collect"]["output"]["facts"]["teacher"] == "us.amazon.nova-pro-v1:0"


def test_generate_or_collect(polytune: Program) -> None:
    """With both, `format` must say which; each then has its own way to a dataset."""
    (polytune.root / "prompts").mkdir()
    shipped = (repository / "prompts/strudel.yaml").read_bytes()
    (polytune.root / "prompts/strudel.yaml").write_bytes(shipped)
    generate = (
        "\n  generate: {prompts: ../prompts/strudel.yaml, teacher: {kind: composer}, count: 2,"
        " matrix: {style: [techno], complexity: [simple]}}"
    )
    write(polytune, two % 20, generate + rest)
    both = polytune("plan", file)
    write(polytune, two % 20, generate + rest.replace("format: {", "format: {from: collect, "))

    chosen = polytune("plan", file, "--json")

    assert both.code == 2
    assert (
        message("pipeline/could-come-from-collect", name="samples", name2="{samples", name3="collect}")
        in both.err
    )
    (plan,) = chosen.json()
    assert {step["id"] for step in plan["steps"]} >= {"collect", "generate", "format"}


@pytest.mark.parametrize(
    ("collect", "what"),
    [
        ("{sources: []}", "steps.collect.sources"),
        (
            "{sources: [{kind: jsonl, path: ../data/no.jsonl}]}",
            message("general/no-such-file", file="../data/no.jsonl"),
        ),
        (
            "{sources: [{kind: jsn, path: ../data/faq.jsonl}]}",
            message("pipeline/unknown-source", source="jsn", suggestion="jsonl"),
        ),
        ("{sources: [{kind: invocation_logs}]}", message("pipeline/state-uri-in-s-or-folder")),
        (
            "{sources: [{kind: jsonl, path: ../data/faq.jsonl, weight: 1},"
            " {kind: jsonl, path: ../data/chat.jsonl}]}",
            "steps.collect.sources.1: " + message("pipeline/needs-weight-too"),
        ),
        (
            "{sources: [{kind: jsonl, path: ../data/faq.jsonl, fields: {promt: question}}]}",
            "unknown key 'promt'",
        ),
        (
            "{sources: [{kind: jsonl, name: a, path: ../data/faq.jsonl},"
            " {kind: jsonl, name: a, path: ../data/chat.jsonl}]}",
            "steps.collect.sources.1.name: " + message("pipeline/another-source-has-this-name"),
        ),
    ],
)
def test_wrong_sources(polytune: Program, collect: str, what: str) -> None:
    """Each mistake in the file is told at its place, before anything runs."""
    write(polytune, collect)

    said = polytune("plan", file)

    assert said.code == 2
    assert what in said.err


def test_a_sample_decodes_with_its_origin(polytune: Program) -> None:
    """What samples say beyond the usual is typed too."""
    write(polytune, two % 3)
    manifest = polytune.run(file, "--until", "collect")

    class Origin(msgspec.Struct, forbid_unknown_fields=True):
        source: str
        file: str
        line: int

    for sample in collected(polytune, manifest):
        assert msgspec.convert(sample["origin"], Origin).line >= 1
