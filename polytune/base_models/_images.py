"""What AWS states once for the models that are customized with images and captions."""

from __future__ import annotations

from polytune.base_models import _bedrock
from polytune.base_models.interface import Limits, Media, Source

generator_limits = Limits(
    min_train_rows=5,
    advised_train_rows=5,
    max_rows=10_000,
    max_tokens_per_row=None,
    chars_per_token=4.0,
    max_validation_rows=0,
    min_caption_characters=3,
    max_caption_characters=1024,
)
generator_media = (
    Media(
        kind="image",
        formats=("jpeg", "png"),
        most_per_row=1,
        max_bytes=50_000_000,
        min_side_pixels=512,
        max_side_pixels=4096,
        max_pixels=12_582_912,
        max_aspect=4.0,
    ),
)


def sources() -> tuple[Source, ...]:
    """Where the facts shared by these models were read."""
    return (
        Source(
            _bedrock.supported_models,
            _bedrock.read,
            ("training_id", "training_api", "inference_id", "regions", "customizations"),
        ),
        Source(_bedrock.data_rules, _bedrock.read, ("formats", "blocks", "limits", "media")),
        Source("4 characters per token: assumed, as nothing is said of captions", _bedrock.read, ("limits",)),
        Source(_bedrock.hyperparameter_ranges, _bedrock.read, ("hyperparameters",)),
        Source(_bedrock.provisioned, _bedrock.read, ("deployments",)),
        _bedrock.refusal_source,
        _bedrock.file_names_source,
        _bedrock.storage_source,
    )
