"""What AWS states once for the whole Amazon Nova family: addresses, reserved strings, row limits."""

from __future__ import annotations

from polytune.base_models import _bedrock
from polytune.base_models.interface import (
    Automatic,
    Hyperparameter,
    Limits,
    Media,
    Reserved,
    Source,
    count,
    rate,
)

nova_guide = "docs.aws.amazon.com/nova/latest"
understanding_data = f"{nova_guide}/userguide/fine-tune-prepare-data-understanding.html"
price_list = (
    "AWS Price List API, ServiceCode AmazonBedrock, us-east-1, as queried by a project with real jobs"
)
price_table = "nicholasgriffintn/ai-platform, apps/api/src/data-model/models/bedrock.ts"
custom_rate = "aws.amazon.com blog: on-demand custom Nova inference is billed at the base model's rate"
read = _bedrock.read

first_generation_limits = Limits(
    min_train_rows=8,
    advised_train_rows=8,
    max_rows=20_000,
    max_tokens_per_row=32_000,
    chars_per_token=4.0,
)
distillation_limits = _bedrock.distillation_limits(max_tokens_per_row=32_000, chars_per_token=4.0)
media = (
    Media(
        kind="image",
        formats=("png", "jpeg", "gif", "webp"),
        most_per_row=10,
        max_bytes=10_000_000,
        min_side_pixels=25,
    ),
    Media(
        kind="video",
        formats=("mov", "mkv", "mp4", "webm"),
        most_per_row=1,
        max_bytes=50_000_000,
        max_seconds=90,
    ),
)
reserved_strings = Reserved(
    documented=("User:", "Bot:", "Assistant:", "System:", "<image>", "<video>", "[EOS]"),
    reported=("Thought:", "<unk>"),
)


def hyperparameters() -> dict[str, Hyperparameter]:
    """The ranges of the Nova understanding models.

    The batch size is not documented for Nova; AWS's own notebooks send 1, and jobs report 1.
    """
    return {
        "epochs": count("epochCount", 1, 5, 2),
        "learning_rate": rate("learningRate", 1e-6, 1e-4, 1e-5),
        "warmup_steps": count("learningRateWarmupSteps", 0, 100, 10),
        "batch_size": count("batchSize", 1, 1, 1),
    }


def automatic(rows_per_warmup_step: int) -> Automatic:
    """AWS's advice by dataset size; only that on warmup differs between the models."""
    return Automatic(
        large_rows=5000,
        epochs_below=2,
        epochs_from=1,
        learning_rate=5e-5,
        rows_per_warmup_step=rows_per_warmup_step,
        most_warmup_steps=100,
    )


def training_sources() -> tuple[Source, ...]:
    """Where the facts shared by the trainable Nova models were read."""
    return (
        Source(
            _bedrock.supported_models,
            read,
            ("training_id", "training_api", "regions", "formats", "context_tokens"),
        ),
        Source(_bedrock.hyperparameter_ranges, read, ("hyperparameters", "automatic")),
        Source(understanding_data, read, ("limits", "reserved", "blocks", "media")),
        Source(
            "aws-samples/amazon-nova-samples, fine-tuning dataset validator",
            read,
            ("reserved", "limits"),
        ),
        Source("aws/nova-forge-sdk: images of 25 pixels a side and more", "2026-05-14", ("media",)),
        Source(
            "4 characters per token: the estimate of a project with real jobs, not a tokenizer",
            "2026-08",
            ("limits",),
        ),
        Source(f"{nova_guide}/userguide/using-converse-api.html", read, ("capabilities",)),
        Source(_bedrock.on_demand, read, ("deployments",)),
        Source(_bedrock.provisioned, read, ("deployments", "other_ids")),
        Source(
            "usage types of AmazonBedrock in the AWS price list, as queried by a project with real jobs",
            "2026-08",
            ("price_family",),
        ),
        Source(_bedrock.litellm, read, ("max_output_tokens",)),
        Source("system inference profiles of the US, as in litellm 1.109.1 (PyPI)", read, ("profile_id",)),
        _bedrock.refusal_source,
        _bedrock.file_names_source,
        _bedrock.storage_source,
    )
