"""The number of calls to a deployed model, from CloudWatch."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from polytune.aws.access import Access
from polytune.aws.failures import Denied, Missing

most_points = 1440
"""Maximum data points in one GetMetricStatistics reply (its API reference, 2026)."""
kept = ((15, 60), (63, 300), (math.inf, 3600))
"""Retention of data points: (age in days, period in seconds) (CloudWatch's metrics concepts, 2026)."""


def invocations_since(
    access: Access, model_id: str, since: datetime, now: datetime | None = None
) -> int | None:
    """Calls to the model from `since` (with time zone) to now; None without permission to read the count.

    `model_id` is the ID that the calls use, such as a deployment's ARN. CloudWatch's counts lag by a few
    minutes. Raises AwsFailure when CloudWatch does not answer.
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
        # EndTime is exclusive; the extra minute includes the period that is still running.
        "EndTime": until + timedelta(minutes=1),
        # A multiple of the retention period, large enough that one reply holds every point.
        "Period": step * math.ceil(seconds / step / most_points),
        "Statistics": ["Sum"],
    }
    try:
        reply = access.service("cloudwatch").call("GetMetricStatistics", asked)
    except (Denied, Missing):
        return None
    return round(sum(float(point["Sum"]) for point in reply.get("Datapoints", ())))
