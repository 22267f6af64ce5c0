"""Facts that both generations of Amazon Nova share: sources, reserved strings, hyperparameters."""

from __future__ import annotations

from polytune.base_models import _bedrock
from polytune.base_models.interface import (
    Capability,
    DeploymentRoute,
    FactSource,
    Media,
    Reserved,
    count,
    rate,
)

regions = ("us-east-1",)
conversation = ("bedrock-conversation-2024",)
routes: tuple[DeploymentRoute, ...] = ("on_demand", "provisioned")
text_only: tuple[Capability, ...] = ("system_prompt", "streaming", "tools")
with_media: tuple[Capability, ...] = (*text_only, "image_input", "video_input", "document_input")
nova_guide = "docs.aws.amazon.com/nova/latest"
understanding_data = f"{nova_guide}/userguide/fine-tune-prepare-data-understanding.html"
price_list = (
    "AWS Price List API, ServiceCode AmazonBedrock, us-east-1, as queried by a project with real jobs"
)
price_table = "nicholasgriffintn/ai-platform, apps/api/src/data-model/models/bedrock.ts"
custom_rate = "aws.amazon.com blog: on-demand custom Nova inference is billed at the base model's rate"
read = _bedrock.read

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
hyperparameters = {
    "epochs": count("epochCount", 1, 5, 2),
    "learning_rate": rate("learningRate", 1e-6, 1e-4, 1e-5),
    "warmup_steps": count("learningRateWarmupSteps", 0, 100, 10),
    "batch_size": count("batchSize", 1, 1, 1),
}
"""The ranges for the Nova understanding models.

AWS does not document the batch size for Nova; its own notebooks send 1, and jobs report 1.
"""
training_sources = (
    FactSource(
        _bedrock.supported_models,
        read,
        ("training_id", "training_api", "regions", "formats", "context_tokens"),
    ),
    FactSource(_bedrock.hyperparameter_ranges, read, ("hyperparameters", "automatic")),
    FactSource(understanding_data, read, ("limits", "reserved", "blocks", "media")),
    FactSource(
        "aws-samples/amazon-nova-samples, fine-tuning dataset validator",
        read,
        ("reserved", "limits"),
    ),
    FactSource("aws/nova-forge-sdk: images of 25 pixels a side and more", "2026-05-14", ("media",)),
    FactSource(
        "4 characters per token: the estimate of a project with real jobs, not a tokenizer",
        "2026-08",
        ("limits",),
    ),
    FactSource(f"{nova_guide}/userguide/using-converse-api.html", read, ("capabilities",)),
    FactSource(_bedrock.on_demand, read, ("deployments",)),
    FactSource(_bedrock.provisioned, read, ("deployments", "other_ids")),
    FactSource(
        "usage types of AmazonBedrock in the AWS price list, as queried by a project with real jobs",
        "2026-08",
        ("price_family",),
    ),
    FactSource(_bedrock.litellm, read, ("max_output_tokens",)),
    FactSource("system inference profiles of the US, as in litellm 1.109.1 (PyPI)", read, ("profile_id",)),
    _bedrock.refusal_source,
    _bedrock.file_names_source,
    _bedrock.storage_source,
)
"""The sources of the facts that the trainable Nova models share."""
profile_source = FactSource(
    "inference profiles as used by a project with real jobs", "2026-08", ("inference_id",)
)
