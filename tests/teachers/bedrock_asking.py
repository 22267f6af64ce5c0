"""Generate steps that ask Bedrock, with a real ledger, and a Converse that answers to order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from polytune.engine.answers import AnswerMemory
from polytune.engine.budget import Budget, BudgetLimits
from polytune.engine.clock import clock_at
from polytune.engine.jobbook import JobBook, JobRow
from polytune.engine.jobs import Jobs, Polling
from polytune.engine.ledger import Ledger
from polytune.engine.step import Estimate, Outcome, Progress, Scope, Work
from polytune.graders.interface import GRADERS
from polytune.settings import Settings
from polytune.steps._questions import GenerateSpec
from polytune.steps.generate import Generate
from polytune.teachers.interface import TEACHERS
from tests.bedrock.cloud import Cloud

usual_model = "nova-lite"
most_values = 1000
"""Of one slot; more questions than that draw again."""


def single(**fields: Any) -> dict[str, Any]:
    """A teacher that is asked one by one."""
    return {"kind": "bedrock", "model": usual_model, **fields}


def batch(**fields: Any) -> dict[str, Any]:
    """A teacher that is asked in batch jobs."""
    return {"kind": "bedrock_batch", "model": usual_model, **fields}


@dataclass
class Asking:
    """One generate step and what it remembers."""

    folder: Path
    environment: Mapping[str, str]
    teacher: Mapping[str, Any]
    count: int = 20
    first: int = 0
    """The number in the first prompt."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other fields of the spec."""
    budget: BudgetLimits = field(default_factory=BudgetLimits)
    detach: bool = False
    told: list[Progress] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Commands that stop jobs which were left on their way."""

    def step(self) -> Generate:
        """The step, made anew."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "prompts.yaml"
        numbers = list(range(self.first, self.first + min(self.count, most_values)))
        library = {"system": "Answer.", "templates": ["Piece {{ n }}"], "slots": {"n": numbers}}
        path.write_text(json.dumps(library))
        members = [GRADERS.load(g["kind"]).Spec.model_validate(g) for g in self.more.get("graders", ())]
        spec = GenerateSpec.model_validate(
            {
                "prompts": "prompts.yaml",
                "teacher": TEACHERS.load(self.teacher["kind"]).Spec.model_validate(dict(self.teacher)),
                "count": self.count,
                **self.more,
                **({"graders": members} if members else {}),
            }
        )
        settings = Settings(
            concurrency=8,
            environment=self.environment,
            clock_url=self.environment.get("POLYTUNE_CLOCK_URL", ""),
            cache_folder=self.folder / "cache",
        )
        scope = Scope(self.folder, self.folder, experiment="asking", project="asking", settings=settings)
        return Generate(spec, {"prompts": path}, scope)

    def run(self) -> Outcome:
        """The step's outcome."""
        return asyncio.run(self._running())

    async def _running(self) -> Outcome:
        step = self.step()
        settings = step.scope.settings
        with closing(self.ledger()) as ledger:
            jobs = Jobs(
                JobBook(ledger),
                "key",
                "asking",
                polling=Polling(clock_at(settings.clock_url), detach=self.detach),
                forced=False,
                detached=self.left.append,
            )
            async with AnswerMemory(ledger, "asking") as answers:
                return await step.run(
                    Work(
                        inputs={},
                        folder=self.folder,
                        answers=answers,
                        jobs=jobs,
                        report=self.told.append,
                        budget=Budget(self.budget),
                        root=self.folder,
                    )
                )

    def estimate(self) -> Estimate:
        """What the step says before it runs."""
        with closing(self.ledger()) as ledger:
            return self.step().estimate({}, AnswerMemory(ledger, "asking"))

    def ledger(self) -> Ledger:
        """The memory."""
        return Ledger.open(self.folder / "runs" / "ledger.sqlite3")

    def open_jobs(self) -> list[JobRow]:
        """Jobs of which nothing was collected yet."""
        with closing(self.ledger()) as ledger:
            return JobBook(ledger).open_jobs()

    def samples(self) -> list[dict[str, Any]]:
        """The samples written."""
        return _lines(self.folder / "samples.jsonl")

    def rejects(self) -> list[dict[str, Any]]:
        """The rejects written."""
        return _lines(self.folder / "rejects.jsonl")

    @property
    def notes(self) -> list[str]:
        """What the live line said."""
        return [progress.note for progress in self.told]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def calls(cloud: Cloud, operation: str) -> int:
    """How often an operation was called in the account."""
    return int(cloud.control("state")["calls"].get(operation, 0))


def batch_jobs(cloud: Cloud) -> list[dict[str, Any]]:
    """The batch jobs that the account has seen."""
    found: list[dict[str, Any]] = cloud.control("state")["batch_jobs"]
    return found


Said = dict[str, Any]


def saying(text: str, ending: str = "end_turn", **more: Any) -> Said:
    """An answer of Converse."""
    message = {"role": "assistant", "content": [{"text": text}]}
    usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    return {
        "output": {"message": message},
        "stopReason": ending,
        "usage": usage,
        "metrics": {"latencyMs": 1},
        **more,
    }


@dataclass
class Converser:
    """A Converse that gives its answers in turn, the last one for ever."""

    answers: list[tuple[int, str, Said]]
    """HTTP status, error type ('' for none) and body."""
    asked: list[Said] = field(default_factory=list)
    address: str = ""

    @contextmanager
    def serving(self) -> Iterator[dict[str, str]]:
        """The environment in which Bedrock's runtime is this server."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield {
                "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"http://127.0.0.1:{server.server_address[1]}",
                "AWS_ACCESS_KEY_ID": "AKIATESTS00000000000",
                "AWS_SECRET_ACCESS_KEY": "no-secret-at-all",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(converser: Converser) -> type[BaseHTTPRequestHandler]:
    class Converse(BaseHTTPRequestHandler):
        """One call."""

        def do_POST(self) -> None:
            converser.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answers = converser.answers
            status, error, body = answers.pop(0) if len(answers) > 1 else answers[0]
            content = json.dumps(body).encode()
            self.send_response(status)
            if error:
                self.send_header("x-amzn-ErrorType", error)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    return Converse
