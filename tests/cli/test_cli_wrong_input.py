"""Whatever is wrong with a command line: one message that says what and what to do, and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.cli_program import Polytune, file

wrong = [
    (["pla", file], "no command 'pla'. Did you mean 'plan'?"),
    (["plan", "experiments/line.yaml"], "no such experiment file. Did you mean 'lines.yaml'?"),
    (["plan", file, "--frist"], "--frist"),
    (["run", file, "--until", "uplaod"], "no step 'uplaod'. Did you mean 'upload'?"),
    (["run", file, "--workspace", "nowhere"], "--workspace nowhere: no such folder"),
    (["why", file, "trian"], "no step 'trian'"),
    (["show", "2031"], "no run or experiment '2031' here."),
    (["show", "lines", "formt"], "no step 'formt'. Did you mean 'format'?"),
    (["status", "lins"], "Did you mean 'lines'?"),
    (["resume"], "no unfinished run here"),
    (["validate", "--base-model", "nova-lite"], "'FILE...'"),
    (["validate", "answers/lines.jsonl"], "--base-model"),
    (["validate", "answers/line.jsonl", "--base-model", "nova-lite"], "Did you mean 'lines.jsonl'?"),
    (["validate", "answers", "--base-model", "nova-lite"], "answers: is a folder; name the files in it"),
    (["validate", "answers/lines.jsonl", "--base-model", "nova-lit"], "Did you mean 'nova-lite'?"),
    (
        ["validate", "answers/lines.jsonl", "--base-model", "nova-lite", "--format", "prompt"],
        "unknown format 'prompt'",
    ),
    (
        ["validate", "answers/lines.jsonl", "./answers/lines.jsonl", "--base-model", "nova-lite"],
        "is the split 'lines' already; rename one",
    ),
    (["schema", "train"], "(train)"),
    (["gc", "--keep", "-1"], "'--keep'"),
    (["gc", "--keep", "some"], "'some'"),
    (["ledger", "verfy"], "'verfy'"),
    (["ledger", "rebuild"], "is a readable ledger"),
    (["ledger", "path", "--workspace", "nowhere"], "--workspace nowhere: no such folder"),
    (["grader", "build", "strudl"], "unknown grader 'strudl'. Did you mean 'strudel'?"),
    (["init", ".", "--name", "lines"], "experiments/lines.yaml, prompts/lines.yaml"),
    (["init", "new", "--name", "No Spaces"], "--name No Spaces: small letters, digits"),
    (["init", file], "is a file; name a folder"),
    (["completion", "tcsh"], "'bash', 'zsh', 'fish'"),
]


@pytest.mark.parametrize(("words", "message"), wrong, ids=[" ".join(words) for words, _ in wrong])
def test_wrong_input_is_told_once(words: list[str], message: str, polytune: Polytune, finished: Path) -> None:
    """A wrong command line ends with code 2 and a message on stderr, and prints nothing on stdout."""
    done = polytune(finished, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count(message) == 1


@pytest.mark.parametrize(
    "words",
    [["ledger", "verify"], ["show", "lines"], ["status"], ["resume"]],
    ids=["verify", "show", "status", "resume"],
)
def test_a_workspace_without_runs_says_so(words: list[str], polytune: Polytune, tmp_path: Path) -> None:
    """Commands that need a ledger or a run say that there is none, and make no files."""
    done = polytune(tmp_path, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert "here" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["plan", file, "--json"],
        ["run", file, "--json"],
        ["why", file, "format", "--json"],
        ["resume", "lines", "--json"],
        ["status", "--json"],
        ["ls", "--json"],
        ["show", "lines", "--json"],
        ["show", "lines", "generate", "--json"],
        ["validate", "answers/lines.jsonl", "--base-model", "tiny-llama", "--json"],
        ["schema"],
        ["schema", "--manifest"],
        ["gc", "--json"],
        ["ledger", "verify", "--json"],
    ],
    ids=" ".join,
)
def test_json_is_the_whole_of_stdout(words: list[str], polytune: Polytune, finished: Path) -> None:
    """What a program reads is one JSON value on stdout and nothing else."""
    done = polytune(finished, *words)

    assert isinstance(json.loads(done.stdout), dict | list)
