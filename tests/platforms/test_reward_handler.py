"""The reward handler's bytes are part of what a reinforcement job is known by."""

from __future__ import annotations

from polytune.files import digest_of
from polytune.platforms.bedrock.rewards import handler_file


def test_the_handler_keeps_its_bytes() -> None:
    """Another comment or name in it would be another Lambda function and another training job."""
    assert digest_of(handler_file) == "dc15eb9b1b692fe23b306583bb00e9542dc6b57d5d0b379976a31a5a6778db1e"
