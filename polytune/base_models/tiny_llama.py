"""tiny-llama: 0.92 M parameters, trained from scratch; the whole pipeline runs anywhere in minutes."""

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

TINY_LLAMA = BaseModelEntry(
    name="tiny-llama",
    title="tiny-llama (from scratch, 0.92 M parameters)",
    platforms={
        "local": Offering(
            training_api="local",
            training_id="tiny-llama",
            inference_id="tiny-llama",
            regions=(),
            methods=("full",),
        ),
    },
    customizations=("fine_tuning",),
    formats=local_formats,
    blocks=(),
    limits=Limits(
        min_train_rows=8,
        advised_train_rows=200,
        max_rows=None,
        max_tokens_per_row=1024,
        chars_per_token=2.5,
    ),
    hyperparameters={
        "epochs": count("epochs", 1, 200, 12),
        "learning_rate": rate("learning_rate", 1e-6, 1e-1, 3e-3),
        "warmup_steps": count("warmup_steps", 0, 10_000, 10),
        "batch_size": count("batch_size", 1, 512, 16),
    },
    reserved=Reserved(),
    teachers=(),
    context_tokens=1024,
    capabilities=("system_prompt",),
    prices=None,
    sources=(
        FactSource(
            "measured by polytune: 300 rows, 228 steps, 76 CPU-seconds on one thread, held-out prompts "
            "valid 0/30 before and 30/30 after",
            "2026-11-21",
            ("hyperparameters",),
        ),
        FactSource(
            "polytune's own recipe: LlamaConfig of 4 layers of 128, a 512-token BPE fitted to the training "
            "split; bounds and the estimate of characters per token chosen by polytune",
            "2026-11-21",
            (
                "methods",
                "training_id",
                "training_api",
                "inference_id",
                "customizations",
                "formats",
                "limits",
                "context_tokens",
                "capabilities",
            ),
        ),
    ),
)
