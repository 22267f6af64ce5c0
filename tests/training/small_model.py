"""A Hugging Face folder with a model of a few kilobytes."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from polytune.training.rows import TrainingRow, asking
from polytune.training.tiny_llama import fitted_tokenizer


def small_model(folder: Path) -> Path:
    """A bfloat16 model with an uncommon rope_theta, as transformers 5 saves it, is in the folder."""
    row = TrainingRow(
        asked=asking("Write a jazz pattern at 90 bpm.", "You write Strudel code."), answer='s("bd*4")'
    )
    tokenizer = fitted_tokenizer([row])
    torch.manual_seed(3)
    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=64,
            vocab_size=len(tokenizer),
            rope_parameters={"rope_theta": 100000.0, "rope_type": "default"},
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            initializer_range=0.2,
        )
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
