"""Amazon Nova Lite: text, images and video in, text out."""

from __future__ import annotations

from polytune.base_models import _bedrock, _nova
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Source

NOVA_LITE = BaseModelEntry(
    name="nova-lite",
    title="Amazon Nova Lite",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="amazon.nova-lite-v1:0:300k",
            inference_id="amazon.nova-lite-v1:0",
            profile_id="us.amazon.nova-lite-v1:0",
            other_ids=("amazon.nova-lite-v1:0:24k",),
            regions=("us-east-1",),
            file_names=_bedrock.file_names,
            deployments=("on_demand", "provisioned"),
            price_family="NovaLite",
        ),
    },
    customizations=("fine_tuning", "distillation"),
    refused=_bedrock.no_continued_pre_training,
    formats=("bedrock-conversation-2024",),
    blocks=("image", "video"),
    media=_nova.media,
    limits=_nova.first_generation_limits,
    other_limits={"distillation": _nova.distillation_limits},
    hyperparameters=_nova.hyperparameters(),
    automatic=_nova.automatic(rows_per_warmup_step=160),
    reserved=_nova.reserved_strings,
    teachers=("nova-pro", "nova-premier"),
    context_tokens=300_000,
    max_output_tokens=10_000,
    capabilities=("system_prompt", "streaming", "tools", "image_input", "video_input", "document_input"),
    prices=Prices(
        input_usd_per_1k_tokens=0.00006,
        output_usd_per_1k_tokens=0.00024,
        custom_input_usd_per_1k_tokens=0.00006,
        custom_output_usd_per_1k_tokens=0.00024,
        storage_usd_per_month=_bedrock.storage_usd_per_month,
        provisioned_usd_per_hour=108.15,
    ),
    sources=(
        *_nova.training_sources(),
        _bedrock.distillation_source,
        Source(_bedrock.teacher_table, _nova.read, ("teachers", "customizations")),
        Source(_bedrock.supported_models, _nova.read, ("inference_id",)),
        Source(f"{_nova.price_table}: inference", "2026-08-22", ("prices",)),
        Source(
            "price of a model unit without commitment, as noted in a public cost sheet", "2025", ("prices",)
        ),
        Source(_nova.custom_rate, "2026", ("prices",)),
    ),
)
