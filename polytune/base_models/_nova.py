"""What AWS states once for the whole Amazon Nova family: addresses, reserved strings, row limits."""

from __future__ import annotations

from polytune.base_models.interface import Hyperparameters, Limits, Range, Reserved, Source

bedrock_guide = "docs.aws.amazon.com/bedrock/latest/userguide"
nova_guide = "docs.aws.amazon.com/nova/latest"
supported_models = f"{bedrock_guide}/custom-model-fine-tuning.html"
hyperparameter_ranges = f"{bedrock_guide}/custom-models-hp.html"
teacher_table = f"{bedrock_guide}/prequisites-model-distillation.html"
understanding_data = f"{nova_guide}/userguide/fine-tune-prepare-data-understanding.html"
price_list = (
    "AWS Price List API, ServiceCode AmazonBedrock, us-east-1, as queried by a project with real jobs"
)
price_table = "nicholasgriffintn/ai-platform, apps/api/src/data-model/models/bedrock.ts"
custom_rate = "aws.amazon.com blog: on-demand custom Nova inference is billed at the base model's rate"
read = "2026-11-21"

first_generation_limits = Limits(
    min_train_rows=8,
    advised_train_rows=8,
    max_rows=20_000,
    max_tokens_per_row=32_000,
    chars_per_token=4.0,
)
reserved_strings = Reserved(
    documented=("User:", "Bot:", "Assistant:", "System:", "<image>", "<video>", "[EOS]"),
    reported=("Thought:", "<unk>"),
)
storage_usd_per_month = 1.95
storage_source = "storage of a custom model, as billed to two projects with real jobs"


def hyperparameters(rows_per_warmup_step: int | None) -> Hyperparameters:
    """The ranges of the Nova understanding models; only the advice on warmup differs between them.

    The batch size is not documented for Nova; AWS's own notebooks send 1, and jobs report 1.
    """
    return Hyperparameters(
        epochs=Range(1, 5, 2),
        learning_rate=Range(1e-6, 1e-4, 1e-5),
        warmup_steps=Range(0, 100, 10),
        batch_size=Range(1, 1, 1),
        rows_per_warmup_step=rows_per_warmup_step,
    )


def training_sources() -> tuple[Source, ...]:
    """Where the facts shared by the trainable Nova models were read."""
    return (
        Source(supported_models, read, ("training_id", "regions", "formats", "context_tokens")),
        Source(hyperparameter_ranges, read, ("hyperparameters",)),
        Source(understanding_data, read, ("limits", "reserved", "blocks")),
        Source(
            "aws-samples/amazon-nova-samples, fine-tuning dataset validator",
            read,
            ("reserved", "limits"),
        ),
        Source(
            "4 characters per token: the estimate of a project with real jobs, not a tokenizer",
            "2026-08",
            ("limits",),
        ),
        Source(f"{nova_guide}/userguide/using-converse-api.html", read, ("capabilities",)),
    )
