"""Amazon Nova Lite: text, images and video in, text out."""

from __future__ import annotations

from polytune.base_models import _nova
from polytune.base_models.interface import BaseModelEntry, Prices, Source

NOVA_LITE = BaseModelEntry(
    name="nova-lite",
    title="Amazon Nova Lite",
    platform="bedrock",
    training_id="amazon.nova-lite-v1:0:300k",
    inference_id="amazon.nova-lite-v1:0",
    regions=("us-east-1",),
    customizations=("fine_tuning", "distillation"),
    formats=("bedrock-conversation-2024",),
    blocks=("image", "video"),
    limits=_nova.first_generation_limits,
    hyperparameters=_nova.hyperparameters(rows_per_warmup_step=160),
    reserved=_nova.reserved_strings,
    teachers=("nova-pro", "nova-premier"),
    context_tokens=300_000,
    capabilities=("system_prompt", "streaming", "tools", "image_input", "video_input", "document_input"),
    prices=Prices(
        input_usd_per_1k_tokens=0.00006,
        output_usd_per_1k_tokens=0.00024,
        custom_input_usd_per_1k_tokens=0.00006,
        custom_output_usd_per_1k_tokens=0.00024,
        storage_usd_per_month=_nova.storage_usd_per_month,
    ),
    sources=(
        *_nova.training_sources(),
        Source(_nova.storage_source, "2026-08", ("prices",)),
        Source(_nova.teacher_table, _nova.read, ("teachers", "customizations")),
        Source(_nova.supported_models, _nova.read, ("inference_id",)),
        Source(f"{_nova.price_table}: inference", "2026-08-22", ("prices",)),
        Source(_nova.custom_rate, "2026", ("prices",)),
    ),
)
