"""Bedrock's own counts of tokens, through unmodified boto3 against the emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytune.aws.access import Access
from polytune.aws.failures import NeedsCredentials
from polytune.data.tokens import CalibratedTokens
from polytune.errors import DataError
from polytune.platforms.bedrock.tokens import BedrockTokens
from tests.messages import matching, message

from .cloud import Cloud

nova_lite = "amazon.nova-lite-v1:0"


def counter(cloud: Cloud, model: str = nova_lite) -> BedrockTokens:
    """The account's counter for a model."""
    return BedrockTokens(Access("us-east-1", environment=cloud.environment()), model)


def test_texts_are_counted_in_order_and_once(cloud: Cloud) -> None:
    """The service counts four characters a token; equal texts are asked about once, blank ones never."""
    found = counter(cloud).count(["a" * 40, "", "b" * 8, "a" * 40, "   "])

    assert found == [10, 0, 2, 10, 0]
    assert cloud.control("state")["calls"]["CountTokens"] == 3


def test_nothing_is_asked_about_nothing(cloud: Cloud) -> None:
    """Blank texts have no tokens, and nobody is asked."""
    assert counter(cloud).count(["", " "]) == [0, 0]
    assert "CountTokens" not in cloud.control("state")["calls"]


def test_an_estimate_is_calibrated_on_it(cloud: Cloud) -> None:
    """A few counted texts scale the estimate of all others."""
    texts = [f"note {number} " * 20 for number in range(16)]
    exact = counter(cloud)

    calibrated = CalibratedTokens(exact, texts)

    assert sum(calibrated.count(texts)) == pytest.approx(sum(exact.count(texts)), rel=0.05)
    assert calibrated.error.startswith(message("bedrock/calibrated-on-texts", texts=16))


def test_a_model_that_is_not_counted_for_is_said(cloud: Cloud) -> None:
    """The message names the model and what Bedrock said."""
    with pytest.raises(DataError, match=matching("bedrock/counts-no-tokens", name="amazon.nova-none-v1:0")):
        counter(cloud, "amazon.nova-none-v1:0").count(["a"])


def test_credentials_are_another_matter(cloud: Cloud) -> None:
    """An expired token is no verdict on the model."""
    cloud.faults({"kind": "expired_token", "operation": "CountTokens"})

    with pytest.raises(NeedsCredentials):
        counter(cloud).count(["a"])


def test_stats_are_calibrated_where_credentials_are_stated(cloud: Cloud, tmp_path: Path) -> None:
    """`data stats` for a Bedrock model says that it asked Bedrock; offline it says that it estimates."""
    rows = tmp_path / "rows.jsonl"
    row = '{{"prompt": "Write pattern {0} for a slow evening.", "completion": "s(\\"bd*{0}\\").slow({0})"}}\n'
    rows.write_text("".join(row.format(number) for number in range(60)))
    words = ("data", "stats", "rows.jsonl", "--base-model", "nova-micro")

    asked, offline = cloud.said(tmp_path, *words), cloud.said(tmp_path, *words, "--offline")

    assert message("bedrock/calibrated-on-texts-that-were-counted", texts=96) in asked.out
    assert message("bedrock/estimated-from-kinds-of-characters") in offline.out
    assert cloud.control("state")["calls"]["CountTokens"] > 90
