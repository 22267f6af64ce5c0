"""Amazon Nova Micro: text only, the smallest and cheapest of the family."""

from __future__ import annotations

from polytune.base_models import _bedrock, _nova
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Source

NOVA_MICRO = BaseModelEntry(
    name="nova-micro",
    title="Amazon Nova Micro",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="amazon.nova-micro-v1:0:128k",
            inference_id="us.amazon.nova-micro-v1:0",
            profile_id="us.amazon.nova-micro-v1:0",
            other_ids=(
                "amazon.nova-micro-v1:0",
                "amazon.nova-micro-v1:0:24k",
            ),
            regions=("us-east-1",),
            file_names=_bedrock.file_names,
            deployments=("on_demand", "provisioned"),
            price_family="NovaMicro",
        ),
    },
    customizations=("fine_tuning", "distillation"),
    refused=_bedrock.no_continued_pre_training,
    formats=("bedrock-conversation-2024",),
    blocks=(),
    limits=_nova.first_generation_limits,
    other_limits={"distillation": _nova.distillation_limits},
    hyperparameters=_nova.hyperparameters(),
    automatic=_nova.automatic(rows_per_warmup_step=640),
    reserved=_nova.reserved_strings,
    teachers=("nova-pro", "nova-premier"),
    context_tokens=128_000,
    max_output_tokens=10_000,
    capabilities=("system_prompt", "streaming", "tools"),
    prices=Prices(
        training_usd_per_1k_tokens=0.001,
        input_usd_per_1k_tokens=0.000035,
        output_usd_per_1k_tokens=0.00014,
        custom_input_usd_per_1k_tokens=0.000035,
        custom_output_usd_per_1k_tokens=0.00014,
        storage_usd_per_month=_bedrock.storage_usd_per_month,
    ),
    sources=(
        *_nova.training_sources(),
        _bedrock.distillation_source,
        Source(_bedrock.teacher_table, _nova.read, ("teachers", "customizations")),
        Source("inference profiles as used by a project with real jobs", "2026-08", ("inference_id",)),
        Source(f"{_nova.price_list}: training", "2026-08", ("prices",)),
        Source(f"{_nova.price_table}: inference", "2026-08-22", ("prices",)),
        Source(_nova.custom_rate, "2026", ("prices",)),
    ),
)
