"""What Custom Model Import accepts: regions, architectures, files and sizes of a Hugging Face folder.

docs.aws.amazon.com/bedrock/latest/userguide/model-customization-import-model.html, read 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Collection

guide = "docs.aws.amazon.com/bedrock/latest/userguide/model-customization-import-model.html, 2026-11-21"
regions = ("us-east-1", "us-east-2", "us-west-2", "eu-central-1")
architectures = (
    "MistralForCausalLM",
    "MixtralForCausalLM",
    "T5ForConditionalGeneration",
    "LlamaForCausalLM",
    "MllamaForConditionalGeneration",
    "GPTBigCodeForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
    "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM",
    "GptOssForCausalLM",
)
"""Class names in transformers, as in `architectures` of `config.json`."""
single_region = {"GptOssForCausalLM": "us-east-1"}
"""Architectures that only one region accepts."""
no_converse = ("Qwen3ForCausalLM", "Qwen3MoeForCausalLM")
"""Architectures that work with InvokeModel but not with Converse."""
needed_files = ("config.json", "tokenizer_config.json")
tokenizer_files = ("tokenizer.json", "tokenizer.model")
"""At least one of them is required."""
most_bytes = 200_000_000_000
"""Size limit for the weights of a text model."""
context_below = 128 * 1024
"""The context length, in tokens, must be below this."""


def missing_files(names: Collection[str]) -> list[str]:
    """The required files that are not among these names."""
    missing = [name for name in needed_files if name not in names]
    if not any(name in names for name in tokenizer_files):
        missing.append(" or ".join(tokenizer_files))
    if not any(name.endswith(".safetensors") for name in names):
        missing.append("*.safetensors")
    return missing
