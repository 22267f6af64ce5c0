"""What a training leaves in `output/`: models anyone can load and Bedrock's two CSV files; needs torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from polytune.files import write_whole
from polytune.training.compat import make_portable
from polytune.training.fitting import History, Loss
from polytune.training.loading import Loaded
from polytune.training.protocol import TRAINING_METRICS, VALIDATION_METRICS


def save_model(loaded: Loaded, folder: Path, dtype: torch.dtype) -> None:
    """The folder holds model and tokenizer, readable by transformers 4.51 and later."""
    loaded.model.to(dtype)
    loaded.model.config.use_cache = True
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    make_portable(folder)


def save_losses(history: History, output: Path) -> None:
    """Both CSV files are written; the validation one only if something was measured."""
    write_whole(output / TRAINING_METRICS, csv_of("training_loss", history.training))
    if history.validation:
        write_whole(output / VALIDATION_METRICS, csv_of("validation_loss", history.validation))


def csv_of(column: str, losses: Sequence[Loss]) -> bytes:
    """The losses in the columns of Bedrock's metrics files."""
    lines = [f"step_number,epoch_number,{column},perplexity"]
    lines += [f"{at.step},{at.epoch},{at.loss:.6f},{perplexity(at.loss):.6f}" for at in losses]
    return ("\n".join(lines) + "\n").encode()


def perplexity(loss: float) -> float:
    """e to the loss; infinite where that is more than a float holds."""
    return math.exp(loss) if loss < 709 else math.inf
