"""Amazon Nova 2 Lite: second generation, trains on reasoning text as well."""

from __future__ import annotations

from polytune.base_models import _nova
from polytune.base_models.interface import BaseModelEntry, Limits, Prices, Source

NOVA_2_LITE = BaseModelEntry(
    name="nova-2-lite",
    title="Amazon Nova 2 Lite",
    platform="bedrock",
    training_id="amazon.nova-2-lite-v1:0:256k",
    inference_id="us.amazon.nova-2-lite-v1:0",
    regions=("us-east-1",),
    customizations=("fine_tuning", "reinforcement_fine_tuning"),
    formats=("bedrock-conversation-2024",),
    blocks=("image", "video", "reasoningContent"),
    limits=Limits(
        min_train_rows=8,
        advised_train_rows=200,
        max_rows=20_000,
        max_tokens_per_row=32_000,
        chars_per_token=4.0,
        validation_doubtful=True,
    ),
    hyperparameters=_nova.hyperparameters(rows_per_warmup_step=None),
    reserved=_nova.reserved_strings,
    teachers=(),
    context_tokens=256_000,
    capabilities=(
        "system_prompt",
        "streaming",
        "tools",
        "reasoning",
        "image_input",
        "video_input",
        "document_input",
    ),
    prices=Prices(
        training_usd_per_1k_tokens=0.00378,
        input_usd_per_1k_tokens=0.00033,
        output_usd_per_1k_tokens=0.00275,
        custom_input_usd_per_1k_tokens=0.00030,
        custom_output_usd_per_1k_tokens=0.00250,
        storage_usd_per_month=_nova.storage_usd_per_month,
        provisioned_usd_per_hour=60.50,
        provisioned_usd_per_hour_one_month=55.00,
    ),
    sources=(
        *_nova.training_sources(),
        Source(_nova.storage_source, "2026-08", ("prices",)),
        Source(f"{_nova.bedrock_guide}/nova-2-sft-data-prep.html", _nova.read, ("blocks", "limits")),
        Source(f"{_nova.nova_guide}/nova2-userguide/nova-data-prep-sft-2.html", _nova.read, ("limits",)),
        Source(f"{_nova.bedrock_guide}/rft-nova-models.html", _nova.read, ("customizations",)),
        Source(_nova.teacher_table + ": not listed", _nova.read, ("teachers",)),
        Source("inference profiles as used by a project with real jobs", "2026-08", ("inference_id",)),
        Source(_nova.price_list, "2026-08-02", ("prices",)),
    ),
)
