"""Whatever is wrong with a command line: one message that says what and what to do, and exit code 2."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.cli_program import Polytune, file
from tests.messages import message

wrong = [
    (["pla", file], message("cli/no-command", command="pla", suggestion="plan")),
    (["plan", "experiments/line.yaml"], message("general/no-such-experiment-file", suggestion="lines.yaml")),
    (["plan", file, "--frist"], "--frist"),
    (["run", file, "--until", "uplaod"], message("general/no-step", step="uplaod", suggestion="upload")),
    (["run", file, "--workspace", "nowhere"], "--workspace nowhere: " + message("general/no-such-folder")),
    (["why", file, "trian"], "no step 'trian'"),
    (["show", "2031"], message("cli/no-run-or-experiment-here", experiment=2031)),
    (["show", "lines", "formt"], message("general/no-step", step="formt", suggestion="format")),
    (["status", "lins"], message("general/did-you-mean", suggestion="lines")),
    (["resume"], message("cli/no-unfinished-run-here")),
    (["validate", "--base-model", "nova-lite"], "'FILE...'"),
    (["validate", "answers/lines.jsonl"], "--base-model"),
    (
        ["validate", "answers/line.jsonl", "--base-model", "nova-lite"],
        message("general/did-you-mean", suggestion="lines.jsonl"),
    ),
    (["validate", "answers", "--base-model", "nova-lite"], message("cli/is-folder")),
    (
        ["validate", "answers/lines.jsonl", "--base-model", "nova-lit"],
        message("general/did-you-mean", suggestion="nova-lite"),
    ),
    (
        ["validate", "answers/lines.jsonl", "--base-model", "nova-lite", "--format", "prompt"],
        "unknown format 'prompt'",
    ),
    (
        ["validate", "answers/lines.jsonl", "./answers/lines.jsonl", "--base-model", "nova-lite"],
        message("cli/is-split-already", split="lines"),
    ),
    (["schema", "train"], "(train)"),
    (["gc", "--keep", "-1"], "'--keep'"),
    (["gc", "--keep", "some"], "'some'"),
    (["ledger", "verfy"], "'verfy'"),
    (["ledger", "rebuild"], message("cli/is-readable-ledger")),
    (
        ["ledger", "path", "--workspace", "nowhere"],
        "--workspace nowhere: " + message("general/no-such-folder"),
    ),
    (["grader", "build", "strudl"], message("cli/unknown-grader", grader="strudl", suggestion="strudel")),
    (["init", ".", "--name", "lines"], "experiments/lines.yaml, prompts/lines.yaml"),
    (["init", "new", "--name", "No Spaces"], message("cli/name-no-spaces")),
    (["init", file], message("cli/is-file")),
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
    assert re.search(r"\bno (ledger|run|runs|unfinished run)\b", done.stderr)
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
