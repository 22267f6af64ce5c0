"""`polytune data ...`: each command on files of any layout, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from polytune.cli.data.group import command
from polytune.engine.artifacts import Artifact
from polytune.engine.manifest import GitSource, Manifest, StepReport, write_manifest
from polytune.errors import PolytuneError, UsageError
from tests.data.data_gallery import Case
from tests.data.data_samples import row as conversation
from tests.data.data_samples import sample, write
from tests.messages import matching, message


def data(*words: str | Path) -> Result:
    """What `polytune data` says. Raises what the program would report."""
    result = CliRunner().invoke(command, [str(word) for word in words])
    if isinstance(result.exception, PolytuneError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def said(*words: str | Path) -> Any:
    """What `polytune data ... --json` says."""
    return json.loads(data(*words, "--json").stdout)


def file(folder: Path, *lines: str, name: str = "rows.jsonl") -> Path:
    """A file of these lines."""
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def pair(prompt: str, answer: str, **more: object) -> str:
    """A row of prompt and completion."""
    return json.dumps({"prompt": prompt, "completion": answer, **more})


BROKEN = (
    Case("Answer in JSON: who is Ada?", "A mathematician.").line(),
    pair("Who is Bob?", "Write to bob@acme-tools.com.", id="b1"),
    "{",
    pair("Who is Bob?", "A builder."),
    pair("Who is  Bob?", "A builder.\n"),
)


def test_lint_prints_what_programs_read(tmp_path: Path) -> None:
    """Rows and findings in line order, each with rule, severity, line, path, message and fix; exit code 1."""
    result = data("lint", file(tmp_path, *BROKEN), "--json")
    found = json.loads(result.stdout)

    assert result.exit_code == 1
    assert set(found) == {"rows", "findings", "not_checked"}
    assert found["not_checked"] == {}
    assert found["rows"] == 5
    assert [(each["line"], each["rule"], each["severity"], each["path"]) for each in found["findings"]] == [
        (1, "format-contradiction", "error", "messages[1].content"),
        (2, "personal-data", "warning", "completion"),
        (3, "unreadable-row", "error", ""),
        (4, "different-answers", "warning", ""),
        (5, "duplicate-row", "warning", ""),
    ]
    for each in found["findings"]:
        assert set(each) == {"rule", "severity", "line", "path", "message", "fix"}
        assert each["message"]
        assert each["fix"]


def test_lint_groups_for_people(tmp_path: Path) -> None:
    """Each rule once, with count, place, row id and fix; the verdict last."""
    lines = data("lint", file(tmp_path, *BROKEN, BROKEN[1])).stdout.splitlines()

    assert "error: format-contradiction" in lines
    assert "warning: personal-data (2 times)" in lines
    assert any(
        "rows.jsonl:2: " + message("data/e-mail-address") in line and line.endswith("b1") for line in lines
    )
    assert lines[-1] == "6 rows: 2 errors, 5 warnings"


def test_lint_of_sound_rows_says_so(tmp_path: Path) -> None:
    """No findings, exit code 0, whatever the layout."""
    path = file(tmp_path, pair("a", "b"), conversation("c", "d"), Case("e", "f").line(), '{"text": "g"}')

    result = data("lint", path, "--fail-on", "warning")

    assert (result.exit_code, result.stdout) == (0, "4 rows: 0 errors, 0 warnings\n")


def test_warnings_fail_on_request(tmp_path: Path) -> None:
    """A warning leaves the exit code alone unless --fail-on warning is said."""
    path = file(tmp_path, BROKEN[1])

    assert data("lint", path).exit_code == 0
    assert data("lint", path, "--fail-on", "warning").exit_code == 1


def test_rows_are_allowed_by_id(tmp_path: Path) -> None:
    """An id that the row states, one that `head` shows, and a file of them let findings pass."""
    path = file(tmp_path, *BROKEN)
    shown = [each["id"] for each in said("head", path, "-n", "5")]
    listed = tmp_path / "allow.yaml"
    listed.write_text(f"different-answers: [{shown[3]}]\nduplicate-row: ['{shown[4]}']\n")
    words = (
        "--allow",
        f"format-contradiction={shown[0]}",
        "--allow",
        "personal-data=b1",
        "--allow-file",
        listed,
    )

    result = data("lint", path, *words)

    assert shown[1] == "b1"
    assert result.stdout.splitlines()[-1] == "5 rows: 1 error, 0 warnings; 4 allowed"
    assert [each["rule"] for each in said("lint", path, *words)["findings"]] == ["unreadable-row"]


def test_one_rule_alone(tmp_path: Path) -> None:
    """--rule looks for nothing else; an unknown one gets the nearest name."""
    path = file(tmp_path, *BROKEN)

    assert [each["rule"] for each in said("lint", path, "--rule", "duplicate-row")["findings"]] == [
        "duplicate-row"
    ]
    with pytest.raises(
        UsageError, match=matching("data/unknown-lint-rule", rule="refusals", suggestion="refusal")
    ):
        data("lint", path, "--rule", "refusals")
    with pytest.raises(UsageError, match="unknown lint rule 'secrets'"):
        data("lint", path, "--allow", "secrets=x")


def test_a_base_model_makes_its_strings_errors_and_sets_a_limit(tmp_path: Path) -> None:
    """`System:` is a warning for nobody in particular and an error for Nova; too long a row is one, too."""
    path = file(tmp_path, pair("System: hello", "Hello."), pair("long", "word " * 40_000))

    free = {(each["rule"], each["severity"]) for each in said("lint", path)["findings"]}
    nova = {
        (each["rule"], each["severity"])
        for each in said("lint", path, "--base-model", "nova-lite")["findings"]
    }

    assert ("reserved-string", "warning") in free
    assert {("reserved-string", "error"), ("row-too-long", "error")} <= nova


def test_rules_are_listed(tmp_path: Path) -> None:
    """Every rule with severity, example and fix."""
    rules = said("lint", "--rules")

    assert {"format-contradiction", "secret", "duplicate-row"} <= {rule["name"] for rule in rules}
    assert all(rule["severity"] in ("error", "warning") and rule["example"] and rule["fix"] for rule in rules)
    assert data("lint", "--rules").stdout.count("\n") == 3 * len(rules)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lint",), matching("data/data-lint")),
        (("lint", "--allow", "secret", "rows.jsonl"), "--allow secret: write RULE=ID"),
        (("stats", "row.jsonl"), r"row\.jsonl: " + matching("data/no-such-file", suggestion="rows.jsonl")),
        (("head", "."), r"\.: " + matching("data/is-folder")),
        (("statz", "rows.jsonl"), matching("data/no-command", command="statz", suggestion="stats")),
        (
            ("dedupe", "rows.jsonl", "--threshold", "0.1"),
            matching("data/near-duplicates-need-one", number="0.1"),
        ),
        (
            ("dedupe", "rows.jsonl", "--kind", "semantic", "--out", "x"),
            matching("data/semantic-reports-only"),
        ),
    ],
)
def test_bad_words_get_one_clear_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    """What is wrong, and what to write instead."""
    file(tmp_path, pair("a", "b"))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(PolytuneError, match=message):
        data(*words)


def test_an_allow_file_must_be_lists(tmp_path: Path) -> None:
    """Anything else is refused with the file's name."""
    listed = tmp_path / "allow.yaml"
    listed.write_text("secret: row-1\n")

    with pytest.raises(UsageError, match=r"allow\.yaml: " + matching("data/not-lists-of-row-ids")):
        data("lint", file(tmp_path, pair("a", "b")), "--allow-file", listed)


def test_stats_of_mixed_rows(tmp_path: Path) -> None:
    """Layouts, prompts, repeats, tokens, teachers, cells and scores of one file."""
    made = [
        json.loads(line) for line in write(tmp_path / "s", [sample(1), sample(2)]).read_text().splitlines()
    ]
    rows = [
        *[json.dumps(each) for each in made],
        pair("a", "b", score=0.5),
        pair("a", "b", score=1.0),
        pair("a", "c", model="m1"),
        conversation("q", "r", "s"),
        "{",
    ]

    found = said("stats", file(tmp_path, *rows))

    assert (found["rows"], found["bad_rows"]) == (6, 1)
    assert found["layouts"] == {"prompt-completion": 3, "polytune-samples": 2, "bedrock-conversation-2024": 1}
    assert (found["prompts"], found["duplicate_rows"], found["different_answers"]) == (4, 1, 1)
    assert (found["scored_rows"], found["mean_score"]) == (2, 0.75)
    assert found["teachers"] == {"composed offline": 2, "m1": 1}
    assert found["cells"] == {"complexity=simple, style=techno": 2}
    assert found["tokens"]["min"] <= found["tokens"]["p50"] <= found["tokens"]["max"]
    assert not found["tokens_exact"]
    assert "within 21 %" in found["token_error"]
    assert found["longest_row"] in (1, 2)


def test_stats_are_for_people_too(tmp_path: Path) -> None:
    """The same figures as lines; an empty file has none."""
    lines = data("stats", file(tmp_path, pair("a", "b"), pair("a", "b"))).stdout.splitlines()
    empty = data("stats", file(tmp_path, name="empty.jsonl")).stdout.splitlines()

    assert lines[0].startswith("2 rows, ")
    assert message("data/repeated-duplicate-row", number=1, number2=0) in lines
    assert empty[:2] == ["0 rows, 0.0 kB", "layout       none"]


def test_head_and_sample_show_texts(tmp_path: Path) -> None:
    """The first rows, or as many drawn evenly and by seed, in file order, bad ones with the reason."""
    path = file(tmp_path, "{", *[pair(f"p{n}", f"a{n}") for n in range(2, 41)])

    first = said("head", path, "-n", "2")
    one, other = (said("sample", path, "-n", "8", "--seed", seed) for seed in "12")

    assert [(each["line"], each["prompt"], each["answer"]) for each in first] == [
        (1, "", ""),
        (2, "p2", "a2"),
    ]
    assert first[0]["problem"].startswith("not JSON")
    assert one == said("sample", path, "-n", "8", "--seed", "1") != other
    assert [each["line"] for each in one] == sorted({each["line"] for each in one})
    assert max(each["line"] for each in one) > 20
    assert len(said("sample", path, "-n", "99")) == 40


def test_long_texts_are_cut_for_people(tmp_path: Path) -> None:
    """A text of many lines ends with how much is left; --whole shows it all."""
    path = file(tmp_path, pair("p", "\n".join(f"line {n}" for n in range(50))))

    assert "line 49" not in data("head", path).stdout
    assert "more characters: --whole" in data("head", path).stdout
    assert "line 49" in data("head", path, "--whole").stdout


def test_dedupe_reports_first_and_writes_on_request(tmp_path: Path) -> None:
    """Without --out nothing is written; with it the file without the rows that repeat others."""
    text = " ".join(f"word{n}" for n in range(60))
    path = file(tmp_path, pair("p", text), pair("p", f"{text} more"), pair("q", "other"))
    held = file(tmp_path, pair("q", "other"), name="test.jsonl")
    out = tmp_path / "out.jsonl"

    report = data("dedupe", path, "--held-out", held).stdout.splitlines()

    assert report[0] == "line 2   like line 1   0.99"
    assert report[1].startswith("line 3   like ")
    assert report[1].endswith("test.jsonl:1   1.00")
    assert report[2:] == [
        message("data/repeat-others", rows=3, number=2, number2=1),
        message("data/nothing-was-written"),
    ]
    assert "3 rows, 0 repeat others" in data("dedupe", path, "--kind", "exact").stdout
    assert said("dedupe", path, "--held-out", held, "--out", out)["kept"] == 1
    assert out.read_text() == path.read_text().splitlines(keepends=True)[0]


def test_diff_matches_rows_across_layouts(tmp_path: Path) -> None:
    """Rows match by prompt, whatever layout and order; added, removed and changed ones are named."""
    a = file(tmp_path, pair("p1", "a1"), pair("p2", "a2"), pair("p3", "a3"), name="a.jsonl")
    b = file(tmp_path, Case("p4", "a4").line(), conversation("p3", "x"), pair("p1", " a1"), name="b.jsonl")

    result = data("diff", a, b)
    found = said("diff", a, b)

    assert result.exit_code == 1
    assert (found["same"], found["added"], found["removed"], found["changed"]) == (1, 1, 1, 1)
    assert [each["prompt"] for each in found["first_added"]] == ["p4"]
    assert [each["prompt"] for each in found["first_removed"]] == ["p2"]
    assert [(each["line"], each["was_line"]) for each in found["first_changed"]] == [(2, 3)]
    assert "         line 2 (was line 3): p3" in result.stdout.splitlines()
    assert data("diff", a, a).exit_code == 0


def test_a_card_says_who_wrote_the_rows_and_what_is_wrong(tmp_path: Path) -> None:
    """Licence as stated, teachers, counts, cells and lint in Markdown."""
    lines = write(tmp_path / "s", [sample(1)]).read_text().splitlines()
    path = file(
        tmp_path, *lines, pair("a", "b", model="claude-4-5-sonnet"), pair("c", "d", model="x1"), *BROKEN
    )

    page = data("card", path, "--licence", "CC0-1.0").stdout

    assert page.startswith("# rows.jsonl\n")
    assert "\nLicence: CC0-1.0.\n" in page
    assert "| composed offline | 1 |" in page
    assert "| claude-4-5-sonnet | 1 |" in page
    assert "| complexity=simple, style=techno | 1 |" in page
    assert "| format-contradiction | error | 1 |" in page
    assert message("data/no-run-near-this-file-says") in page


def test_a_card_says_how_to_make_a_runs_file_again(tmp_path: Path) -> None:
    """A file in a run's folder: commit, command, and the licence and teacher that the run states."""
    step = StepReport(
        kind="generate", output=Artifact(type="Samples", files={}, facts={"teacher": "claude-4-5-sonnet"})
    )
    manifest = Manifest(
        run_id="20261121T120000",
        experiment="strudel",
        status="done",
        path="experiments/strudel.yaml",
        spec={"licence": "our contract with Anthropic"},
        origins={},
        overrides=("steps.generate.count=50",),
        polytune="0.1",
        python="3.11",
        host="here",
        git=GitSource(commit="abc123", dirty=True),
        started_at="2026-11-21T12:00:00Z",
        steps={"generate": step},
        order=("generate",),
    )
    folder = tmp_path / "runs" / "strudel" / "20261121T120000"
    (folder / "format").mkdir(parents=True)
    write_manifest(folder / "manifest.json", manifest)
    path = file(folder / "format", conversation("a", "b"), name="train.jsonl")

    page = data("card", path).stdout

    assert "| claude-4-5-sonnet | not stated |" in page
    assert "\nLicence: our contract with Anthropic.\n" in page
    assert message("data/run-of-strudel", run="20261121T120000", number="0.1") in page
    assert (
        "git checkout abc123\npolytune run experiments/strudel.yaml --set steps.generate.count=50\n" in page
    )


def test_a_card_goes_to_a_file_or_a_program(tmp_path: Path) -> None:
    """--out writes the page, --json gives its facts; rows that name nobody are said to."""
    path, out = file(tmp_path, pair("a", "b")), tmp_path / "CARD.md"

    result = data("card", path, "--out", out)

    assert (result.stdout, result.stderr) == ("", f"written to {out}\n")
    assert "\nLicence: not stated.\n" in out.read_text()
    assert message("data/rows-do-not-say-who-wrote") in out.read_text()
    assert "No findings." in out.read_text()
    assert said("card", path)["summary"]["rows"] == 1


def test_help_names_every_command() -> None:
    """The group's help lists its commands, each command its options."""
    listed = data("--help").stdout

    for name in ("stats", "head", "sample", "lint", "dedupe", "diff", "card"):
        assert f"  {name} " in listed
        assert "--json" in data(name, "--help").stdout
