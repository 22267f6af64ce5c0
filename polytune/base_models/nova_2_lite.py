"""Amazon Nova 2 Lite: second generation; supports reasoning text and reinforcement fine-tuning."""

from __future__ import annotations

from polytune.base_models import _bedrock, _nova
from polytune.base_models.interface import (
    BaseModelEntry,
    FactSource,
    Hyperparameter,
    Limits,
    Media,
    Offering,
    Prices,
    count,
    rate,
)

NOVA_2_LITE = BaseModelEntry(
    name="nova-2-lite",
    title="Amazon Nova 2 Lite",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="amazon.nova-2-lite-v1:0:256k",
            inference_id="us.amazon.nova-2-lite-v1:0",
            profile_id="us.amazon.nova-2-lite-v1:0",
            other_ids=("amazon.nova-2-lite-v1:0", "global.amazon.nova-2-lite-v1:0"),
            regions=_nova.regions,
            file_names=_bedrock.file_names,
            deployments=_nova.routes,
            price_family="Nova2.0Lite",
        ),
    },
    customizations=("fine_tuning", "reinforcement_fine_tuning"),
    refused={
        **_bedrock.no_continued_pre_training,
        "distillation": "AWS lists no teacher for it. Distill into nova-micro, nova-lite or nova-pro",
    },
    formats=_nova.conversation,
    other_formats={"reinforcement_fine_tuning": ("bedrock-rft",)},
    blocks=("image", "video", "reasoningContent", "tools"),
    media=(
        Media(
            kind="image",
            formats=("png", "jpeg", "gif"),
            doubtful_formats=("webp",),
            most_per_row=10,
            max_bytes=10_000_000,
            min_side_pixels=25,
        ),
        Media(
            kind="video",
            formats=("mov", "mkv", "mp4"),
            doubtful_formats=("webm",),
            most_per_row=1,
            max_bytes=50_000_000,
            max_seconds=900,
            doubtful_seconds=90,
        ),
    ),
    limits=Limits(
        min_train_rows=8,
        advised_train_rows=200,
        max_rows=20_000,
        max_tokens_per_row=32_000,
        chars_per_token=4.0,
        validation_doubtful=True,
    ),
    other_limits={
        "reinforcement_fine_tuning": Limits(
            min_train_rows=100,
            advised_train_rows=100,
            max_rows=20_000,
            max_tokens_per_row=None,
            chars_per_token=4.0,
        )
    },
    hyperparameters=_nova.hyperparameters,
    reinforcement={
        "epochs": count("epochCount", 1, 50, 1),
        "batch_size": count("batchSize", 16, 512, 128),
        "learning_rate": rate("learningRate", 1e-7, 1e-3, 1e-5),
        "max_prompt_tokens": count("maxPromptLength", 1, None, 8192),
        "samples_per_prompt": count("trainingSamplePerPrompt", 2, 16, 8),
        "max_response_tokens": count("inferenceMaxTokens", 1, None, 2048),
        "reasoning_effort": Hyperparameter(
            api_name="reasoningEffort", choices=("low", "medium", "high"), default="medium"
        ),
        "evaluation_interval": count("evalInterval", 1, 100, 10),
    },
    reserved=_nova.reserved_strings,
    teachers=(),
    context_tokens=256_000,
    max_output_tokens=64_000,
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
        storage_usd_per_month=_bedrock.storage_usd_per_month,
        provisioned_usd_per_hour=60.50,
        provisioned_usd_per_hour_one_month=55.00,
    ),
    sources=(
        *_nova.training_sources,
        FactSource(
            f"{_bedrock.guide}/nova-2-sft-data-prep.html",
            _nova.read,
            ("blocks", "limits", "media", "refused"),
        ),
        FactSource(
            f"{_nova.nova_guide}/nova2-userguide/nova-data-prep-sft-2.html", _nova.read, ("limits", "media")
        ),
        FactSource(f"{_bedrock.guide}/rft-nova-models.html", _nova.read, ("customizations",)),
        FactSource(
            f"{_bedrock.guide}/rft-prepare-data.html", _nova.read, ("other_formats", "other_limits", "blocks")
        ),
        FactSource(f"{_bedrock.model_shapes}: RFTHyperParameters", _nova.read, ("reinforcement",)),
        FactSource("aws/nova-forge-sdk @a4d5b3d, rft_lora.json: defaults", "2026-05-14", ("reinforcement",)),
        FactSource(_bedrock.teacher_table + ": not listed", _nova.read, ("teachers", "refused")),
        _nova.profile_source,
        FactSource(_nova.price_list, "2026-08-02", ("prices",)),
    ),
)
