"""The files of an evaluation: every answer with its verdicts, and the scores of each grader.

answers.jsonl     one EvaluatedPrompt per line
evaluation.json   an Evaluation; its GraderResults are also the step's metrics
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
"""The answerers: the base model, the custom model, and the trivial rival (see `nearest.py`)."""

Scalar = str | int | float | bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A grader's verdict on one answer."""

    passed: bool
    score: float
    """From 0 (worst) to 1 (best); 1.0 or 0.0 from a grader that only distinguishes pass and fail."""
    reason: str = ""
    """Why it failed, in one line; '' when it passed."""
    details: dict[str, Scalar] = {}
    """Individual measurements, such as the number of onsets."""


class JudgedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to a test prompt, with its verdicts by grader."""

    text: str
    verdicts: dict[str, Verdict]


class EvaluatedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """One test prompt with the answers of all answerers."""

    line: int
    """The row's line in the test split, counted from 1."""
    prompt: str
    reference: str
    """The answer in the dataset; '' if there is none."""
    cell: dict[str, Scalar] = {}
    """The matrix cell the row came from; empty if unknown."""
    answers: dict[str, JudgedAnswer]
    """By answerer: base, custom, nearest."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one answerer under one grader."""

    passed: int
    """Answers that passed."""
    n: int
    """Answers judged."""
    mean: float
    """Mean score, 0 to 1, rounded to six digits; 0.0 without answers."""


class GraderResult(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one grader."""

    judged_by: str
    """The grader's identity, such as `strudel engine 1.2.6`."""
    scores: dict[str, Score]
    """By answerer: base, custom, nearest."""
    custom_versus_base: Comparison | None = None
    """None if the base model cannot be invoked on the platform, as for an imported model."""
    custom_versus_nearest: Comparison


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of an evaluation."""

    graders: dict[str, GraderResult]
    rows: int


def grader_result(
    grader: str, judged_by: str, rows: Sequence[EvaluatedPrompt], answerers: Iterable[str]
) -> GraderResult:
    """One grader's scores of these answerers; the custom model is compared to the others prompt by prompt."""
    # Every answerer has one verdict per row, in the same order, so the lists can be compared pairwise.
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
    """Both files have been written to the folder."""
    # Sorted keys: equal results give equal bytes, and so the same digest.
    summary = msgspec.json.encode(Evaluation(rows=len(rows), graders=dict(results)), order="deterministic")
    write_whole(folder / summary_name, msgspec.json.format(summary, indent=2) + b"\n")
    write_whole(folder / answers_name, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def evaluation_metrics(results: Mapping[str, GraderResult], *, base_is_untrained: bool) -> Facts:
    """The metrics of an evaluation in the manifest."""
    # `base_is_untrained` warns readers: against random weights any training wins.
    return {
        "graders": msgspec.to_builtins(results),
        "base_is_untrained": base_is_untrained,
        "rivals": {nearest: "the training answer whose prompt is nearest"},
    }


def is_evaluation(metrics: Facts) -> bool:
    """Whether a step's metrics come from an evaluation."""
    return "graders" in metrics


def results_in(metrics: Facts) -> dict[str, GraderResult]:
    """The results by grader in the metrics of an evaluation."""
    return msgspec.convert(metrics["graders"], dict[str, GraderResult])


def evaluated_prompts(lines: Iterable[bytes]) -> Iterator[EvaluatedPrompt]:
    """The rows of an `answers.jsonl`."""
    decoder = msgspec.json.Decoder(EvaluatedPrompt)
    yield from map(decoder.decode, lines)
