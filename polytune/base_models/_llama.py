"""What AWS states once for Meta's Llama 3.1, 3.2 and 3.3."""

from __future__ import annotations

from polytune.base_models import _bedrock
from polytune.base_models.interface import Hyperparameter, Limits, Media, Source, count, rate

stricter = ("schema-version", "empty-system", "many-systems", "multi-turn-distillation")
"""What AWS's validators for Llama refuse and those for Nova accept."""
media = (
    Media(
        kind="image",
        formats=("gif", "jpeg", "png", "webp"),
        max_bytes=10_000_000,
        min_side_pixels=10,
        max_side_pixels=8192,
    ),
)
distillation_limits = _bedrock.distillation_limits(max_tokens_per_row=16_000, chars_per_token=6.0)
conversation = ("bedrock-conversation-2024",)


def limits(max_tokens_per_row: int = 16_000) -> Limits:
    """Row limits; the estimate of 6 characters per token is the one of AWS's page on data."""
    return Limits(
        min_train_rows=100,
        min_counts_validation=True,
        advised_train_rows=100,
        max_rows=10_000,
        max_tokens_per_row=max_tokens_per_row,
        chars_per_token=6.0,
        max_validation_rows=1000,
    )


def hyperparameters() -> dict[str, Hyperparameter]:
    """The ranges of Llama 3.1 and 3.2; real jobs report the same for 3.3."""
    return {
        "epochs": count("epochCount", 1, 10, 5),
        "learning_rate": rate("learningRate", 5e-6, 0.1, 1e-4),
        "batch_size": count("batchSize", 1, 1, 1),
    }


def sources() -> tuple[Source, ...]:
    """Where the facts shared by the trainable Llamas were read."""
    return (
        Source(
            _bedrock.supported_models,
            _bedrock.read,
            ("training_id", "training_api", "regions", "formats", "context_tokens", "customizations"),
        ),
        Source(_bedrock.data_rules, _bedrock.read, ("formats", "blocks", "limits", "media")),
        Source(
            "aws-samples/amazon-bedrock-samples @85fba9d, meta-llama/dataset_validation",
            "2026-08-21",
            ("limits", "stricter"),
        ),
        Source(_bedrock.hyperparameter_ranges, _bedrock.read, ("hyperparameters",)),
        Source(_bedrock.provisioned, _bedrock.read, ("deployments",)),
        Source(_bedrock.converse_features, _bedrock.read, ("capabilities",)),
        Source(
            _bedrock.litellm,
            _bedrock.read,
            ("inference_id", "profile_id", "max_output_tokens", "prices", "end_of_life", "capabilities"),
        ),
        _bedrock.refusal_source,
        _bedrock.file_names_source,
        _bedrock.storage_source,
    )
