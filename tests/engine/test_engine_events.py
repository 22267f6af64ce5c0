"""Events: one JSON object a line, a documented vocabulary, and no secret in any of them or anywhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytune.engine import events
from polytune.engine.events import Redactor, hidden, open_log, secret_values
from tests.engine.engine_bench import Bench
from tests.messages import message

secret = "hunter2-hunter2"
redact = Redactor([secret, "short", "hunter2-hunter2-and-more"])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A workspace whose `.env` holds secrets."""
    made = Bench.made(tmp_path, monkeypatch)
    with (made.root / ".env").open("a") as env:
        env.write(f"SERVICE_API_KEY={secret}\nPLAIN_NAME=silver-bullet\n")
    return made


def recorded(path: Path) -> list[dict[str, Any]]:
    """The events in a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def logged(folder: Path, **fields: object) -> dict[str, Any]:
    """One event, as the file has it."""
    with open_log(folder / "events.jsonl", redact, []) as log:
        log.info("step_failed", **fields)
    return recorded(folder / "events.jsonl")[-1]


def vocabulary() -> set[str]:
    """The events that the module's docstring documents."""
    assert events.__doc__ is not None
    return set(re.findall(r"^    ((?:run|step)_[a-z]+) ", events.__doc__, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        (f"before {secret} after {secret}", f"before {hidden} after {hidden}"),
        ("hunter2-hunter2-and-more", hidden),
        ("short", "short"),
        ({"a": [{"b": secret}]}, {"a": [{"b": hidden}]}),
        ({secret: 1}, {hidden: 1}),
        ({"api_key": "anything"}, {"api_key": hidden}),
        ({"apiKeys": ["one", "two"]}, {"apiKeys": [hidden, hidden]}),
        ({"Authorization": "Bearer x"}, {"Authorization": hidden}),
        ({"credentials": {"user": "me", "tries": 3}}, {"credentials": {"user": hidden, "tries": 3}}),
        (
            {"input_tokens": 5, "output_tokens": 6, "tokens": "7"},
            {"input_tokens": 5, "output_tokens": 6, "tokens": "7"},
        ),
        ({"error": ValueError(secret)}, {"error": hidden}),
        ({"path": Path(f"/x/{secret}")}, {"path": f"/x/{hidden}"}),
        ({"done": 0.5, "ok": True, "none": None}, {"done": 0.5, "ok": True, "none": None}),
    ],
)
def test_secrets_are_redacted_by_value_and_by_name(value: object, clean: object) -> None:
    """Values are found inside text, keys and objects; whatever stands under a secret's name is hidden."""
    assert redact(value) == clean


words = st.sampled_from([secret, f"a{secret}b", "x", "token", "api_key", "name"])
anything = st.recursive(
    words | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=10,
)


@given(anything)
def test_no_secret_value_gets_through(value: object) -> None:
    """Wherever a secret stands in a JSON value, the redacted value does not contain it."""
    assert secret not in json.dumps(redact(value))


def test_secrets_come_from_names_and_from_references() -> None:
    """A variable is secret because of its name, or because a spec refers to it as one."""
    environment = {"MY_TOKEN": "1", "DB_PASSWORD": "2", "FOO": "3", "HOME": "4"}

    assert secret_values(environment, ["${secret:FOO}"]) == ["1", "2", "3"]


def test_an_event_is_a_line_with_its_time(tmp_path: Path) -> None:
    """Each event has its name, a UTC timestamp and its fields; a reopened file is continued."""
    first = logged(tmp_path, step="a", message="no")
    logged(tmp_path, step="b", message="no")

    assert (first["event"], first["step"], first["message"]) == ("step_failed", "a", "no")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first["timestamp"])
    assert len(recorded(tmp_path / "events.jsonl")) == 2


def test_a_crash_is_told_without_local_variables(tmp_path: Path) -> None:
    """The stack of a defect names files and lines, hides secrets in its text, and shows no local values."""
    local = "value of a local"
    try:
        raise RuntimeError(f"cannot use {secret} {len(local)}")
    except RuntimeError:
        event = logged(tmp_path, step="a", exc_info=True)

    assert "RuntimeError: cannot use [redacted] 16" in event["exception"]
    assert "test_engine_events.py" in event["exception"]
    assert local not in event["exception"]


def test_progress_is_thinned_in_the_file_and_whole_for_the_screen(tmp_path: Path) -> None:
    """Many reports of a second become one line a step; listeners get every one, redacted."""
    heard: list[Mapping[str, Any]] = []

    with open_log(tmp_path / "events.jsonl", redact, [heard.append]) as log:
        for number in range(50):
            log.info("step_progress", step="a" if number % 2 else "b", done=number, note=secret)

    assert [event["step"] for event in recorded(tmp_path / "events.jsonl")] == ["b", "a"]
    assert [event["done"] for event in heard] == list(range(50))
    assert {event["note"] for event in heard} == {hidden}


def test_a_run_speaks_the_documented_vocabulary(bench: Bench) -> None:
    """The events of runs that work, fail, skip, restore and reuse are all documented ones."""
    bench.write("a.txt", "one")
    steps = {
        "a": {"uses": "source", "path": "a.txt"},
        "q": {"uses": "asker", "count": 3},
        "f": {"uses": "flaky"},
        "t": {"uses": "trim", "from": "f"},
    }
    path = bench.experiment("x", steps)
    bench.write("broken", "on purpose")
    first = bench.run(path)
    (bench.root / "broken").unlink()
    (bench.root / "runs" / "x" / first.run_id / "a" / "out.txt").unlink()
    second = bench.run(path)

    told = [
        event
        for run_id in (first.run_id, second.run_id)
        for event in recorded(bench.root / "runs" / "x" / run_id / "events.jsonl")
    ]
    names = {event["event"] for event in told}
    assert names <= vocabulary()
    assert names >= {
        "run_started", "step_started", "step_progress", "step_finished", "step_failed", "step_skipped",
        "step_restored", "step_cached", "run_finished",
    }  # fmt: skip
    assert all("timestamp" in event for event in told)


def test_no_file_of_a_run_holds_a_secret(bench: Bench) -> None:
    """An error that quotes secrets is shown and stored without them: events, manifest, ledger and all."""
    bench.write("broken", f"the service refused {secret} and silver-bullet")
    path = bench.experiment("x", {"f": {"uses": "flaky", "phrase": "${secret:PLAIN_NAME}"}})

    manifest = bench.run(path)

    assert manifest.status == "failed"
    assert manifest.steps["f"].message == f"broken: the service refused {hidden} and {hidden}"
    files = [each for each in (bench.root / "runs").rglob("*") if each.is_file()]
    assert any(each.name == "manifest.json" for each in files)
    for each in files:
        content = each.read_bytes()
        assert secret.encode() not in content, each
        assert b"silver-bullet" not in content, each
    assert manifest.spec["steps"]["f"]["phrase"] == "${secret:PLAIN_NAME}"


def test_a_defect_in_a_plugin_fails_its_step_alone(bench: Bench) -> None:
    """An unexpected error is told as a defect, with its stack in the events; other steps go on."""
    bench.write("a.txt", "one")
    path = bench.experiment("x", {"a": {"uses": "source", "path": "a.txt"}, "f": {"uses": "flaky"}})
    (bench.root / "broken").mkdir()

    manifest = bench.run(path)

    assert manifest.status == "failed"
    assert str(manifest.steps["a"].status) == "done"
    assert manifest.steps["f"].message.startswith("IsADirectoryError: ")
    assert manifest.steps["f"].message.endswith(message("engine/defect-in-polytune-or-plugin"))
    crashes = [
        event
        for event in recorded(bench.root / "runs" / "x" / manifest.run_id / "events.jsonl")
        if event["event"] == "step_crashed"
    ]
    assert len(crashes) == 1
    assert "Traceback" in crashes[0]["exception"]
