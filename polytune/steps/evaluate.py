"""evaluate: base and custom model answer the test split; the same graders judge both and a trivial rival."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import Field

from polytune.engine.answers import AnswerMemory, Ask, StoredAnswer
from polytune.engine.artifacts import Artifact, Facts
from polytune.engine.budget import Cost, no_cost
from polytune.engine.ledger import Usage
from polytune.engine.step import Estimate, KeyFacts, Outcome, Port, Progress, Requirement, Scope, Step, Work
from polytune.errors import StepFailed
from polytune.evaluation.exchanges import Exchange, read_exchanges
from polytune.evaluation.nearest import Nearest
from polytune.evaluation.significance import Comparison, compare
from polytune.files import write_whole
from polytune.fingerprint import fingerprint
from polytune.formats.interface import FORMATS
from polytune.graders.interface import GRADERS, Case, Grader, GraderSpec, Identity, Verdict
from polytune.platforms.interface import (
    Inference,
    InvocationRequirement,
    Invoked,
    Question,
    Reply,
    open_platform,
)
from polytune.spec.model import Inherited, Items, Member, MemberSpec, Spec

models = ("base", "custom")
rival = "nearest"
settling_seconds = 0.05
"""Between two looks whether a question fits into the budget, once others are settled."""
rivals = {rival: "the training answer whose prompt is nearest"}


class EvaluateSpec(Spec):
    """Compares the custom model with its base on prompts that neither was trained on."""

    graders: Annotated[Items[Annotated[MemberSpec, Member("graders")]], Field(min_length=1)]
    """Who judges; the first one's verdict is the headline."""
    max_tokens: Annotated[int, Field(ge=1, le=32_768)] = 512
    """Longest answer."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """0 always takes the most likely token."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Only the first so many test rows."""
    platform: Annotated[MemberSpec, Member("platforms"), Inherited()]
    """Where the models answer."""
    seed: Annotated[int, Inherited()] = 0
    """For answers drawn at a temperature above 0."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to one test prompt with its verdicts, by grader."""

    text: str
    verdicts: dict[str, Verdict]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One test prompt with everybody's answer."""

    line: int
    prompt: str
    reference: str
    cell: dict[str, str | int | float | bool]
    answers: dict[str, Judged]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How one answerer did under one grader."""

    passed: int
    n: int
    mean: float
    """Mean score, 0 to 1."""


class GraderResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one grader found."""

    judged_by: str
    scores: dict[str, Score]
    """By answerer: base, custom, nearest."""
    custom_versus_base: Comparison | None
    """None where the base model does not answer on the platform, as for an imported model."""
    custom_versus_nearest: Comparison


@dataclass(frozen=True)
class Judge:
    """A grader and the name it goes by in this step."""

    name: str
    grader: Grader
    identity: Identity


class Evaluate(Step):
    """An evaluation: `evaluation.json` with the scores, `answers.jsonl` with every answer and verdict."""

    version = 1
    Spec = EvaluateSpec
    spec: EvaluateSpec
    consumes: ClassVar = {
        "model": Port(("Deployment", "CustomModel")),
        "dataset": Port(("CheckedDataset",)),
    }
    produces = "Evaluation"

    def __init__(self, spec: EvaluateSpec, files: Mapping[str, Path], scope: Scope) -> None:
        super().__init__(spec, files, scope)
        self.platform = open_platform(spec.platform, scope.root, scope.settings)
        self.judges = _judges(spec.graders, scope)
        self.inference = Inference(max_tokens=spec.max_tokens, temperature=spec.temperature, seed=spec.seed)

    def missing(self) -> str:
        """What the platform lacks on this machine."""
        return self.platform.missing()

    def unready(self) -> str:
        """What the platform lacks outside this machine."""
        return self.platform.unready()

    def key_facts(self) -> KeyFacts:
        """Who judges, and with which versions."""
        identities = {judge.name: judge.identity for judge in self.judges}
        watched = [path for identity in identities.values() for path in identity.watched]
        facts = {name: {"name": i.name, "facts": i.facts} for name, i in identities.items()}
        return KeyFacts({"judges": facts}, tuple(watched))

    def estimate(self, inputs: Mapping[str, Artifact], answers: AnswerMemory) -> Estimate:
        """Two answers to every test prompt."""
        dataset = inputs.get("dataset")
        rows = dataset.files["test.jsonl"].records if dataset and "test.jsonl" in dataset.files else None
        asked = None if rows is None else len(models) * min(rows, self.spec.limit or rows)
        free = 0.0 if self.platform.answers_free else None
        return Estimate(requests=asked, usd_low=free, usd_high=free, note="base and custom model")

    def requirements(self) -> Sequence[Requirement]:
        """The models are asked."""
        return [InvocationRequirement(platform=self.platform.name, spec=self.platform.spec)]

    async def run(self, work: Work) -> Outcome:
        """Answers what memory does not hold, judges everything, writes both files."""
        dataset = work.inputs["dataset"]
        exchanges = await asyncio.to_thread(self._test_rows, work, dataset)
        texts = {rival: await asyncio.to_thread(self._nearest, work, dataset, exchanges)}
        usage = Usage()
        asked = tuple(m for m in models if m != "base" or self.platform.has_base(work.inputs["model"]))
        for model in asked:
            replies, more = await self._replies(work, model, exchanges)
            texts[model] = [reply.text for reply in replies]
            usage = _sum(usage, more)
        rows = await self._judged(work, exchanges, texts)
        results = self._results(rows, asked)
        self._write(work.folder, rows, results)
        return Outcome(
            files=("evaluation.json", "answers.jsonl"),
            records={"answers.jsonl": len(rows)},
            facts={"judges": {name: result.judged_by for name, result in results.items()}},
            metrics=self._metrics(work, results),
            usage=usage,
        )

    def _test_rows(self, work: Work, dataset: Artifact) -> list[Exchange]:
        layout = FORMATS.load(dataset.facts["layout"])()
        with work.path("dataset", "test.jsonl").open("rb") as file:
            if any(layout.references_of(line) for line in file):
                raise StepFailed(
                    "test rows hold images, videos or documents, and evaluate asks in text only; leave the"
                    " evaluate step out, or give the dataset a test split of text"
                )
        rows = read_exchanges(work.path("dataset", "test.jsonl"), dataset.facts["layout"])
        cells = (
            _cells(work.path("dataset", "provenance.jsonl")) if "provenance.jsonl" in dataset.files else {}
        )
        limited = rows[: self.spec.limit]
        return [
            msgspec.structs.replace(row, cell=cells.get(number, {})) for number, row in enumerate(limited, 1)
        ]

    def _nearest(self, work: Work, dataset: Artifact, exchanges: Sequence[Exchange]) -> list[str]:
        training = read_exchanges(work.path("dataset", "train.jsonl"), dataset.facts["layout"])
        index = Nearest((row.prompt, row.answer) for row in training)
        return [index.answer(row.prompt) for row in exchanges]

    async def _replies(
        self, work: Work, model: str, exchanges: Sequence[Exchange]
    ) -> tuple[list[Reply], Usage]:
        """Every reply of one model, and what asking came to."""
        invoked = Invoked(work.inputs["model"], base=model == "base")
        invoker = self.platform.invoker(invoked, self.inference)
        batches = [
            exchanges[start : start + invoker.batch_size]
            for start in range(0, len(exchanges), invoker.batch_size)
        ]
        asks = [self._asks(invoked, batch) for batch in batches]
        found = [_known(work.answers, each) for each in asks]
        missing = [number for number, replies in enumerate(found) if replies is None]
        usd: float | None = 0.0
        if missing:
            async with invoker:
                places = iter(missing)

                async def work_through() -> None:
                    nonlocal usd
                    for number in places:
                        questions = [Question(system=e.system, prompt=e.prompt) for e in batches[number]]
                        most = Cost(usd=sum(invoker.most_usd(question) for question in questions))
                        while not work.budget.reserve(most):
                            await asyncio.sleep(settling_seconds)
                        cost = no_cost
                        try:
                            replies = await invoker.ask(questions)
                            cost = _cost(replies)
                        finally:
                            work.budget.settle(most, cost)
                        pairs = zip(asks[number], replies, strict=True)
                        work.answers.store_now(_stored(ask, reply) for ask, reply in pairs)
                        found[number] = replies
                        usd = None if usd is None or cost.usd is None else usd + cost.usd
                        done = sum(len(each) for each in found if each is not None)
                        self._report(work, model, done, len(exchanges))

                await _together(work_through, invoker.batches_at_once)
        whole = [reply for replies in found if replies is not None for reply in replies]
        asked = sum(len(batches[number]) for number in missing)
        return whole, Usage(
            requests=asked,
            reused=len(whole) - asked,
            input_tokens=sum(reply.input_tokens for reply in whole),
            output_tokens=sum(reply.output_tokens for reply in whole),
            usd=usd,
        )

    def _report(self, work: Work, model: str, done: int, rows: int) -> None:
        before = models.index(model) * rows
        note = f"asking the {model} model"
        work.report(Progress(done=before + done, total=len(models) * rows, unit="answers", note=note))

    def _asks(self, model: Invoked, batch: Sequence[Exchange]) -> list[Ask]:
        """The memory's names for a batch; answers may depend on the batch, so it is part of the name."""
        facts = model.artifact.facts
        shared_base = model.base and not facts.get("from_scratch")
        request = fingerprint(
            "polytune.evaluation.v1",
            {
                "model": facts["base_model"] if shared_base else _identity(model.artifact),
                "base": model.base,
                "inference": msgspec.to_builtins(self.inference),
                "batch": [[e.system, e.prompt] for e in batch],
            },
        )
        return [Ask(request, place) for place in range(len(batch))]

    async def _judged(
        self, work: Work, exchanges: Sequence[Exchange], texts: Mapping[str, Sequence[str]]
    ) -> list[Row]:
        rows = []
        async with AsyncExitStack() as stack:
            for judge in self.judges:
                await stack.enter_async_context(judge.grader)
            for number, exchange in enumerate(exchanges):
                answers = {who: await self._verdicts(exchange, texts[who][number]) for who in texts}
                rows.append(
                    Row(
                        line=number + 1,
                        prompt=exchange.prompt,
                        reference=exchange.answer,
                        cell=exchange.cell,
                        answers=answers,
                    )
                )
        return rows

    async def _verdicts(self, exchange: Exchange, text: str) -> Judged:
        case = Case(prompt=exchange.prompt, answer=text, reference=exchange.answer, variables=exchange.cell)
        return Judged(text=text, verdicts={j.name: await j.grader.judge(case) for j in self.judges})

    def _results(self, rows: Sequence[Row], asked: Sequence[str]) -> dict[str, GraderResult]:
        return {judge.name: _result(judge.name, judge.identity.name, rows, asked) for judge in self.judges}

    def _metrics(self, work: Work, results: Mapping[str, GraderResult]) -> Facts:
        random_base = bool(work.inputs["model"].facts.get("from_scratch"))
        return {
            "graders": msgspec.to_builtins(results),
            "base_is_untrained": random_base,
            "rivals": rivals,
        }

    def _write(self, folder: Path, rows: Sequence[Row], results: Mapping[str, GraderResult]) -> None:
        summary = msgspec.json.encode({"rows": len(rows), "graders": results}, order="deterministic")
        write_whole(folder / "evaluation.json", msgspec.json.format(summary, indent=2) + b"\n")
        write_whole(folder / "answers.jsonl", b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _judges(specs: Sequence[MemberSpec], scope: Scope) -> list[Judge]:
    judges: list[Judge] = []
    for number, spec in enumerate(specs, start=1):
        assert isinstance(spec, GraderSpec)
        taken = any(judge.name == spec.kind for judge in judges)
        name = f"{spec.kind}-{number}" if taken else spec.kind
        cls = GRADERS.load(spec.kind)
        identity = cls.identity(spec, scope.folder, scope.settings)
        judges.append(Judge(name, cls(spec, scope.folder, scope.settings), identity))
    return judges


def _result(grader: str, judged_by: str, rows: Sequence[Row], asked: Sequence[str]) -> GraderResult:
    verdicts = {who: [row.answers[who].verdicts[grader] for row in rows] for who in (*asked, rival)}
    passed = {who: [v.passed for v in found] for who, found in verdicts.items()}
    return GraderResult(
        judged_by=judged_by,
        scores={who: _score(found) for who, found in verdicts.items()},
        custom_versus_base=compare(passed["base"], passed["custom"]) if "base" in passed else None,
        custom_versus_nearest=compare(passed[rival], passed["custom"]),
    )


def _score(verdicts: Sequence[Verdict]) -> Score:
    n = len(verdicts)
    mean = round(sum(v.score for v in verdicts) / n, 6) if n else 0.0
    return Score(passed=sum(v.passed for v in verdicts), n=n, mean=mean)


def _cost(replies: Sequence[Reply]) -> Cost:
    """What replies to one batch cost; no price when one of them has none."""
    known = [reply.price_usd for reply in replies if reply.price_usd is not None]
    return Cost(
        usd=sum(known) if len(known) == len(replies) else None,
        tokens=sum(reply.input_tokens + reply.output_tokens for reply in replies),
        requests=len(replies),
    )


async def _together(worker: Callable[[], Coroutine[Any, Any, None]], workers: int) -> None:
    """Several workers at once; the first failure is the step's, after the others have finished theirs."""
    done = await asyncio.gather(*(worker() for _ in range(workers)), return_exceptions=True)
    failures = [each for each in done if isinstance(each, BaseException)]
    if failures:
        raise failures[0]


def _identity(model: Artifact) -> str:
    """The custom model itself, whatever deployment it answers through."""
    return str(model.facts.get("model_digest") or model.digest)


def _known(answers: AnswerMemory, asks: Sequence[Ask]) -> list[Reply] | None:
    """All replies of a batch from memory; None unless every one is there."""
    stored = {found.ask: found.body for found in answers.find(asks)}
    if len(stored) < len(asks):
        return None
    return [msgspec.json.decode(stored[ask], type=Reply) for ask in asks]


def _stored(ask: Ask, reply: Reply) -> StoredAnswer:
    return StoredAnswer(ask=ask, body=msgspec.json.encode(reply), price_usd=reply.price_usd)


def _sum(one: Usage, other: Usage) -> Usage:
    """Both together; the price is unknown when either is."""
    return Usage(
        requests=one.requests + other.requests,
        reused=one.reused + other.reused,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        usd=None if one.usd is None or other.usd is None else one.usd + other.usd,
    )


class _Provenance(msgspec.Struct, frozen=True):
    split: str
    line: int
    cell: dict[str, str | int | float | bool] = {}


def _cells(path: Path) -> dict[int, dict[str, str | int | float | bool]]:
    """The matrix cell of each test row, by line."""
    with path.open("rb") as file:
        rows = (msgspec.json.decode(line, type=_Provenance) for line in file)
        return {row.line: row.cell for row in rows if row.split == "test"}
