"""Loads models and tokenizers, prepares the base model of a training, chooses the device. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from polytune.errors import UsageError
from polytune.training import smollm2, tiny_llama
from polytune.training.process import check_folder
from polytune.training.protocol import Device, Directory, SmolLM2, TinyLlama, TrainRequest
from polytune.training.rows import TrainingRow


@dataclass(frozen=True)
class Loaded:
    """A model and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def make_deterministic(threads: int) -> None:
    """Computations are reproducible, use `threads` threads, and libraries print nothing."""
    # The number of threads is part of it: it decides the order in which sums are added.
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def chosen_device(wanted: Device) -> str:
    """`cpu` or `cuda`. Raises UsageError if `cuda` is requested and torch cannot use a GPU."""
    usable = torch.cuda.is_available()
    if wanted == "cuda" and not usable:
        raise UsageError(
            f"device cuda: torch {torch.__version__} finds no usable GPU; set device to auto or cpu, "
            "or install a CUDA build of torch"
        )
    return "cuda" if usable and wanted != "cpu" else "cpu"


def computing_dtype(stored: torch.dtype, device: str) -> torch.dtype:
    """The number type for computing with frozen weights of type `stored` on a device.

    Half precision only where the hardware supports bfloat16: one LoRA step of SmolLM2 took 190 s on a CPU
    with AVX2 only, against 5 s in float32 (measured 2026-11-21).
    """
    if stored not in (torch.float16, torch.bfloat16):
        return torch.float32
    on_gpu = device == "cuda"
    quick = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if quick else torch.float32


def load(folder: Path) -> Loaded:
    """The causal language model saved in `folder`, in the number type it was saved in."""
    check_folder(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # Batches are padded; the padding is masked, so any token will do.
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
    return Loaded(model, tokenizer)


@dataclass(frozen=True)
class Start:
    """The base model of a training."""

    loaded: Loaded
    name: str
    """The base model's name in artifacts, independent of the machine."""
    folder: Path | None
    """The base model's folder; None for a new model with random weights."""
    dtype: torch.dtype
    """The number type of the base model's weights. The trained weights are saved in it, too."""


def starting_model(request: TrainRequest, rows: Sequence[TrainingRow], device: str) -> Start:
    """The base model of a request, ready to train.

    Raises UsageError if it does not exist or cannot be trained with the requested method.
    """
    base = request.base
    match base:
        case TinyLlama():
            return _from_scratch(request, rows)
        case SmolLM2():
            folder, name = smollm2.converted(Path(request.cache_folder)), smollm2.NAME
        case Directory():
            # Not the folder's name: it is in no key, so it must be in no output either.
            folder, name = Path(base.path), "local-directory"
        case _:
            assert_never(base)
    loaded = load(folder)
    stored = loaded.model.dtype
    # Small updates vanish when half-precision weights are changed themselves; frozen ones may stay in it.
    loaded.model.to(computing_dtype(stored, device) if request.method == "lora" else torch.float32)
    return Start(loaded, name, folder, stored)


def _from_scratch(request: TrainRequest, rows: Sequence[TrainingRow]) -> Start:
    # LoRA assumes useful weights to adapt; on frozen random ones it learns next to nothing.
    if request.method == "lora":
        raise UsageError("base model tiny-llama starts from random weights; train it with method full")
    tokenizer = tiny_llama.fitted_tokenizer(rows)
    model = tiny_llama.untrained_model(tokenizer, request.seed)
    return Start(Loaded(model, tokenizer), "tiny-llama", None, torch.float32)


def parameters_of(model: PreTrainedModel, *, trainable: bool = False) -> int:
    """The number of weights, or of trainable weights. Shared weights count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)
