"""How often a deployed model was called, from CloudWatch."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from polytune.aws.access import Access
from polytune.aws.failures import Denied, Missing

most_points = 1440
"""Data points in one GetMetricStatistics answer (its API reference, 2026)."""
finest_seconds = 60


def invocations_since(
    access: Access, model_id: str, since: datetime, now: datetime | None = None
) -> int | None:
    """Calls of the model from `since` (with its zone) to now; None when nobody may tell.

    `model_id` is what the calls name: a deployment's ARN, say. Counts arrive some minutes late. Raises
    AwsFailure when CloudWatch does not answer.
    """
    until = now or datetime.now(UTC)
    if until <= since:
        return 0
    minutes = math.ceil((until - since).total_seconds() / finest_seconds / most_points)
    asked = {
        "Namespace": "AWS/Bedrock",
        "MetricName": "Invocations",
        "Dimensions": [{"Name": "ModelId", "Value": model_id}],
        "StartTime": since,
        "EndTime": until + timedelta(seconds=finest_seconds),
        "Period": minutes * finest_seconds,
        "Statistics": ["Sum"],
    }
    try:
        answer = access.service("cloudwatch").call("GetMetricStatistics", asked)
    except (Denied, Missing):
        return None
    return round(sum(float(point["Sum"]) for point in answer.get("Datapoints", ())))
