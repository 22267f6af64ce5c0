"""A rehearsal for all tests of the folder, a workspace for each, and one in which an experiment has run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from polytune.emulator.bedrock.rehearsal import Rehearsal
from tests.cloud_commands.cloud_program import Space, invoked, write_variables
from tests.emulator.emulator_account import Account

experiment_text = """\
name: lines
project: lines
seed: 7
platform: {kind: bedrock}
steps:
  generate:
    prompts: ../prompts/lines.yaml
    teacher: {kind: replay, path: ../answers/lines.jsonl}
    count: 40
    matrix: {audience: [customers, engineers]}
  format: {system: short, split: {train: 0.8, validation: 0.1, test: 0.1}}
  validate: {}
  upload: {}
  train: {base_model: nova-lite, epochs: 2}
  deploy: {ttl: 7d}
"""


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[Rehearsal]:
    """Bedrock, S3, IAM and the rest, whose time moves only when somebody waits or advances it."""
    with Rehearsal(speed=0).serving() as running:
        yield running


@pytest.fixture
def space(rehearsal: Rehearsal, tmp_path: Path) -> Iterator[Space]:
    """A workspace of an empty account; the bucket keeps what other tests put there."""
    write_variables(tmp_path, rehearsal.environment())
    with Account.rehearsed(rehearsal) as account:
        account.control("reset", {})
        yield Space(tmp_path, account, rehearsal.environment())


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    """A workspace in which `experiments/lines.yaml` has run, with a rehearsal of its own; only read it."""
    folder = tmp_path_factory.mktemp("made") / "lines"
    assert invoked("init", str(folder)).code == 0
    (folder / "experiments/lines.yaml").write_text(experiment_text)
    with Rehearsal(speed=0).serving() as running, Account.rehearsed(running) as account:
        write_variables(folder, running.environment())
        done = invoked("run", str(folder / "experiments/lines.yaml"), "--workspace", str(folder))
        assert done.code == 0, done.err
        yield Space(folder, account, running.environment())
    shutil.rmtree(folder)
