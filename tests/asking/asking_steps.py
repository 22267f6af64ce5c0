"""A generate step in a folder of its own, with a real ledger, asked to run as the engine would."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polytune.engine.answers import AnswerMemory
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.clock import RealClock
from polytune.engine.jobbook import JobBook
from polytune.engine.jobs import Jobs
from polytune.engine.jobs import Polling as JobPatience
from polytune.engine.ledger import Ledger, Spent
from polytune.engine.step import Estimate, Outcome, Progress, Scope, Work
from polytune.graders.interface import GRADERS
from polytune.settings import Settings
from polytune.steps._questions import GenerateSpec
from polytune.steps.generate import Generate
from polytune.teachers.interface import TEACHERS

most_values = 1000
"""Of one slot; more prompts than that take two slots."""


@dataclass
class Shop:
    """One generate step and the memory that it pays into."""

    folder: Path
    teacher: Mapping[str, Any]
    count: int = 20
    different: int = 100_000
    """How many different prompts there are before they repeat."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other fields of the spec."""
    concurrency: int = 16
    environment: Mapping[str, str] = field(default_factory=dict)
    budget: BudgetLimits = field(default_factory=BudgetLimits)
    system: str = ""
    told: list[Progress] = field(default_factory=list)

    def step(self) -> Generate:
        """The step, made anew."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "prompts.yaml"
        path.write_text(json.dumps({"system": self.system, **_prompts(min(self.different, self.count))}))
        kind = self.teacher["kind"]
        members = [GRADERS.load(g["kind"]).Spec.model_validate(g) for g in self.more.get("graders", ())]
        spec = GenerateSpec.model_validate(
            {
                "prompts": "prompts.yaml",
                "teacher": TEACHERS.load(kind).Spec.model_validate(dict(self.teacher)),
                "count": self.count,
                **self.more,
                **({"graders": members} if members else {}),
            }
        )
        settings = Settings(concurrency=self.concurrency, environment=self.environment)
        scope = Scope(
            root=self.folder, folder=self.folder, experiment="shop", project="shop", settings=settings
        )
        files = {"prompts": path}
        if "path" in self.teacher:
            files["teacher.path"] = self.folder / str(self.teacher["path"])
        return Generate(spec, files, scope)

    def run(self) -> Outcome:
        """The step's outcome."""
        return asyncio.run(self.running())

    async def running(self) -> Outcome:
        """The same, in a running event loop."""
        step = self.step()
        with closing(self.ledger()) as ledger:
            jobs = Jobs(
                JobBook(ledger),
                "key",
                "shop",
                polling=JobPatience(RealClock()),
                forced=False,
                detached=lambda stop: None,
            )
            async with AnswerMemory(ledger, "shop") as answers:
                work = Work(
                    inputs={},
                    folder=self.folder,
                    answers=answers,
                    jobs=jobs,
                    report=self.told.append,
                    budget=Budget(self.budget),
                    root=self.folder,
                )
                return await step.run(work)

    def ledger(self) -> Ledger:
        """The memory."""
        return Ledger.open(self.folder / "runs" / "ledger.sqlite3")

    def spent(self) -> Spent:
        """What the memory holds."""
        with closing(self.ledger()) as ledger:
            return ledger.spent("shop")

    def estimate(self) -> Estimate:
        """What the step says before it runs."""
        with closing(self.ledger()) as ledger:
            return self.step().estimate({}, AnswerMemory(ledger, "shop"))

    def samples(self) -> list[dict[str, Any]]:
        """The samples written."""
        return _lines(self.folder / "samples.jsonl")

    def rejects(self) -> list[dict[str, Any]]:
        """The rejects written."""
        return _lines(self.folder / "rejects.jsonl")


def _prompts(different: int) -> dict[str, Any]:
    """So many prompts: Piece 0, Piece 1, ..."""
    if different <= most_values:
        return {"templates": ["Piece {{ n }}"], "slots": {"n": list(range(different))}}
    side = math.isqrt(different - 1) + 1
    numbers = list(range(side))
    return {"templates": ["Piece {{ n }} of {{ m }}"], "slots": {"n": numbers, "m": numbers}}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def openai(url: str, **fields: Any) -> dict[str, Any]:
    """A teacher that asks a stub."""
    return {"kind": "openai_compatible", "model": "stub-1", "url": url, **fields}
