"""Anthropic Claude 3 Haiku: the only Claude model that Bedrock fine-tuned, until its end of life."""

from __future__ import annotations

from polytune.base_models import _bedrock
from polytune.base_models.interface import (
    BaseModelEntry,
    FactSource,
    Limits,
    Offering,
    Prices,
    Reserved,
    count,
    rate,
)

CLAUDE_3_HAIKU = BaseModelEntry(
    name="claude-3-haiku",
    title="Anthropic Claude 3 Haiku",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="anthropic.claude-3-haiku-20240307-v1:0:200k",
            inference_id="anthropic.claude-3-haiku-20240307-v1:0",
            regions=("us-west-2",),
            file_names=_bedrock.file_names,
            deployments=("provisioned",),
        ),
    },
    customizations=("fine_tuning",),
    refused={
        **_bedrock.no_continued_pre_training,
        "distillation": "AWS has withdrawn distillation of Anthropic models and names no date of return",
    },
    formats=("anthropic-messages",),
    blocks=(),
    limits=Limits(
        min_train_rows=32,
        advised_train_rows=32,
        max_rows=10_000,
        max_tokens_per_row=32_000,
        chars_per_token=3.0,
        min_validation_rows=32,
        max_validation_rows=1000,
        max_train_bytes=10 << 30,
        max_validation_bytes=1 << 30,
    ),
    hyperparameters={
        "epochs": count("epochCount", 1, 10, 2),
        "batch_size": count("batchSize", 4, 256, 32),
        "learning_rate_multiplier": rate("learningRateMultiplier", 0.1, 2.0, 1.0),
        "early_stopping_threshold": rate("earlyStoppingThreshold", 0.0, 0.1, 0.001),
        "early_stopping_patience": count("earlyStoppingPatience", 1, 10, 2),
    },
    reserved=Reserved(documented=("\nHuman:", "\nAssistant:")),
    teachers=(),
    context_tokens=200_000,
    max_output_tokens=4096,
    capabilities=("system_prompt", "streaming", "tools", "image_input", "document_input"),
    end_of_life="2026-09-10",
    prices=Prices(
        input_usd_per_1k_tokens=0.00025,
        output_usd_per_1k_tokens=0.00125,
        storage_usd_per_month=_bedrock.storage_usd_per_month,
    ),
    sources=(
        FactSource(
            _bedrock.supported_models,
            _bedrock.read,
            ("training_id", "training_api", "regions", "customizations", "context_tokens"),
        ),
        FactSource(_bedrock.data_rules, _bedrock.read, ("formats", "limits", "reserved")),
        FactSource(
            "aws-samples/amazon-bedrock-samples @85fba9d, claude-haiku/DataValidation: 3 characters per "
            "token, file sizes, reserved strings",
            "2026-08-21",
            ("limits", "reserved"),
        ),
        FactSource(_bedrock.hyperparameter_ranges, _bedrock.read, ("hyperparameters",)),
        FactSource(_bedrock.provisioned, _bedrock.read, ("deployments",)),
        FactSource(_bedrock.teacher_table, _bedrock.read, ("refused",)),
        FactSource(_bedrock.converse_features, _bedrock.read, ("capabilities",)),
        FactSource(
            "BerriAI/litellm @00035b6, model_prices_and_context_window.json",
            _bedrock.read,
            ("inference_id", "max_output_tokens", "prices"),
        ),
        FactSource(_bedrock.lifecycle, "2026-09-18", ("end_of_life",)),
        _bedrock.refusal_source,
        _bedrock.file_names_source,
        _bedrock.storage_source,
    ),
)
