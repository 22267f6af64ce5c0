"""Models and tokenizers from folders, and which device they go to; needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from polytune.errors import UsageError
from polytune.training.folders import check_folder
from polytune.training.protocol import Device


@dataclass(frozen=True)
class Loaded:
    """A model with the tokenizer it was made for."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def settle(threads: int) -> None:
    """Computations of this process repeat exactly, on `threads` threads, with nothing on the screen."""
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
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
    return Loaded(model, tokenizer)
