"""How often a deployed model was called, from CloudWatch."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from polytune.aws.access import Access
from polytune.aws.failures import Denied, Missing

most_points = 1440
"""Data points in one GetMetricStatistics reply (its API reference, 2026)."""
kept = ((15, 60), (63, 300), (math.inf, 3600))
"""Up to so many days back, points exist every so many seconds (CloudWatch's metrics concepts, 2026)."""


def invocations_since(
    access: Access, model_id: str, since: datetime, now: datetime | None = None
) -> int | None:
    """Calls of the model from `since` (with its zone) to now; None when the caller may not ask.

    `model_id` is what the calls name: a deployment's ARN, say. Counts arrive some minutes late. Raises
    AwsFailure when CloudWatch does not answer.
    """
    until = now or datetime.now(UTC)
    if until <= since:
        return 0
    seconds = (until - since).total_seconds()
    step = next(step for oldest_days, step in kept if seconds < oldest_days * 86_400)
    asked = {
        "Namespace": "AWS/Bedrock",
        "MetricName": "Invocations",
        "Dimensions": [{"Name": "ModelId", "Value": model_id}],
        "StartTime": since,
        "EndTime": until + timedelta(minutes=1),
        "Period": step * math.ceil(seconds / step / most_points),
        "Statistics": ["Sum"],
    }
    try:
        reply = access.service("cloudwatch").call("GetMetricStatistics", asked)
    except (Denied, Missing):
        return None
    return round(sum(float(point["Sum"]) for point in reply.get("Datapoints", ())))
