"""What an evaluation writes and reads again: every answer with its verdicts, and the scores of each grader.

answers.jsonl     one EvaluatedPrompt a line
evaluation.json   an Evaluation; its GraderResults are the step's metrics too
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from polytune.engine.artifacts import Facts
from polytune.evaluation.significance import Comparison, compare
from polytune.files import write_whole

answers_name = "answers.jsonl"
summary_name = "evaluation.json"
base, custom, nearest = "base", "custom", "nearest"
"""Who answers: the base model, the custom model, and the trivial rival (see `nearest.py`)."""

Scalar = str | int | float | bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a grader says of one answer."""

    passed: bool
    score: float
    """From 0 (worst) to 1 (best); 1.0 or 0.0 when the grader only knows pass and fail."""
    reason: str = ""
    """Why it failed, in one line; '' when it passed."""
    details: dict[str, Scalar] = {}
    """Measured parts, such as the onsets counted."""


class JudgedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to one test prompt with its verdicts, by grader."""

    text: str
    verdicts: dict[str, Verdict]


class EvaluatedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """One test prompt with everybody's answer."""

    line: int
    """The row's line in the test split, from 1."""
    prompt: str
    reference: str
    """The answer in the dataset; '' when there is none."""
    cell: dict[str, Scalar] = {}
    """The matrix cell the row came from; empty when unknown."""
    answers: dict[str, JudgedAnswer]
    """By answerer: base, custom, nearest."""


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
    custom_versus_base: Comparison | None = None
    """None where the base model does not answer on the platform, as for an imported model."""
    custom_versus_nearest: Comparison


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of an evaluation."""

    graders: dict[str, GraderResult]
    rows: int


def grader_result(
    grader: str, judged_by: str, rows: Sequence[EvaluatedPrompt], answerers: Iterable[str]
) -> GraderResult:
    """One grader's scores of these answerers, compared on the same prompts."""
    verdicts = {who: [row.answers[who].verdicts[grader] for row in rows] for who in answerers}
    passed = {who: [verdict.passed for verdict in found] for who, found in verdicts.items()}
    return GraderResult(
        judged_by=judged_by,
        scores={who: _score(found) for who, found in verdicts.items()},
        custom_versus_base=compare(passed[base], passed[custom]) if base in passed else None,
        custom_versus_nearest=compare(passed[nearest], passed[custom]),
    )


def _score(verdicts: Sequence[Verdict]) -> Score:
    n = len(verdicts)
    mean = round(sum(verdict.score for verdict in verdicts) / n, 6) if n else 0.0
    return Score(passed=sum(verdict.passed for verdict in verdicts), n=n, mean=mean)


def write_evaluation(
    folder: Path, rows: Sequence[EvaluatedPrompt], results: Mapping[str, GraderResult]
) -> None:
    """Both files are in the folder."""
    summary = msgspec.json.encode(Evaluation(rows=len(rows), graders=dict(results)), order="deterministic")
    write_whole(folder / summary_name, msgspec.json.format(summary, indent=2) + b"\n")
    write_whole(folder / answers_name, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def evaluation_metrics(results: Mapping[str, GraderResult], *, base_is_untrained: bool) -> Facts:
    """The metrics that a manifest keeps of an evaluation."""
    return {
        "graders": msgspec.to_builtins(results),
        "base_is_untrained": base_is_untrained,
        "rivals": {nearest: "the training answer whose prompt is nearest"},
    }


def is_evaluation(metrics: Facts) -> bool:
    """Whether a step's metrics are those of an evaluation."""
    return "graders" in metrics


def results_in(metrics: Facts) -> dict[str, GraderResult]:
    """The results by grader, out of the metrics of an evaluation."""
    return msgspec.convert(metrics["graders"], dict[str, GraderResult])


def evaluated_prompts(lines: Iterable[bytes]) -> Iterator[EvaluatedPrompt]:
    """The rows of an `answers.jsonl`."""
    decoder = msgspec.json.Decoder(EvaluatedPrompt)
    yield from map(decoder.decode, lines)
