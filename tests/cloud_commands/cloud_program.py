"""The program in this process, in a workspace whose `.env` points at a rehearsal; and as a process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from polytune.cli.main import cli
from polytune.errors import PolytuneError
from tests.emulator.emulator_account import Account, rows

job_hours = 3 * 3600


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Space:
    """A workspace, and the account that its `.env` leads to."""

    folder: Path
    account: Account
    variables: Mapping[str, str]

    def run(self, *words: str, typed: str | None = None) -> Done:
        """The program has ended; without `typed`, nobody answers its questions."""
        return invoked(*words, "--workspace", str(self.folder), typed=typed)

    def job(self, name: str, validated: bool = False, **changed: Any) -> str:
        """A customization job that somebody started has been created; its ARN."""
        uri = self.account.put("data/train.jsonl", rows(200))
        if validated:
            changed["validationDataConfig"] = {"validators": [{"s3Uri": uri}]}
        return self.account.create(name, **changed)

    def model(self, name: str, **changed: Any) -> str:
        """A job has run to its end; the ARN of `<name>-model`."""
        arn = self.job(name, **changed)
        self.account.advance(job_hours)
        made: str = self.account.job(arn)["outputModelArn"]
        return made


def invoked(*words: str, typed: str | None = None) -> Done:
    """The program has been called in this process."""
    ended = CliRunner().invoke(cli, list(words), standalone_mode=False, input=typed)
    if isinstance(ended.exception, PolytuneError):
        return Done(ended.exception.exit_code, ended.stdout, f"{ended.stderr}{ended.exception}\n")
    if ended.exception is not None:
        raise ended.exception
    return Done(int(ended.return_value or 0), ended.stdout, ended.stderr)


def write_variables(folder: Path, variables: Mapping[str, str]) -> None:
    """The workspace's `.env` states these variables, and the folder is a workspace."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    (folder / ".env").write_text(text, encoding="utf-8")


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that leads to an AWS account."""
    ours = ("AWS_", "BEDROCK_", "POLYTUNE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
