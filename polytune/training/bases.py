"""The model a training starts from, in the number type it is trained in; needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import torch
from transformers import PreTrainedModel

from polytune.errors import UsageError
from polytune.training import smollm2, tiny_llama
from polytune.training.loading import Loaded, computing_dtype, load
from polytune.training.protocol import Directory, SmolLM2, TinyLlama, TrainRequest
from polytune.training.rows import Row


@dataclass(frozen=True)
class Start:
    """What a training starts from."""

    loaded: Loaded
    name: str
    """How artifacts call the base model, on any machine."""
    folder: Path | None
    """Where the base model lies; None when it has just been made from random weights."""
    dtype: torch.dtype
    """The number type of the base model's weights, in which the trained ones are saved."""


def starting_model(request: TrainRequest, rows: Sequence[Row], device: str) -> Start:
    """The base model of a request, ready to train.

    Raises UsageError for a base model that does not exist or cannot be trained by this method.
    """
    base = request.base
    match base:
        case TinyLlama():
            return _from_scratch(request, rows)
        case SmolLM2():
            folder, name = smollm2.converted(Path(request.cache_folder)), smollm2.NAME
        case Directory():
            folder = Path(base.path).resolve()
            name = folder.name
        case _:
            assert_never(base)
    loaded = load(folder)
    stored = loaded.model.dtype
    # Small updates vanish when half-precision weights are changed themselves; frozen ones may stay in it.
    loaded.model.to(computing_dtype(stored, device) if request.method == "lora" else torch.float32)
    return Start(loaded, name, folder, stored)


def _from_scratch(request: TrainRequest, rows: Sequence[Row]) -> Start:
    if request.method == "lora":
        raise UsageError("base model tiny-llama starts from random weights; train it with method full")
    tokenizer = tiny_llama.fitted_tokenizer(rows)
    model = tiny_llama.untrained_model(tokenizer, request.seed)
    return Start(Loaded(model, tokenizer), "tiny-llama", None, torch.float32)


def parameters_of(model: PreTrainedModel, *, trainable: bool = False) -> int:
    """The number of weights, or of those that training changes; shared ones count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)
