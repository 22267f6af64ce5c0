"""Bedrock for the management suite: an emulated account, asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polytune.emulator.bedrock.rehearsal import Rehearsal
from polytune.engine.ledger import Ledger
from polytune.engine.workspace import Workspace
from polytune.platforms.bedrock.management import BedrockManagement
from polytune.settings import load_settings
from tests.cloud_commands.cloud_program import job_hours, write_variables
from tests.emulator.emulator_account import Account, rows
from tests.platforms.managed import Example


class BedrockExample(Example):
    """Its jobs are customizations of Nova Lite."""

    foreign = "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.nova/abcdefghijkl"

    def __init__(self, folder: Path, account: Account) -> None:
        self.account = account
        self.management = BedrockManagement(
            Workspace(folder), load_settings(folder), Ledger.empty(), region=""
        )

    def start(self) -> str:
        """A customization job, named as runs name theirs."""
        self.account.put("data/train.jsonl", rows(200))
        return self.account.create("lines-train-0123456789-1")

    def finish(self, job: str) -> None:
        """Hours pass."""
        self.account.advance(job_hours)


@contextmanager
def example(folder: Path) -> Iterator[Example]:
    """An account that lives inside the `with`."""
    with Rehearsal(speed=0).serving() as running, Account.rehearsed(running) as account:
        write_variables(folder, running.environment())
        yield BedrockExample(folder, account)
