"""A remote job in words, for the commands that show one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from polytune.cli._chart import Series, chart
from polytune.engine.jobbook import JobBook
from polytune.engine.ledger import Ledger
from polytune.engine.workspace import find_workspace
from polytune.platforms.bedrock.curves import Curves
from polytune.platforms.bedrock.failures import explained
from polytune.platforms.bedrock.resources import Remote

shown_details = (
    ("base model", "baseModelArn"),
    ("model", "outputModelArn"),
    ("model", "importedModelArn"),
    ("model", "modelArn"),
    ("model", "modelId"),
    ("type", "customizationType"),
    ("role", "roleArn"),
    ("units", "modelUnits"),
    ("committed until", "commitmentExpirationTime"),
)


def status_words(remote: Remote) -> str:
    """`InProgress: validation Completed, training NotStarted`"""
    told = ", ".join(f"{stage} {status}" for stage, status in remote.stages.items())
    return f"{remote.status}: {told}" if told and not remote.final else remote.status


def moment(when: datetime | None) -> str:
    """`2026-11-21 18:02Z`; '' for none."""
    return f"{when:%Y-%m-%d %H:%MZ}" if when else ""


def lines(remote: Remote) -> Iterator[str]:
    """Everything worth knowing of a job, line by line."""
    yield f"{remote.name}   {remote.kind}   {remote.status}"
    yield f"  {'arn':<16}{remote.arn}"
    for stage, status in remote.stages.items():
        yield f"  {stage:<16}{status}"
    ended = f"   ended {moment(remote.ended)}" if remote.ended else ""
    yield f"  {'created':<16}{moment(remote.created)}{ended}"
    for label, member in shown_details:
        if remote.details.get(member):
            yield f"  {label:<16}{remote.details[member]}"
    yield from _figures(remote.details)
    if remote.status == "Failed" or remote.message:
        yield f"  {'why':<16}{explained(remote.message)}"


def _figures(details: dict[str, Any]) -> Iterator[str]:
    data = details.get("trainingDataConfig") or {}
    if data.get("s3Uri"):
        yield f"  {'data':<16}{data['s3Uri']}"
    if (details.get("outputDataConfig") or {}).get("s3Uri"):
        yield f"  {'output':<16}{details['outputDataConfig']['s3Uri']}"
    if details.get("hyperParameters"):
        told = ", ".join(f"{name} {value}" for name, value in sorted(details["hyperParameters"].items()))
        yield f"  {'in force':<16}{told}"
    if (details.get("trainingMetrics") or {}).get("trainingLoss") is not None:
        yield f"  {'training loss':<16}{details['trainingMetrics']['trainingLoss']:.4g}"
    for validator in details.get("validationMetrics") or ():
        if validator.get("validationLoss") is not None:
            yield f"  {'validation loss':<16}{validator['validationLoss']:.4g}"
    counts = [
        (word, details.get(f"{word}RecordCount")) for word in ("total", "processed", "success", "error")
    ]
    if counts[0][1] is not None:
        told = ", ".join(f"{count} {word}" for word, count in counts if count is not None)
        yield f"  {'records':<16}{told}"


def curve_lines(curves: Curves, encoding: str) -> list[str]:
    """The job's curves as a small chart; none where it has written none."""
    drawn = chart([Series(curve.name, curve.points) for curve in curves.curves], encoding)
    if drawn and curves.synthetic:
        drawn.append("  SYNTHETIC: an emulator made these figures up; no model was trained")
    return drawn


def as_json(remote: Remote, curves: Curves | None = None) -> dict[str, Any]:
    """What `--json` prints of a job."""
    shown: dict[str, Any] = msgspec.to_builtins(remote)
    if curves is not None and curves.curves:
        shown["curves"] = {curve.name: [list(point) for point in curve.points] for curve in curves.curves}
        shown["synthetic"] = curves.synthetic
    return shown


def handle_of(name: str, workspace: Path | None) -> str:
    """The ARN that the ledger has for a job's token, else the name itself."""
    found = find_workspace(None, workspace).ledger
    if name.startswith("arn:") or not found.exists():
        return name
    ledger = Ledger.open(found)
    try:
        job = JobBook(ledger).of_token(name)
        return job.handle or name if job else name
    finally:
        ledger.close()
