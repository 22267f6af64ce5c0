"""The manifest: sorted text for git, whole at any moment, described by its published schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from polytune import __version__
from polytune.engine.manifest import (
    Manifest,
    encode,
    manifest_schema,
    read_manifest,
    schema_version,
    write_manifest,
)
from polytune.errors import UsageError
from tests.engine.engine_bench import Bench, outputs, statuses
from tests.messages import matching


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A workspace."""
    return Bench.made(tmp_path, monkeypatch)


def experiment(bench: Bench) -> Path:
    """An experiment with a file, paid answers, two inputs and a default that nobody states."""
    bench.write("a.txt", "one\ntwo\n")
    return bench.experiment(
        "x",
        {
            "a": {"uses": "source", "path": "a.txt"},
            "q": {"uses": "asker", "count": 3},
            "j": {"uses": "join", "from": {"left": "a", "right": "q"}, "between": "--\n"},
        },
        description="A text of two.",
        tags={"team": "blue"},
        seed=3,
    )


def manifest_path(bench: Bench, manifest: Manifest) -> Path:
    """Where the manifest of a run lies."""
    return bench.root / "runs" / manifest.experiment / manifest.run_id / "manifest.json"


@pytest.fixture
def finished(bench: Bench) -> Manifest:
    """The manifest of a real run."""
    return bench.run(experiment(bench))


def test_a_manifest_is_read_as_it_was_written(bench: Bench, finished: Manifest) -> None:
    """The file of a run holds exactly what the run returned."""
    assert read_manifest(manifest_path(bench, finished)) == finished


def test_a_manifest_is_sorted_indented_and_ends_in_a_newline(bench: Bench, finished: Manifest) -> None:
    """The text is what json.dumps with sorted keys and two spaces makes of it: good for git and for diff."""
    text = manifest_path(bench, finished).read_text(encoding="utf-8")

    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def test_a_manifest_says_what_was_done(bench: Bench, finished: Manifest) -> None:
    """Versions, keys, inputs, outputs with digests, bytes and records, usage, and times are there."""
    join, asker = finished.steps["j"], finished.steps["q"]

    assert (finished.status, finished.experiment, finished.tags) == ("done", "x", {"team": "blue"})
    assert (finished.schema, finished.polytune, finished.path) == (schema_version, __version__, "x.yaml")
    assert statuses(finished) == {"a": "done", "q": "done", "j": "done"}
    assert join.record is not None
    assert join.output is not None
    assert join.key == join.record.key
    assert join.inputs == {"left": outputs(finished)["a"], "right": outputs(finished)["q"]}
    assert join.output_digest == join.output.digest
    entry = join.output.files["out.txt"]
    place = f"runs/x/{finished.run_id}/j/out.txt"
    assert (entry.path, entry.records) == (place, 6)
    assert entry.bytes == (bench.root / place).stat().st_size
    assert (asker.usage.requests, asker.usage.reused, asker.cost.actual) == (3, 0, 0.0)
    assert join.attempts == 1
    assert finished.started_at <= join.started_at <= join.finished_at <= finished.finished_at


def test_every_value_has_its_origin_and_the_rest_is_default(bench: Bench, finished: Manifest) -> None:
    """A stated value names its file and line; a default is in the spec and in no origin."""
    lines = (bench.root / "x.yaml").read_text().splitlines()
    (stated,) = (number for number, line in enumerate(lines, start=1) if "between:" in line)

    assert finished.spec["steps"]["j"]["between"] == "--\n"
    assert finished.origins["steps.j.between"] == f"x.yaml:{stated}"
    assert finished.spec["steps"]["a"]["upper"] is False
    assert "steps.a.upper" not in finished.origins


def test_the_schema_describes_a_real_manifest(bench: Bench, finished: Manifest) -> None:
    """jsonschema accepts a real manifest under the published schema."""
    schema = manifest_schema()
    document = json.loads(manifest_path(bench, finished).read_text())

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": 3}, "3 is not of type 'string'"),
        ({"steps": {"a": {}}}, "'kind' is a required property"),
        ({"steps": {"a": {"kind": "x", "status": "odd"}}}, matching("engine/is-not-one", name="odd")),
    ],
)
def test_the_schema_refuses_what_is_no_manifest(
    finished: Manifest, change: dict[str, object], complaint: str
) -> None:
    """The schema is not so loose that anything passes."""
    document = {**json.loads(encode(finished)), **change}

    with pytest.raises(jsonschema.ValidationError, match=complaint):
        jsonschema.Draft202012Validator(manifest_schema()).validate(document)


def test_a_newer_manifest_is_refused_by_its_number(tmp_path: Path, finished: Manifest) -> None:
    """A manifest of a later schema is named with it, also when the rest looks different."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"schema": schema_version + 1, "steps": []}))

    with pytest.raises(
        UsageError, match=matching("engine/manifest-schema-is-newer", schema_version=schema_version + 1)
    ):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 1}', b"\xff\xfe", b'{"schema": "one"}'])
def test_what_is_no_manifest_is_told(tmp_path: Path, content: bytes) -> None:
    """A broken file is named; no decoder's error escapes."""
    path = tmp_path / "manifest.json"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=r"manifest\.json: " + matching("engine/not-manifest")):
        read_manifest(path)


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    """A path without a file is named."""
    with pytest.raises(UsageError, match=r"manifest\.json: " + matching("general/no-such-manifest")):
        read_manifest(tmp_path / "manifest.json")


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path, finished: Manifest) -> None:
    """A rewritten manifest is the new one, and no temporary file stays."""
    path = tmp_path / "run" / "manifest.json"
    write_manifest(path, finished)

    write_manifest(path, msgspec.structs.replace(finished, status="failed"))

    assert read_manifest(path).status == "failed"
    assert [each.name for each in path.parent.iterdir()] == ["manifest.json"]


def test_a_second_run_names_the_run_that_did_the_work(bench: Bench, finished: Manifest) -> None:
    """A cached step costs nothing, takes no time, and says where its output comes from."""
    second = bench.run(bench.root / "x.yaml")

    assert statuses(second) == {"a": "cached", "q": "cached", "j": "cached"}
    assert outputs(second) == outputs(finished)
    assert {report.from_run for report in second.steps.values()} == {f"x/{finished.run_id}"}
    asker = second.steps["q"]
    assert (asker.usage.requests, asker.usage.reused, asker.seconds, asker.cost.actual) == (0, 3, 0.0, 0.0)


def test_a_cached_steps_folder_leads_to_its_files(bench: Bench, finished: Manifest) -> None:
    """A person finds each step's output below the run, also where it was not made anew."""
    second = bench.run(bench.root / "x.yaml")

    folder = bench.root / "runs" / "x" / second.run_id
    assert (folder / "j" / "out.txt").read_text().startswith("one\ntwo\n--\n")
    assert (folder / "j").is_symlink()


def test_two_steps_that_do_the_same_do_it_once(bench: Bench) -> None:
    """The second of two equal steps is cached, from the same run, and is not counted as paid again."""
    path = bench.experiment(
        "twins", {name: {"uses": "asker", "count": 5, "label": "same"} for name in ("a", "b")}
    )

    manifest = bench.run(path)

    reports = sorted(manifest.steps.values(), key=lambda report: report.status, reverse=True)
    assert [str(report.status) for report in reports] == ["done", "cached"]
    assert [report.usage.requests for report in reports] == [5, 0]
    assert reports[1].from_run == f"twins/{manifest.run_id}"
    assert bench.begun() == ["same"]
