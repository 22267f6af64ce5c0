"""`polytune ledger`: made, found, checked against the disk, and rebuilt from it."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.jobbook import JobBook, JobRow, JobState
from polytune.engine.ledger import Ledger, Result
from polytune.engine.locks import try_lock
from tests.cli.cli_program import Polytune, file
from tests.messages import message

ledger_name = "runs/ledger.sqlite3"


def states(polytune: Polytune, folder: Path, *words: str) -> dict[str, str]:
    """The state of each step in a plan."""
    (planned,) = json.loads(polytune(folder, "plan", file, *words, "--json").stdout)
    return {step["id"]: step["state"] for step in planned["steps"]}


def output(folder: Path, name: str) -> Path:
    """One output file of the only run."""
    (path,) = folder.glob(f"runs/lines/*/{name}")
    return path


def lost(folder: Path) -> None:
    """The ledger is gone."""
    for path in folder.glob(f"{ledger_name}*"):
        path.unlink()


def test_init_and_path(polytune: Polytune, tmp_path: Path) -> None:
    """init makes an empty ledger and path says where it is; both may be repeated."""
    made = polytune(tmp_path, "ledger", "init")
    assert polytune(tmp_path, "ledger", "init").returncode == 0

    assert made.stdout == polytune(tmp_path, "ledger", "path").stdout == f"{tmp_path / ledger_name}\n"
    assert (tmp_path / "runs" / ".gitignore").is_file()
    assert polytune(tmp_path, "ledger", "verify").stdout == "sound: 0 results, 0 files, 0 bytes\n"


def test_a_sound_ledger_verifies(polytune: Polytune, finished: Path) -> None:
    """Every output and object of a finished run is as the ledger says."""
    done = polytune(finished, "ledger", "verify")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sound: 4 results, ")


def test_tampered_and_missing_outputs_are_found(polytune: Polytune, space: Path) -> None:
    """An output with one byte changed and the same size and times is found, and so is a missing one."""
    samples, report = output(space, "generate/samples.jsonl"), output(space, "validate/validation.json")
    stat = samples.stat()
    samples.write_bytes(samples.read_bytes()[:-2] + b"]\n")
    os.utime(samples, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    report.unlink()

    done = polytune(space, "ledger", "verify")

    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("2 problems: ")
    assert f"{samples.relative_to(space)}: " + message("cli/tampered-with") in lines
    assert f"{report.relative_to(space)}: " + message("cli/next-run-that-needs-it-restores") in lines


def test_corrupted_and_missing_objects_are_found(polytune: Polytune, space: Path) -> None:
    """An object that does not hold what its name says is named with the output that it stands for."""
    manifest = json.loads(output(space, "manifest.json").read_text())
    files = manifest["steps"]["format"]["output"]["files"]
    first, second = (_object(space, files[name]["digest"]) for name in ("test.jsonl", "train.jsonl"))
    first.write_bytes(b"something else")
    second.unlink()
    prompts = _object(space, manifest["steps"]["generate"]["record"]["files"]["prompts"])
    prompts.write_bytes(b"other prompts")

    found = json.loads(polytune(space, "ledger", "verify", "--json").stdout)["findings"]

    whats = {each["place"]: each["what"] for each in found}
    corrupted, missing, read = (str(path.relative_to(space)) for path in (first, second, prompts))
    assert whats[corrupted] == message("cli/it-should-hold", path=files["test.jsonl"]["path"])
    assert whats[missing] == message("cli/it-holds", path=files["train.jsonl"]["path"])
    assert whats[read] == message("cli/it-should-hold-generate-prompts")
    assert len(found) == 3


def _object(folder: Path, digest: str) -> Path:
    return folder / "runs/objects/sha256" / digest[:2] / digest[2:]


def test_an_output_without_a_sound_copy_is_lost(polytune: Polytune, space: Path) -> None:
    """When neither the place nor the store has an output, verify says that its step must run again."""
    samples = output(space, "generate/samples.jsonl")
    samples.unlink()
    for path in space.glob("runs/objects/sha256/*/*"):
        path.unlink()

    done = polytune(space, "ledger", "verify")

    assert (
        f"{samples.relative_to(space)}: " + message("cli/its-step-must-run-again") in done.stdout.splitlines()
    )


def test_a_newer_output_in_the_same_place_is_no_fault(polytune: Polytune, space: Path) -> None:
    """A step that was forced leaves its new output where the old run's link leads, and verify accepts it."""
    assert polytune(space, "run", file, "--force", "upload").returncode == 0

    assert polytune(space, "ledger", "verify").returncode == 0


def test_a_changed_row_is_found(polytune: Polytune, space: Path) -> None:
    """A result whose record was edited in the database no longer has its key."""
    with closing(sqlite3.connect(space / ledger_name)) as connection, connection:
        (body,) = connection.execute("SELECT body FROM results WHERE kind = 'generate'").fetchone()
        changed = body.replace(b'"count":40', b'"count":41')
        assert changed != body
        connection.execute("UPDATE results SET body = ? WHERE kind = 'generate'", (changed,))

    done = polytune(space, "ledger", "verify")

    assert done.returncode == 1
    assert message("cli/its-record-has-another-key") in done.stdout


def test_a_lost_ledger_is_rebuilt(polytune: Polytune, space: Path) -> None:
    """After deletion and rebuild, plan says hit for everything, and growing asks only the new answers."""
    before = polytune(space, "ls").stdout
    lost(space)
    assert set(states(polytune, space).values()) == {"run"}

    done = polytune(space, "ledger", "rebuild")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"1 runs, 4 results, 40 answers: {space / ledger_name}\n"
    assert states(polytune, space) == dict.fromkeys(("generate", "format", "validate", "upload"), "hit")
    assert polytune(space, "plan", file).returncode == 0
    assert (
        "40 answers reused, 4 to ask"
        in polytune(space, "plan", file, "--set", "steps.generate.count=44").stdout
    )
    assert polytune(space, "ls").stdout == before
    assert polytune(space, "run", file, "--set", "steps.generate.count=44").returncode == 0


def test_a_rebuilt_ledger_says_what_the_lost_one_said(polytune: Polytune, space: Path) -> None:
    """Every result and every answer is the same in every field but the time of storing."""
    before = _memory(space)
    lost(space)

    polytune(space, "ledger", "rebuild")

    assert _memory(space) == before


def _memory(folder: Path) -> tuple[dict[str, Result], list[tuple[object, ...]]]:
    query = "SELECT request, draw, experiment, body, tokens, price_usd FROM answers ORDER BY request, draw"
    with closing(Ledger.open(folder / ledger_name)) as ledger:
        results = {result.record.key: result for result in ledger.results()}
        return results, ledger.connection.execute(query).fetchall()


def test_outputs_are_taken_from_the_store_when_they_are_gone(polytune: Polytune, space: Path) -> None:
    """A result whose files are only in the store is restored by the next run, and its answers are known."""
    lost(space)
    output(space, "generate/samples.jsonl").unlink()

    done = polytune(space, "ledger", "rebuild")

    assert "4 results, 40 answers" in done.stdout
    assert states(polytune, space)["generate"] == "restore"


def test_what_is_nowhere_or_was_edited_is_left_out(polytune: Polytune, space: Path) -> None:
    """Results without any sound copy, and manifests with changed digests, are named and not believed."""
    assert polytune(space, "run", file, "--set", "steps.format.seed=8").returncode == 0
    first, second = sorted(space.glob("runs/lines/*/manifest.json"))
    lost(space)
    manifest = json.loads(second.read_text())
    manifest["steps"]["format"]["record"]["spec"]["seed"] = 9
    second.write_text(json.dumps(manifest))
    report = first.parent / "validate" / "validation.json"
    digest = json.loads(first.read_text())["steps"]["validate"]["output"]["files"]["validation.json"][
        "digest"
    ]
    report.unlink()
    (space / "runs/objects/sha256" / digest[:2] / digest[2:]).unlink()

    done = polytune(space, "ledger", "rebuild")

    assert done.returncode == 0
    assert message("cli/manifest-was-changed", name=second.parent.name) in done.stderr
    assert message("cli/its-output-is-neither-in-place", name=first.parent.name) in done.stderr
    assert states(polytune, space)["validate"] == "run"


def test_a_readable_ledger_is_replaced_only_by_force(polytune: Polytune, space: Path) -> None:
    """--force keeps the old file, and takes over the answers and jobs that no run's folder tells of."""
    ask = Ask("f" * 64, 0)
    with closing(Ledger.open(space / ledger_name)) as ledger:
        AnswerMemory(ledger, "lines").store_now([StoredAnswer(ask=ask, body=b"paid", price_usd=1.5)])
        job = JobRow(
            token="t-1", key="k", attempt=1, state=JobState.SUBMITTED, step="s", request={}, handle="9"
        )
        JobBook(ledger).record(job)

    refused = polytune(space, "ledger", "rebuild")
    done = polytune(space, "ledger", "rebuild", "--force", "--json")

    assert refused.returncode == 2
    made = json.loads(done.stdout)
    assert (made["answers"], made["results"], made["left_out"]) == (41, 4, [])
    with closing(Ledger.open(Path(made["old"]))) as old, closing(Ledger.open(space / ledger_name)) as new:
        assert new.spent_usd("lines") == old.spent_usd("lines") == 1.5
        assert asyncio.run(_found(new, ask)) == b"paid"
        assert [row.handle for row in JobBook(new).open_jobs()] == ["9"]


async def _found(ledger: Ledger, ask: Ask) -> bytes:
    found = AnswerMemory(ledger, "lines").get(ask)
    return found.body if found else b""


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100], ids=["empty", "garbage"])
def test_an_unreadable_ledger_is_set_aside(content: bytes, polytune: Polytune, space: Path) -> None:
    """A ledger that is no database is kept beside and replaced without --force."""
    lost(space)
    (space / ledger_name).write_bytes(content)

    done = polytune(space, "ledger", "rebuild")

    assert done.returncode == 0
    (old,) = space.glob(f"{ledger_name}.*.old")
    assert old.read_bytes() == content
    assert set(states(polytune, space).values()) == {"hit"}


def test_a_damaged_ledger_gives_the_answers_that_can_be_read(polytune: Polytune, space: Path) -> None:
    """A ledger cut in half is told to the user with the remedy, and the remedy works."""
    path = space / ledger_name
    path.write_bytes(path.read_bytes()[:6000])

    told = polytune(space, "plan", file)
    done = polytune(space, "ledger", "rebuild")

    assert told.returncode == 1
    assert message("cli/run-polytune-ledger-rebuild") in told.stderr
    assert done.returncode == 0
    assert set(states(polytune, space).values()) == {"hit"}


def test_a_newer_polytune_s_ledger_is_refused(polytune: Polytune, space: Path) -> None:
    """Not even --force replaces what only a newer version understands."""
    with closing(sqlite3.connect(space / ledger_name)) as connection:
        connection.execute("PRAGMA user_version = 99")

    done = polytune(space, "ledger", "rebuild", "--force")

    assert done.returncode == 1
    assert message("cli/written-by-newer-polytune-schema", number=99) in done.stderr


def test_a_workspace_at_work_is_not_rebuilt(polytune: Polytune, space: Path) -> None:
    """While a run holds its lock, the ledger stays as it is."""
    lost(space)

    with try_lock(output(space, ".lock"), "lines/1 train"):
        done = polytune(space, "ledger", "rebuild")

    assert done.returncode == 1
    assert message("cli/is-being-worked-on-by-process") in done.stderr
    assert not (space / ledger_name).exists()
