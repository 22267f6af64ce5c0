"""Models and tokenizers from folders, the one that a training starts from, and their device; needs torch."""

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
    """A model with the tokenizer it was made for."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def make_deterministic(threads: int) -> None:
    """From now on computations repeat exactly, on `threads` threads, and libraries print nothing."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def chosen_device(wanted: Device) -> str:
    """`cpu` or `cuda`. Raises UsageError when the GPU is asked for and torch can use none."""
    usable = torch.cuda.is_available()
    if wanted == "cuda" and not usable:
        raise UsageError(
            f"device cuda: torch {torch.__version__} finds no usable GPU; set device to auto or cpu, "
            "or install a CUDA build of torch"
        )
    return "cuda" if usable and wanted != "cpu" else "cpu"


def computing_dtype(stored: torch.dtype, device: str) -> torch.dtype:
    """The number type in which frozen weights of type `stored` are computed with on a device.

    Half precision only where the hardware has bfloat16: without it one LoRA step of SmolLM2 took
    190 s on a CPU with AVX2 alone, against 5 s in float32 (2026-11-21).
    """
    if stored not in (torch.float16, torch.bfloat16):
        return torch.float32
    on_gpu = device == "cuda"
    quick = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if quick else torch.float32


def load(folder: Path) -> Loaded:
    """The causal language model saved in `folder`, in its own number type."""
    check_folder(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # Batches are padded; the padding is masked, so any token will do.
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
    return Loaded(model, tokenizer)


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


def starting_model(request: TrainRequest, rows: Sequence[TrainingRow], device: str) -> Start:
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


def _from_scratch(request: TrainRequest, rows: Sequence[TrainingRow]) -> Start:
    if request.method == "lora":
        raise UsageError("base model tiny-llama starts from random weights; train it with method full")
    tokenizer = tiny_llama.fitted_tokenizer(rows)
    model = tiny_llama.untrained_model(tokenizer, request.seed)
    return Start(Loaded(model, tokenizer), "tiny-llama", None, torch.float32)


def parameters_of(model: PreTrainedModel, *, trainable: bool = False) -> int:
    """The number of weights, or of those that training changes; shared ones count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)
