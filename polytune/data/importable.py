"""What Custom Model Import takes: regions, architectures, files and sizes of a Hugging Face folder.

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
"""By transformers' names."""
single_region = {"GptOssForCausalLM": "us-east-1"}
"""Architectures that one region alone takes."""
no_converse = ("Qwen3ForCausalLM", "Qwen3MoeForCausalLM")
"""Architectures that InvokeModel answers for, and Converse does not."""
needed_files = ("config.json", "tokenizer_config.json")
tokenizer_files = ("tokenizer.json", "tokenizer.model")
"""One of them is needed."""
most_bytes = 200_000_000_000
"""Weights of a text model."""
context_below = 128 * 1024
"""Tokens."""


def missing_files(names: Collection[str]) -> list[str]:
    """What a folder with files of these names lacks."""
    missing = [name for name in needed_files if name not in names]
    if not any(name in names for name in tokenizer_files):
        missing.append(" or ".join(tokenizer_files))
    if not any(name.endswith(".safetensors") for name in names):
        missing.append("*.safetensors")
    return missing
