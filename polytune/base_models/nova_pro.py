"""Amazon Nova Pro: the largest Nova that can be trained, and a teacher of the smaller ones."""

from __future__ import annotations

from polytune.base_models import _bedrock, _nova
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Source

NOVA_PRO = BaseModelEntry(
    name="nova-pro",
    title="Amazon Nova Pro",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="amazon.nova-pro-v1:0:300k",
            inference_id="amazon.nova-pro-v1:0",
            profile_id="us.amazon.nova-pro-v1:0",
            other_ids=("amazon.nova-pro-v1:0:24k",),
            regions=("us-east-1",),
            file_names=_bedrock.file_names,
            teacher_invocation=("on_demand", "profile"),
            deployments=("on_demand", "provisioned"),
            price_family="NovaPro",
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
    automatic=_nova.automatic(rows_per_warmup_step=320),
    reserved=_nova.reserved_strings,
    teachers=("nova-premier",),
    context_tokens=300_000,
    max_output_tokens=10_000,
    capabilities=("system_prompt", "streaming", "tools", "image_input", "video_input", "document_input"),
    prices=Prices(
        input_usd_per_1k_tokens=0.0008,
        output_usd_per_1k_tokens=0.0032,
        custom_input_usd_per_1k_tokens=0.0008,
        custom_output_usd_per_1k_tokens=0.0032,
        storage_usd_per_month=_bedrock.storage_usd_per_month,
    ),
    sources=(
        *_nova.training_sources(),
        _bedrock.distillation_source,
        Source(
            _bedrock.teacher_table,
            _nova.read,
            ("teachers", "teacher_invocation", "customizations", "inference_id"),
        ),
        Source(f"{_nova.price_table}: inference", "2026-08-22", ("prices",)),
        Source(_nova.custom_rate, "2026", ("prices",)),
    ),
)
